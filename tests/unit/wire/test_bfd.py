"""BFD control packets: laws, a captured packet, and every rule that discards one."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.errors import WireError
from keepalive_py.wire.bfd import TEXTS, Control, Diagnostic, State, decode, encode

U32 = st.integers(0, 0xFFFFFFFF)
SOME_U32 = st.integers(1, 0xFFFFFFFF)
PACKETS = st.builds(
    Control,
    state=st.sampled_from(State),
    my_discriminator=SOME_U32,
    your_discriminator=SOME_U32,
    diagnostic=st.integers(0, 31),
    multiplier=st.integers(1, 255),
    desired_min_tx=U32,
    required_min_rx=U32,
    required_min_echo_rx=U32,
    poll=st.booleans(),
    final=st.booleans(),
    control_plane_independent=st.booleans(),
    demand=st.booleans(),
)
GOOD = encode(Control(state=State.UP, my_discriminator=1, your_discriminator=2))


@given(PACKETS)
def test_a_packet_reads_back(packet: Control) -> None:
    assert decode(encode(packet)) == packet


@given(st.binary(max_size=40))
def test_any_bytes_are_a_packet_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        decode(data)


def test_a_packet_byte_by_byte() -> None:
    # version 1, diagnostic 3, Up with Poll, multiplier 5, 24 bytes, 10 ms both ways
    data = bytes.fromhex("23e00518 0000002a 0000002b 00002710 00002710 00000000")
    assert decode(data) == Control(
        state=State.UP,
        my_discriminator=42,
        your_discriminator=43,
        diagnostic=Diagnostic.NEIGHBOR_DOWN,
        multiplier=5,
        desired_min_tx=10_000,
        required_min_rx=10_000,
        poll=True,
    )


def patched(place: int, value: int) -> bytes:
    return GOOD[:place] + bytes([value]) + GOOD[place + 1 :]


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (GOOD[:23], "shorter"),
        (patched(0, 0x40), "version"),
        (patched(3, 23), "length"),
        (patched(3, 25), "length"),
        (patched(2, 0), "multiplier"),
        (patched(1, 0xC1), "multipoint"),
        (patched(7, 0), "my discriminator"),
        (patched(11, 0), "your discriminator"),
        (patched(1, 0xC4), "authentication"),
    ],
)
def test_rfc_5880_says_to_discard(data: bytes, rule: str) -> None:
    with pytest.raises(WireError, match=rule):
        decode(data)


def test_bytes_after_the_packet_do_not_matter() -> None:
    assert decode(GOOD + b"padding") == decode(GOOD)


@pytest.mark.parametrize("state", [State.DOWN, State.ADMIN_DOWN])
def test_a_peer_that_is_down_need_not_know_our_discriminator(state: State) -> None:
    assert decode(encode(Control(state=state, my_discriminator=1))).state is state


def test_every_diagnostic_has_words() -> None:
    assert set(TEXTS) == set(Diagnostic)
