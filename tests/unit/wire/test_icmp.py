"""ICMP echo: laws, and bytes known to be right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.net import Family
from keepalive_py.wire.icmp import (
    HEADER,
    REPLY,
    Echo,
    checksum,
    encode_echo,
    parse_echo,
    parse_reply,
    strip_ip_header,
)

U16 = st.integers(0, 0xFFFF)
ECHOES = st.builds(Echo, identifier=U16, sequence=U16, payload=st.binary(max_size=200))
FAMILIES = st.sampled_from(Family)


@given(FAMILIES, ECHOES)
def test_a_request_reads_back_as_what_was_asked(family: Family, echo: Echo) -> None:
    assert parse_echo(family, encode_echo(family, echo)) == echo


@given(ECHOES)
def test_the_checksum_of_a_whole_v4_message_is_zero(echo: Echo) -> None:
    assert checksum(encode_echo(Family.INET, echo)) == 0


@given(FAMILIES, ECHOES)
def test_our_own_request_is_not_taken_for_a_reply(family: Family, echo: Echo) -> None:
    assert parse_reply(family, encode_echo(family, echo)) is None


@given(FAMILIES, st.binary(max_size=64))
def test_any_bytes_parse_without_an_exception(family: Family, packet: bytes) -> None:
    parse_reply(family, packet)
    parse_reply(family, strip_ip_header(packet))


def test_a_v4_request_byte_by_byte() -> None:
    # 0800 + 1234 + 0001 + 6161 + 6161 = dcf7, its complement is 2308
    assert encode_echo(Family.INET, Echo(0x1234, 1, b"aaaa")).hex() == "0800230812340001" + "61616161"


@pytest.mark.parametrize("family", list(Family))
def test_a_reply_is_told_by_its_type_and_code(family: Family) -> None:
    reply = HEADER.pack(REPLY[family], 0, 0, 7, 9) + b"payload"
    assert parse_reply(family, reply) == Echo(7, 9, b"payload")
    assert parse_reply(family, HEADER.pack(REPLY[family], 1, 0, 7, 9)) is None


def test_the_ip_header_of_a_raw_socket_may_have_options() -> None:
    assert strip_ip_header(b"\x45" + bytes(19) + b"icmp") == b"icmp"
    assert strip_ip_header(b"\x46" + bytes(23) + b"icmp") == b"icmp"


def test_what_is_not_ipv4_has_no_message() -> None:
    assert strip_ip_header(b"\x60" + bytes(50)) == b""
    assert strip_ip_header(b"\x45") == b""
