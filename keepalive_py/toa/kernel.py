"""What the kernel shows of its modules: /sys/module, its log, and whether it lets any be loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from keepalive_py.toa.refusals import Host

__all__ = ["LoadedModule", "TAINTS", "boot_id", "host", "listening_to_kernel", "loaded_module"]

MODULES: Final = Path("/sys/module")
CAP_SYS_MODULE: Final = 16  # linux/capability.h
# Documentation/admin-guide/tainted-kernels.rst
TAINTS: Final = {
    "P": "proprietary", "F": "loaded by force", "C": "staging", "O": "out of tree", "E": "unsigned",
    "K": "live patch", "N": "for tests",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LoadedModule:
    """One directory of /sys/module. A parameter that cannot be read is None. `built_in`: part of
    the kernel, so it cannot go."""

    name: str
    version: str = ""
    srcversion: str = ""
    taint: str = ""
    state: str = "live"
    users: int = 0
    holders: tuple[str, ...] = ()
    parameters: dict[str, str | None] = field(default_factory=dict)
    built_in: bool = False

    @property
    def signed(self) -> bool:
        """Of a built-in one the kernel's word stands."""
        return "E" not in self.taint

    def taints(self) -> list[str]:
        return [TAINTS.get(letter, letter) for letter in self.taint]


def loaded_module(name: str, root: Path = MODULES) -> LoadedModule | None:
    """None when it is not there."""
    place = root / name.replace("-", "_")
    if not place.is_dir():
        return None
    state = _read(place / "initstate")
    return LoadedModule(
        place.name,
        _read(place / "version"),
        _read(place / "srcversion"),
        _read(place / "taint"),
        state or "live",
        int(_read(place / "refcnt") or 0),
        tuple(sorted(each.name for each in _entries(place / "holders"))),
        {each.name: _parameter(each) for each in _entries(place / "parameters")},
        built_in=not state,
    )


def host(proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> Host:
    return Host(
        os.uname().release,
        _has_capability(proc / "self/status"),
        _lockdown(sys / "kernel/security/lockdown"),
        _read(proc / "sys/kernel/modules_disabled") == "1",
        _read(sys / "module/module/parameters/sig_enforce") in ("Y", "1"),
    )


def boot_id(path: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    return _read(path)


@contextmanager
def listening_to_kernel(module: str, path: Path = Path("/dev/kmsg")) -> Iterator[list[str]]:
    """What the kernel logs meanwhile about `module` or about loading; nothing where its log may not be
    read (kernel.dmesg_restrict). The list is filled at the end. See Documentation/ABI/testing/dev-kmsg."""
    heard: list[str] = []
    try:
        log = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield heard
        return
    try:
        with suppress(OSError):
            os.lseek(log, 0, os.SEEK_END)
        try:
            yield heard
        finally:
            heard += [text for text in _records(log) if _concerns(text, module)]
    finally:
        os.close(log)


def _records(log: int) -> Iterator[str]:
    while True:
        try:
            record = os.read(log, 8192)
        except BrokenPipeError:  # overtaken by the ring: go on with what is left
            continue
        except OSError:
            return
        _head, _semicolon, text = record.decode("utf-8", "replace").partition(";")
        yield text.partition("\n")[0]


def _concerns(text: str, module: str) -> bool:
    lower = text.lower()
    return any(word in lower for word in (f"{module.lower()}:", "lockdown", "module verification"))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _parameter(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _entries(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return []


def _has_capability(status: Path) -> bool:
    for line in _read(status).splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_SYS_MODULE & 1)
    return False


def _lockdown(path: Path) -> str:
    """`none [integrity] confidentiality` -> integrity; "" for none."""
    _before, bracket, rest = _read(path).partition("[")
    mode = rest.partition("]")[0] if bracket else ""
    return "" if mode == "none" else mode
