"""SipHash-2-4: 64 bits from bytes and a key of 16. Pure."""

from __future__ import annotations

import struct
from typing import Final

MASK: Final = (1 << 64) - 1
CONSTANTS: Final = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def siphash(data: bytes, key: bytes) -> int:
    k0: int
    k1: int
    k0, k1 = struct.unpack("<QQ", key)
    v = [k ^ constant for k, constant in zip((k0, k1, k0, k1), CONSTANTS, strict=True)]
    whole = len(data) // 8 * 8
    last = int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56
    for (word,) in (*struct.iter_unpack("<Q", data[:whole]), (last,)):
        v[3] ^= word
        _rounds(v, 2)
        v[0] ^= word
    v[2] ^= 0xFF
    _rounds(v, 4)
    a, b, c, d = v
    return a ^ b ^ c ^ d


def _rounds(v: list[int], count: int) -> None:
    a, b, c, d = v
    for _ in range(count):
        a = (a + b) & MASK
        b = _left(b, 13) ^ a
        a = _left(a, 32)
        c = (c + d) & MASK
        d = _left(d, 16) ^ c
        a = (a + d) & MASK
        d = _left(d, 21) ^ a
        c = (c + b) & MASK
        b = _left(b, 17) ^ c
        c = _left(c, 32)
    v[:] = a, b, c, d


def _left(value: int, count: int) -> int:
    return (value << count | value >> 64 - count) & MASK
