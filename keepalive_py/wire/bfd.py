"""BFD control packets (RFC 5880 section 4.1): bytes and values. Pure.

Times are whole microseconds here, as on the wire. `decode` refuses everything that
RFC 5880 6.8.6 says must be discarded before a session is looked for; a packet with
authentication is refused as well, because no session here has a key.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Final

from keepalive_py.errors import WireError

__all__ = ["PORT_MULTIHOP", "PORT_SINGLE_HOP", "Control", "Diagnostic", "State", "decode", "encode"]

PORT_SINGLE_HOP: Final = 3784  # RFC 5881 section 4
PORT_MULTIHOP: Final = 4784  # RFC 5883 section 5
VERSION: Final = 1
PACKET: Final = struct.Struct("!BBBBIIIII")
POLL: Final = 0x20
FINAL: Final = 0x10
INDEPENDENT: Final = 0x08
AUTHENTICATED: Final = 0x04
DEMAND: Final = 0x02
MULTIPOINT: Final = 0x01


class State(enum.IntEnum):
    ADMIN_DOWN = 0
    DOWN = 1
    INIT = 2
    UP = 3


class Diagnostic(enum.IntEnum):
    """Why the sender last left Up."""

    NONE = 0
    TIME_EXPIRED = 1
    ECHO_FAILED = 2
    NEIGHBOR_DOWN = 3
    FORWARDING_RESET = 4
    PATH_DOWN = 5
    CONCATENATED_PATH_DOWN = 6
    ADMIN_DOWN = 7
    REVERSE_PATH_DOWN = 8

    @property
    def text(self) -> str:
        return TEXTS[self]


TEXTS: Final = {
    Diagnostic.NONE: "no diagnostic",
    Diagnostic.TIME_EXPIRED: "control detection time expired",
    Diagnostic.ECHO_FAILED: "echo function failed",
    Diagnostic.NEIGHBOR_DOWN: "neighbor signaled session down",
    Diagnostic.FORWARDING_RESET: "forwarding plane reset",
    Diagnostic.PATH_DOWN: "path down",
    Diagnostic.CONCATENATED_PATH_DOWN: "concatenated path down",
    Diagnostic.ADMIN_DOWN: "administratively down",
    Diagnostic.REVERSE_PATH_DOWN: "reverse concatenated path down",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One control packet. `diagnostic` is the number on the wire, which may be one that
    `Diagnostic` does not name; intervals are microseconds."""

    state: State
    my_discriminator: int
    your_discriminator: int = 0
    diagnostic: int = 0
    multiplier: int = 3
    desired_min_tx: int = 1_000_000
    required_min_rx: int = 1_000_000
    required_min_echo_rx: int = 0
    poll: bool = False
    final: bool = False
    control_plane_independent: bool = False
    demand: bool = False


def encode(packet: Control) -> bytes:
    return PACKET.pack(
        VERSION << 5 | packet.diagnostic,
        packet.state << 6 | _flags(packet),
        packet.multiplier,
        PACKET.size,
        packet.my_discriminator,
        packet.your_discriminator,
        packet.desired_min_tx,
        packet.required_min_rx,
        packet.required_min_echo_rx,
    )


def _flags(packet: Control) -> int:
    return (
        (POLL if packet.poll else 0)
        | (FINAL if packet.final else 0)
        | (INDEPENDENT if packet.control_plane_independent else 0)
        | (DEMAND if packet.demand else 0)
    )


def decode(data: bytes) -> Control:
    """The packet in a datagram; raises WireError with the rule that it breaks."""
    if len(data) < PACKET.size:
        raise WireError("shorter than a control packet")
    first, second, multiplier, length, mine, yours, min_tx, min_rx, echo_rx = PACKET.unpack_from(data)
    packet = Control(
        state=State(second >> 6),
        my_discriminator=mine,
        your_discriminator=yours,
        diagnostic=first & 0x1F,
        multiplier=multiplier,
        desired_min_tx=min_tx,
        required_min_rx=min_rx,
        required_min_echo_rx=echo_rx,
        poll=bool(second & POLL),
        final=bool(second & FINAL),
        control_plane_independent=bool(second & INDEPENDENT),
        demand=bool(second & DEMAND),
    )
    _refuse(packet, version=first >> 5, length=length, present=len(data), flags=second)
    return packet


def _refuse(packet: Control, *, version: int, length: int, present: int, flags: int) -> None:
    """RFC 5880 6.8.6, the checks that need no session, in its order."""
    rules = (
        (version != VERSION, "another version"),
        (not PACKET.size <= length <= present, "wrong length"),
        (packet.multiplier == 0, "detect multiplier is zero"),
        (flags & MULTIPOINT, "multipoint bit is set"),
        (packet.my_discriminator == 0, "my discriminator is zero"),
        (packet.your_discriminator == 0 and packet.state > State.DOWN, "your discriminator is zero"),
        (flags & AUTHENTICATED, "authentication is not in use"),
    )
    for broken, rule in rules:
        if broken:
            raise WireError(rule)
