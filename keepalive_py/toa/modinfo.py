"""What a module's file says of itself. Pure.

A .ko is an ELF object; its section `.modinfo` holds `name=value` strings (modinfo(8) shows them),
and a signature stands behind the ELF, ended by a fixed line (kernel: module-signing).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keepalive_py.errors import WireError

__all__ = ["ModInfo", "parse"]

ELF: Final = b"\x7fELF"
SIGNED: Final = b"~Module signature appended~\n"
# Of the ELF header: offset of the section headers, size and number of them, index of their names.
HEADERS: Final = {1: ("I", 32, 46), 2: ("Q", 40, 58)}


@dataclass(frozen=True, slots=True)
class ModInfo:
    """`release`: the kernel it was made for. `parameters`: their names."""

    name: str
    vermagic: str
    version: str
    srcversion: str
    license: str
    depends: tuple[str, ...]
    parameters: tuple[str, ...]
    signed: bool

    @property
    def release(self) -> str:
        return self.vermagic.partition(" ")[0]


def parse(content: bytes) -> ModInfo:
    """WireError when it is no kernel module."""
    fields: dict[str, list[str]] = {}
    for entry in _section(content, b".modinfo").split(b"\0"):
        name, equals, value = entry.decode("utf-8", "replace").partition("=")
        if equals:
            fields.setdefault(name, []).append(value)
    if "vermagic" not in fields:
        raise WireError("no kernel module: it names no kernel (vermagic)")

    def one(name: str) -> str:
        return fields.get(name, [""])[0].strip()

    parameters = {value.partition(":")[0] for value in fields.get("parmtype", [])}
    return ModInfo(
        one("name"),
        one("vermagic"),
        one("version"),
        one("srcversion"),
        one("license"),
        tuple(word for word in one("depends").split(",") if word),
        tuple(sorted(parameters)),
        content.endswith(SIGNED),
    )


def _section(content: bytes, wanted: bytes) -> bytes:
    try:
        for name, offset, size in _sections(content):
            if name == wanted:
                return content[offset : offset + size]
    except (struct.error, KeyError, IndexError, ValueError, OverflowError):
        raise WireError("no kernel module: its ELF headers are damaged") from None
    raise WireError("no kernel module: no section .modinfo")


def _sections(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, offset, size) of each section. See elf(5)."""
    if content[:4] != ELF:
        raise WireError("no kernel module: not an ELF file")
    bits, order = content[4], {1: "<", 2: ">"}[content[5]]
    width, at, sizes = HEADERS[bits]
    (table,) = struct.unpack_from(order + width, content, at)
    size, count, names = struct.unpack_from(order + "HHH", content, sizes)
    form = order + ("I12xII" if bits == 1 else "I20xQQ")
    headers = [struct.unpack_from(form, content, table + number * size) for number in range(count)]
    base = headers[names][1]
    for name, offset, length in headers:
        start = base + name
        yield content[start : content.index(b"\0", start)], offset, length
