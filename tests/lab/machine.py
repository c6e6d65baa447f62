"""A virtual machine with Debian's kernel, for what only a kernel with loadable modules can tell.

QEMU in software emulation, which needs nothing of the host. The whole of it is
one archive that the kernel unpacks into memory (initramfs): this Python, the modules that the program
imports, and what else is asked for, all under the paths that they have here. The program is the
kernel's first process; what it writes is the console.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).resolve().parents[1]
ROOT: Final = TESTS.parent
LOADED: Final = """
import json, sys
sys.path[:0] = {path!r}
for name in {names!r}:
    __import__(name)
files = set()
for module in list(sys.modules.values()):
    for name in ("__file__", "__cached__"):
        files.add(getattr(module, name, None) or "")
print(json.dumps([sorted(files), sys.path]))
"""


@dataclass
class Archive:
    """A cpio archive (newc) as it grows; directories are made as needed. See cpio(5)."""

    content: bytearray = field(default_factory=bytearray)
    names: set[str] = field(default_factory=set)
    number: int = 0

    def add(self, name: str, mode: int, data: bytes = b"", mtime: int = 0) -> None:
        name = name.strip("/")
        if name in self.names:
            return
        parent = os.path.dirname(name)
        if parent:
            self.add(parent, stat.S_IFDIR | 0o755)
        self.names.add(name)
        self.number += 1
        self._entry(name, mode, data, mtime)

    def _entry(self, name: str, mode: int, data: bytes, mtime: int) -> None:
        raw = name.encode() + b"\0"
        fields = (self.number, mode, 0, 0, 1, mtime, len(data), 0, 0, 0, 0, len(raw), 0)
        self.content += b"070701" + b"".join(b"%08X" % number for number in fields) + raw
        self._pad()
        self.content += data
        self._pad()

    def _pad(self) -> None:
        self.content += bytes(-len(self.content) % 4)

    def file(self, path: str | Path, name: str = "") -> None:
        """A file of this machine, links followed, under its own name or another."""
        found = os.stat(path)
        self.add(
            name or str(path),
            stat.S_IFREG | (found.st_mode & 0o777),
            Path(path).read_bytes(),
            int(found.st_mtime),
        )

    def text(self, name: str, text: str, mode: int = 0o644) -> None:
        self.add(name, stat.S_IFREG | mode, text.encode())

    def finished(self) -> bytes:
        self.number = 0
        self._entry("TRAILER!!!", 0, b"", 0)
        return bytes(self.content)


def python_files(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Every file that importing these modules reads, and the path they were found on."""
    script = LOADED.format(names=list(names), path=[str(ROOT), str(TESTS)])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    files, path = json.loads(done.stdout)
    return [each for each in files if os.path.isfile(each)], path


def libraries(files: Iterable[str]) -> set[str]:
    """The shared libraries of these, by ldd(1)."""
    found: set[str] = set()
    for file in files:
        told = subprocess.run(["ldd", file], capture_output=True, text=True, check=False, timeout=30).stdout
        for line in told.splitlines():
            path = line.split("=>")[-1].split("(")[0].strip()
            if path.startswith("/"):
                found.add(path)
    return found


def archive(program: Path, imports: Iterable[str], files: Mapping[str, Path], tools: Iterable[str]) -> bytes:
    """What the machine starts with: `program` is its first process, in Python; `files` are there under
    the names given."""
    made = Archive()
    python = os.path.realpath(sys.executable)
    modules, path = python_files(imports)
    found = [tool for tool in map(shutil.which, tools) if tool is not None]
    binaries = [python, *found, *(each for each in modules if each.endswith(".so"))]
    encodings = Path(os.__file__).parent / "encodings"
    for file in (str(program), *modules, python, *libraries(binaries), *map(str, encodings.glob("*.py"))):
        made.file(file)
    for tool in found:
        made.file(os.path.realpath(tool), tool)
    for name, place in files.items():
        made.file(place, name)
    for directory in ("proc", "sys", "dev", "run", "tmp", "root", "etc"):
        made.add(directory, stat.S_IFDIR | 0o755)
    made.add("dev/console", stat.S_IFCHR | 0o600)
    run = f"exec(compile(open({str(program)!r}).read(), {str(program)!r}, 'exec'))"
    made.text("init", f"#!{python} -SB\nimport sys\nsys.path[:] = {path!r}\n{run}\n", 0o755)
    return made.finished()


@dataclass(frozen=True)
class Kernel:
    """`place` has boot/ and lib/modules/, as Debian's package unpacks."""

    place: Path

    @property
    def image(self) -> Path:
        (found,) = self.place.glob("boot/vmlinuz-*")
        return found

    @property
    def release(self) -> str:
        return self.image.name.removeprefix("vmlinuz-")

    @property
    def headers(self) -> Path:
        return Path("/usr/src") / f"linux-headers-{self.release}"


def debian_kernel() -> Kernel:
    done = subprocess.run(
        [TESTS / "vm/fetch-kernel"], stdout=subprocess.PIPE, text=True, check=True, timeout=300
    )
    return Kernel(Path(done.stdout.strip()))


def build_module(kernel: Kernel, source: Path, place: Path) -> Path:
    """The module of a directory with a Kbuild, made against the kernel's headers."""
    shutil.copytree(source, place)
    command = ["make", "-C", str(kernel.headers), f"M={place}", "modules"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (module,) = place.glob("*.ko")
    return module


def run(kernel: Kernel, initramfs: Path, limit: float) -> str:
    """What the console said until the machine went off, or the limit in seconds passed."""
    command = [
        "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "768M", "-smp", "2",
        "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
        "-kernel", str(kernel.image), "-initrd", str(initramfs),
        "-append", "console=ttyS0 quiet panic=-1 random.trust_cpu=on mitigations=off nokaslr tsc=reliable",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=limit, check=False,
        )  # fmt: skip
        said = done.stdout
    except subprocess.TimeoutExpired as expired:
        said = (expired.stdout or b"") + f"\nthe machine was stopped after {limit:g} s\n".encode()
    return said.decode("utf-8", "replace").replace("\r\n", "\n")
