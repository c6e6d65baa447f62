"""Netlink framing."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.errors import WireError
from keepalive_py.wire import netlink
from keepalive_py.wire.netlink import Message, Outcome

ERRNO = struct.pack("=i", -17)
ECHO = struct.pack("=IHHII", 20, 26, 5, 7, 0)


def error(payload: bytes, flags: int = 0, kind: int = netlink.NLMSG_ERROR) -> Outcome:
    return netlink.outcome(Message(kind, flags, 7, memoryview(payload)))


@given(st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=40), max_size=10))
def test_attributes_survive_the_wire(values: dict[int, bytes]) -> None:
    encoded = b"".join(netlink.attribute(kind, value) for kind, value in values.items())
    decoded = netlink.attributes(memoryview(encoded))
    assert {kind: bytes(value) for kind, value in decoded.items()} == values


def test_the_nested_and_byte_order_marks_are_not_part_of_the_type() -> None:
    encoded = netlink.attribute(0x8000 | 0x4000 | 5, b"abcd")
    assert list(netlink.attributes(memoryview(encoded))) == [5]


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 1000), st.binary(max_size=40)), max_size=5))
def test_several_messages_in_one_datagram(requests: list[tuple[int, int, bytes]]) -> None:
    datagram = b"".join(
        netlink.request(26, command, payload + bytes(-len(payload) & 3), sequence=sequence)
        for command, sequence, payload in requests
    )
    decoded = list(netlink.messages(memoryview(datagram)))
    assert [(m.payload[0], m.sequence, bytes(m.payload[4:])) for m in decoded] == [
        (command, sequence, payload + bytes(-len(payload) & 3)) for command, sequence, payload in requests
    ]


@given(st.binary(max_size=100))
def test_any_bytes_give_messages_or_a_wire_error(datagram: bytes) -> None:
    try:
        for message in netlink.messages(memoryview(datagram)):
            netlink.outcome(message)
            netlink.generic_attributes(message.payload)
    except WireError:
        pass


def test_an_error_names_its_errno() -> None:
    assert error(ERRNO + ECHO) == Outcome(17, "")


def test_an_acknowledgement_is_errno_zero() -> None:
    assert error(bytes(4) + ECHO) == Outcome(0, "")


@pytest.mark.parametrize(
    ("flags", "echo"),
    [
        (netlink.NLM_F_ACK_TLVS | netlink.NLM_F_CAPPED, ECHO),
        (netlink.NLM_F_ACK_TLVS, ECHO + b"\x01\x01\0\0"),
    ],
    ids=["capped", "whole request echoed"],
)
def test_an_error_carries_the_kernels_own_words(flags: int, echo: bytes) -> None:
    words = netlink.attribute(1, b"Unsupported attribute\0")
    assert error(ERRNO + echo + words, flags) == Outcome(17, "Unsupported attribute")


def test_the_end_of_a_dump_may_carry_an_error_or_nothing() -> None:
    assert error(b"", kind=netlink.NLMSG_DONE) == Outcome(0, "")
    assert error(ERRNO, kind=netlink.NLMSG_DONE) == Outcome(17, "")


def test_an_error_that_is_cut_short_is_a_wire_error() -> None:
    with pytest.raises(WireError):
        error(b"\0\0")
    with pytest.raises(WireError):
        error(ERRNO + b"\0", netlink.NLM_F_ACK_TLVS)


def test_a_string_ends_at_its_first_nul() -> None:
    assert netlink.text(memoryview(b"rr\0junk")) == "rr"


def test_an_integer_has_one_of_four_widths() -> None:
    assert netlink.number(memoryview(struct.pack("=Q", 1 << 40))) == 1 << 40
    with pytest.raises(WireError):
        netlink.number(memoryview(b"abc"))
