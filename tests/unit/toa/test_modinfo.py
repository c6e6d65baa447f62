"""What a .ko says of itself."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.errors import WireError
from keepalive_py.toa.modinfo import SIGNED, parse


def module(*entries: str, bits: int = 64) -> bytes:
    """An ELF object with a section .modinfo and one of names, as elf(5) has it."""
    info = b"".join(entry.encode() + b"\0" for entry in entries)
    names = b"\0.modinfo\0.shstrtab\0"
    wide = bits == 64
    head = 64 if wide else 52
    table = head + len(info) + len(names)
    form, size = ("<IIQQQQIIQQ", 64) if wide else ("<IIIIIIIIII", 40)
    sections = [(1, head, len(info)), (10, head + len(info), len(names))]
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    rest = struct.pack(
        "<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH", 1, 62, 1, 0, 0, table, 0, head, 0, 0, size, 2, 1
    )
    headers = b"".join(
        struct.pack(form, name, 1, 0, 0, offset, length, 0, 0, 1, 0) for name, offset, length in sections
    )
    return ident + rest + info + names + headers


TOA = (
    "name=toa", "version=2.0.0.0", "vermagic=6.1.0-56-cloud-amd64 SMP preempt mod_unload modversions ",
    "srcversion=ABC", "license=GPL", "depends=ipv6,x", "parmtype=kind:int", "parmtype=work:bool", "junk",
)  # fmt: skip


@pytest.mark.parametrize("bits", [32, 64])
def test_the_fields_of_a_module(bits: int) -> None:
    found = parse(module(*TOA, bits=bits))

    assert (found.name, found.version, found.srcversion, found.license) == ("toa", "2.0.0.0", "ABC", "GPL")
    assert found.release == "6.1.0-56-cloud-amd64"
    assert found.depends == ("ipv6", "x")
    assert found.parameters == ("kind", "work")
    assert not found.signed
    assert parse(module(*TOA) + b"signature" + SIGNED).signed


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not an ELF file"),
        (b"#!/bin/sh\n", "not an ELF file"),
        (module("name=toa"), "vermagic"),
        (module(*TOA)[:100], "damaged"),
    ],
)
def test_what_is_no_module(content: bytes, words: str) -> None:
    with pytest.raises(WireError, match=words):
        parse(content)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_any_bytes_are_survived(junk: bytes, at: int) -> None:
    good = module(*TOA)
    for content in (b"\x7fELF" + junk, good[:at] + junk + good[at + len(junk) :]):
        with contextlib.suppress(WireError):
            parse(content)
