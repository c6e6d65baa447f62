"""Payloads and reply patterns as UDP_CHECK writes them: hexadecimal text. Pure.

Two digits are a byte; blanks may stand between bytes, and one digit alone before a blank
or at the end is a byte below 16, so `Ab12f 3 456` is AB 12 0F 03 45 06. In a pattern an
`x` stands for any nibble (keepalived.conf(5), UDP_CHECK).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["Pattern", "parse_hex", "parse_pattern"]

HEX: Final = "0123456789abcdef"
ANY: Final = "x"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Bytes to find at the start of a reply; the bits that are clear in `mask` do not matter."""

    data: bytes
    mask: bytes

    def matches(self, reply: bytes) -> bool:
        """Whether all the bytes that `reply` and the pattern both have agree."""
        return all(
            (got ^ want) & mask == 0 for got, want, mask in zip(reply, self.data, self.mask, strict=False)
        )


def parse_hex(text: str) -> bytes:
    """The bytes that `text` means; ValueError says what is wrong."""
    return bytes(int(pair, 16) for pair in _pairs(text, HEX))


def parse_pattern(text: str) -> Pattern:
    """The pattern that `text` means; ValueError says what is wrong."""
    pairs = _pairs(text, HEX + ANY)
    data = bytes(int(pair.replace(ANY, "0"), 16) for pair in pairs)
    mask = bytes(int("".join("0" if digit == ANY else "f" for digit in pair), 16) for pair in pairs)
    return Pattern(data, mask)


def _pairs(text: str, alphabet: str) -> list[str]:
    """`text` cut into pairs of digits; a single digit gets a leading 0."""
    lowered = text.lower()
    for character in lowered:
        if character not in alphabet and not character.isspace():
            raise ValueError(f"`{character}` is not a hexadecimal digit")
    pairs = [word[i : i + 2] for word in lowered.split() for i in range(0, len(word), 2)]
    return [pair.rjust(2, "0") for pair in pairs]
