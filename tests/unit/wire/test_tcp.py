"""Segments, and the client that makes its own: over a wire that loses and repeats."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.net import Endpoint
from keepalive_py.wire import tcp, toa
from keepalive_py.wire.tcp import ACK, FIN, PSH, RST, SYN, Client, Place, Segment, State
from keepalive_py.wire.toa import Layouts

US, SERVER = Endpoint(ip_address("192.0.2.1"), 40000), Endpoint(ip_address("192.0.2.2"), 80)
TOLD = Endpoint(ip_address("198.18.0.7"), 4711)
OPTION = toa.encode(Layouts.TOA4.value, TOLD)
FIRST, THEIRS = 0xFFFFFFFF, 0xFFFFFFF0  # numbers wrap

numbers = st.integers(0, 0xFFFFFFFF)


@given(numbers, numbers, st.integers(0, 63), st.binary(max_size=30), st.booleans())
def test_a_segment_comes_back_and_its_checksum_is_right(
    seq: int, ack: int, flags: int, payload: bytes, six: bool
) -> None:
    ends = (Endpoint(ip_address("fd00::1"), 1), Endpoint(ip_address("fd00::2"), 2)) if six else (US, SERVER)
    segment = Segment(*ends, seq, ack, flags, OPTION, payload)
    raw = tcp.encode(segment)

    assert tcp.parse(raw, *ends) == segment
    assert tcp.checksum(*ends, raw) == 0


@given(st.binary(max_size=60))
def test_any_bytes_are_survived(raw: bytes) -> None:
    tcp.parse(raw, SERVER, US)
    client().receive(raw, 0.0)


def test_the_segment_of_another_port_is_not_ours() -> None:
    other = Endpoint(SERVER.address, 81)

    assert tcp.parse(tcp.encode(Segment(other, US, 1, 1, ACK)), SERVER, US) is None


def client(*places: Place) -> Client:
    return Client(US, SERVER, OPTION, places or tuple(Place), FIRST, 0.0)


def sent(one: Client) -> list[Segment]:
    """What it wants to send, and the list is empty then."""
    segments = [tcp.parse(raw, US, SERVER) for raw in one.outgoing]
    one.outgoing.clear()
    return [segment for segment in segments if segment is not None]


def server(one: Client, seq: int, ack: int, flags: int, payload: bytes = b"") -> None:
    one.receive(tcp.encode(Segment(SERVER, US, seq % 2**32, ack % 2**32, flags, b"", payload)), 1.0)


def opened(*places: Place) -> Client:
    one = client(*places)
    sent(one)
    server(one, THEIRS, FIRST + 1, SYN | ACK)
    return one


def test_the_option_stands_first_in_all_three_segments() -> None:
    one = client()
    (syn,) = sent(one)
    server(one, THEIRS, FIRST + 1, SYN | ACK)
    (ack,) = sent(one)
    one.send(b"GET", 1.0)
    (data,) = sent(one)

    assert [segment.flags for segment in (syn, ack, data)] == [SYN, ACK, PSH | ACK]
    for segment in (syn, ack, data):
        assert next(toa.options_of(segment.options)) == (254, OPTION[2:])
    assert (ack.seq, ack.ack, data.payload) == (0, THEIRS + 1, b"GET")


@pytest.mark.parametrize("place", list(Place))
def test_the_option_stands_where_it_is_wanted_and_nowhere_else(place: Place) -> None:
    one = client(place)
    segments = sent(one)
    server(one, THEIRS, FIRST + 1, SYN | ACK)
    one.send(b"x", 1.0)
    segments += sent(one)

    has = [toa.decode(Layouts.TOA4.value, segment.options) is not None for segment in segments]
    assert has == [each is place for each in Place]


def test_an_answer_in_pieces_is_put_together_and_acknowledged() -> None:
    one = opened()
    one.send(b"GET", 1.0)
    sent(one)
    server(one, THEIRS + 1, FIRST + 4, ACK, b"ab")
    server(one, THEIRS + 1, FIRST + 4, ACK, b"ab")  # again
    server(one, THEIRS + 9, FIRST + 4, ACK, b"far")  # the one before is missing
    server(one, THEIRS + 3, FIRST + 4, FIN | ACK, b"cd")

    assert bytes(one.received) == b"abcd"
    assert one.state is State.FINISHED
    assert [segment.ack for segment in sent(one)] == [
        (THEIRS + 3) % 2**32, (THEIRS + 3) % 2**32, (THEIRS + 3) % 2**32, (THEIRS + 6) % 2**32,
    ]  # fmt: skip
    assert one.deadline == float("inf")


def test_what_is_lost_is_sent_again_and_rarer_each_time() -> None:
    one = client()
    first = sent(one)
    gaps, now = [], one.deadline
    for _ in range(5):
        one.resend(now)
        gaps.append(one.deadline - now)
        now = one.deadline
        assert sent(one) == first
    assert gaps == [1.0, 2.0, 4.0, 4.0, 4.0]
    one = opened()
    sent(one)
    one.send(b"x", 5.0)
    data = sent(one)
    one.resend(5.5)
    assert sent(one) == data


def test_a_lost_ack_is_answered_again() -> None:
    one = opened()
    ack = sent(one)
    server(one, THEIRS, FIRST + 1, SYN | ACK)

    assert sent(one) == ack


def test_refused_and_reset() -> None:
    one = client()
    server(one, 0, FIRST + 1, RST | ACK)
    assert one.state is State.REFUSED
    one = client()
    server(one, 0, FIRST + 7, RST | ACK)  # not for us
    assert one.state is State.OPENING
    one = opened()
    server(one, THEIRS + 1, FIRST + 1, RST)
    assert one.state is State.RESET


def test_it_leaves_with_a_reset_that_the_server_takes() -> None:
    one = opened()
    sent(one)
    one.leave()
    (segment,) = sent(one)

    assert segment.flags == RST | ACK
    assert (segment.seq, segment.ack) == (0, (THEIRS + 1) % 2**32)
