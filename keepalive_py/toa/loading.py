"""Modules into the kernel and out of it: finit_module(2), modprobe(8), dkms(8), delete_module(2).

Whatever is refused is a `ModuleRefused` with what to do. Nothing is forced: a module that is for
another kernel, in use, or somebody else's, stays where it is.
"""

from __future__ import annotations

import ctypes
import errno
import gzip
import lzma
import os
import platform
import re
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from keepalive_py.config.toa import SourceKind, ToaModule
from keepalive_py.errors import WireError
from keepalive_py.toa import kernel
from keepalive_py.toa.kernel import LoadedModule
from keepalive_py.toa.memory import LoadedByUs
from keepalive_py.toa.modinfo import ModInfo
from keepalive_py.toa.modinfo import parse as parse_module
from keepalive_py.toa.refusals import ModuleRefused, explain, other_parameters, unknown_parameter

__all__ = ["Loader", "read_module_file"]

# The numbers of (finit_module, delete_module), from the kernel's syscall tables.
NUMBERS: Final = {
    "x86_64": (313, 176),
    "aarch64": (273, 106),
    "riscv64": (273, 106),
    "loongarch64": (273, 106),
    "ppc64le": (353, 129),
    "s390x": (344, 129),
}
PATIENCE: Final = 30.0  # seconds for modprobe
BUILD_PATIENCE: Final = 600.0  # seconds for dkms, which compiles
INSMOD: Final = re.compile(r"^insmod (\S+)", re.MULTILINE)
COMPRESSED: Final[dict[str, Callable[[bytes], bytes]]] = {".gz": gzip.decompress, ".xz": lzma.decompress}

Run = Callable[[Sequence[str], float], "subprocess.CompletedProcess[str]"]


def run(command: Sequence[str], patience: float) -> subprocess.CompletedProcess[str]:
    """A command with what it says. Raises OSError, TimeoutExpired."""
    environment = {**os.environ, "LC_ALL": "C", "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        timeout=patience, check=False,
    )  # fmt: skip


