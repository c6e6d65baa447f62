"""Hexadecimal payloads and patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.wire.filler import filler
from keepalive_py.wire.udp_pattern import Pattern, parse_hex, parse_pattern


@given(st.binary(max_size=40), st.sampled_from(["", " ", "\t "]))
def test_the_hexadecimal_of_bytes_means_those_bytes(data: bytes, blank: str) -> None:
    assert parse_hex(blank.join(f"{byte:02X}" for byte in data)) == data


@given(st.binary(max_size=40))
def test_a_pattern_without_wildcards_matches_itself_and_is_exact(data: bytes) -> None:
    pattern = parse_pattern(data.hex())
    assert pattern == Pattern(data, b"\xff" * len(data))
    assert pattern.matches(data)
    for place in range(len(data)):
        assert not pattern.matches(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


def test_single_digits_get_a_leading_zero() -> None:
    # the example of keepalived.conf(5)
    assert parse_hex("Ab12f 3 456 546443123").hex(" ") == "ab 12 0f 03 45 06 54 64 43 12 03"


def test_x_stands_for_any_nibble() -> None:
    pattern = parse_pattern("a X 1x xX")
    assert pattern == Pattern(bytes.fromhex("0a001000"), bytes.fromhex("fff0f000"))
    assert pattern.matches(bytes.fromhex("0a0f1fff"))
    assert not pattern.matches(bytes.fromhex("0a1f1fff"))


def test_only_the_bytes_that_both_have_are_compared() -> None:
    assert parse_pattern("0102").matches(b"\x01")
    assert parse_pattern("0102").matches(b"\x01\x02\x03")


@pytest.mark.parametrize("text", ["0g", "12-34", "0x12", "é"])
def test_what_is_no_digit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a hexadecimal digit"):
        parse_hex(text)


def test_a_payload_has_no_wildcards() -> None:
    with pytest.raises(ValueError, match="`x`"):
        parse_hex("1x")


@given(st.integers(0, 300))
def test_filler_has_the_size_asked_for(size: int) -> None:
    assert len(filler(size)) == size
    assert b"keepalived check - keepalived".startswith(filler(size)[:29])