class Loader:
    """Loads and unloads; `ours` remembers what it loaded."""

    def __init__(self, ours: LoadedByUs, run_command: Run = run) -> None:
        self.ours = ours
        self._run = run_command

    def load(self, module: ToaModule, *, reload: bool = False) -> bool:
        """Have it loaded with its parameters. Whether it was loaded now; raises ModuleRefused.
        `reload`: one that is there with other parameters goes first, if we loaded it."""
        present = kernel.loaded_module(module.name)
        if present is not None and reload:
            self.unload(module.name)
            present = None
        if present is not None:
            refused = other_parameters(module.name, module.parameters, present.parameters)
            if refused is not None:
                raise refused
            return False
        self._load(module)
        self.ours.add(module.name)
        self._confirm(module)
        return True

    def unload(self, name: str) -> None:
        """Only what we loaded. Raises ModuleRefused."""
        present = kernel.loaded_module(name)
        if present is None:
            self.ours.remove(name)
            raise ModuleRefused(name, "it is not loaded")
        if name not in self.ours.read():
            raise ModuleRefused(
                name, "it was not loaded by us, so it stays", f"`rmmod {name}` takes it out all the same"
            )
        self.ours.remove(name)  # before: whoever watches may load it again at once, and note that
        number = _delete(name)
        if number:
            self.ours.add(name)
            raise _still_there(present, number)

    def _load(self, module: ToaModule) -> None:
        source = module.module_source
        if source.kind is SourceKind.FILE:
            self._from_file(module, source.name)
            return
        if source.kind is SourceKind.DKMS:
            self._build(module)
        name = source.name if source.kind is SourceKind.MODPROBE and source.name else module.name
        self._by_modprobe(module, name)

    def _confirm(self, module: ToaModule) -> None:
        """modprobe(8) may have been told to run something else; the kernel leaves out what it does
        not know."""
        present = kernel.loaded_module(module.name)
        if present is None:
            self.ours.remove(module.name)
            raise ModuleRefused(
                module.name, "its source was loaded, and there is no module of that name",
                "see `lsmod` for the name it has",
            )  # fmt: skip
        refused = other_parameters(module.name, module.parameters, present.parameters)
        if refused is not None:
            raise refused

    # A file.

    def _from_file(self, module: ToaModule, path: str) -> None:
        content, about = read_module_file(module.name, path)
        if about.name and about.name.replace("-", "_") != module.name:
            raise ModuleRefused(module.name, f"{path} holds the module {about.name}", "name that one")
        unknown = unknown_parameter(module.name, about, module.parameters)
        if unknown is not None:
            raise unknown
        for dependency in about.depends:
            if kernel.loaded_module(dependency) is None:
                self._modprobe(module.name, [dependency], about)
        with kernel.listening_to_kernel(module.name) as said:
            number = _insert(path, content, " ".join(map(str, module.parameters)))
        if number and number != errno.EEXIST:
            raise explain(module.name, number, kernel.host(), said, about)

    # modprobe and dkms.

    def _by_modprobe(self, module: ToaModule, name: str) -> None:
        about = self._known(module.name, name)
        if about is not None:
            unknown = unknown_parameter(module.name, about, module.parameters)
            if unknown is not None:
                raise unknown
        self._modprobe(module.name, [name, *map(str, module.parameters)], about)

    def _known(self, module: str, name: str) -> ModInfo | None:
        """What the file that modprobe would load says of itself; None when there is no reading it."""
        answer = self._ask(module, ["modprobe", "--show-depends", name])
        if answer.returncode:
            release = os.uname().release
            raise ModuleRefused(
                module, f"modprobe knows no module {name} for kernel {release}",
                f"build it against the headers of {release}, put it into /lib/modules/{release}/extra and "
                "run `depmod -a`; or name its file (`source file PATH`) or its package (`source dkms NAME`)",
            )  # fmt: skip
        files = INSMOD.findall(answer.stdout)
        try:
            return read_module_file(module, files[-1])[1] if files else None
        except ModuleRefused:
            return None

    def _modprobe(self, module: str, arguments: Sequence[str], about: ModInfo | None) -> None:
        with kernel.listening_to_kernel(module) as said:
            answer = self._ask(module, ["modprobe", *arguments])
        if answer.returncode:
            raise _explained(module, answer.stderr, said, about)

    def _build(self, module: ToaModule) -> None:
        """Unless modprobe has it: built and installed for this kernel by DKMS."""
        name, release = module.module_source.name or module.name, os.uname().release
        if self._ask(module.name, ["modprobe", "--show-depends", module.name]).returncode == 0:
            return
        status = self._ask(module.name, ["dkms", "status", name])
        version = re.match(rf"{re.escape(name)}[/,]\s*([^,:\s]+)", status.stdout.strip())
        if status.returncode or version is None:
            raise ModuleRefused(
                module.name, f"dkms knows no {name}", "install its package, or `dkms add` its source"
            )  # fmt: skip
        package = f"{name}/{version[1]}"
        built = self._ask(module.name, ["dkms", "install", package, "-k", release], BUILD_PATIENCE)
        if built.returncode:
            last = (built.stderr or built.stdout).strip().splitlines()[-1:] or ["no reason given"]
            raise ModuleRefused(
                module.name, f"dkms could not build {package} for kernel {release}: {last[0]}",
                f"see /var/lib/dkms/{package}/build/make.log",
            )  # fmt: skip

    def _ask(
        self, module: str, command: Sequence[str], patience: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        try:
            return self._run(command, patience)
        except FileNotFoundError:
            package = {"modprobe": "kmod", "dkms": "dkms"}[command[0]]
            raise ModuleRefused(module, f"there is no {command[0]} here", f"install {package}") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ModuleRefused(module, f"{command[0]}: {error}") from None


def read_module_file(module: str, path: str) -> tuple[bytes, ModInfo]:
    """Its content, unpacked, and what it says of itself. Raises ModuleRefused."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        release = os.uname().release
        raise ModuleRefused(
            module, f"{path}: {error.strerror}", f"build it against the headers of {release} and put it there"
        ) from None
    unpack = COMPRESSED.get(Path(path).suffix)
    try:
        content = unpack(content) if unpack is not None else content
        return content, parse_module(content)
    except (OSError, EOFError, lzma.LZMAError, WireError) as error:
        hint = "unpack it first" if path.endswith(".zst") else ""
        raise ModuleRefused(module, f"{path}: {error}", hint) from None


def _explained(module: str, told: str, said: Sequence[str], about: ModInfo | None) -> ModuleRefused:
    """The errno that modprobe was given, which it says in words."""
    words = told.strip().splitlines()
    for number in errno.errorcode:
        if words and words[-1].endswith(f": {os.strerror(number)}"):
            return explain(module, number, kernel.host(), said, about)
    if "Unknown symbol in module" in told:  # modprobe's own words for these two
        return explain(module, errno.ENOENT, kernel.host(), said, about)
    return ModuleRefused(module, words[-1] if words else "modprobe failed and says nothing")


def _still_there(present: LoadedModule, number: int) -> ModuleRefused:
    if number in (errno.EBUSY, errno.EWOULDBLOCK):
        by = f"by {', '.join(present.holders)}" if present.holders else f"({present.users} users)"
        return ModuleRefused(present.name, f"it is in use {by}", "close what uses it, then try again")
    if number == errno.EPERM:
        return explain(present.name, number, kernel.host())
    return ModuleRefused(present.name, f"{os.strerror(number)} (errno {number})")


_libc = ctypes.CDLL(None, use_errno=True)


def _syscall(which: int, *arguments: object) -> int:
    """0, or the errno."""
    numbers = NUMBERS.get(platform.machine())
    if numbers is None:
        return errno.ENOSYS
    return ctypes.get_errno() if _libc.syscall(numbers[which], *arguments) else 0


def _insert(path: str, content: bytes, parameters: str) -> int:
    """finit_module(2) from the file itself, so that the kernel can judge where it comes from; from
    memory when it is packed."""
    descriptor = _in_memory(content) if Path(path).suffix in COMPRESSED else os.open(path, os.O_RDONLY)
    try:
        return _syscall(0, descriptor, parameters.encode(), 0)
    finally:
        os.close(descriptor)


def _in_memory(content: bytes) -> int:
    descriptor = os.memfd_create("module", os.MFD_CLOEXEC)
    with open(descriptor, "wb", closefd=False) as stream:
        stream.write(content)
    # The kernel takes no module from a file that is open for writing.
    reading = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    with suppress(OSError):
        os.close(descriptor)
    return reading


def _delete(name: str) -> int:
    return _syscall(1, name.encode(), os.O_NONBLOCK)
