"""TCP segments as bytes, and the smallest client there can be, whose options are its own. Pure.

A socket of the kernel's cannot carry an option of its user's, so whoever wants to send one makes the
segments himself. `Client` opens a connection, sends one piece of data, takes what comes, and leaves
with a reset. It retransmits, acknowledges in order, and does nothing else: no window, no congestion
control, no options but the maximum segment size and the one it was given.

RFC 9293: header (3.1), options (3.2), pseudo header (3.1), states (3.3.2).
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from keepalive_py.net import Endpoint
from keepalive_py.wire.toa import pad

__all__ = ["ACK", "Client", "FIN", "PSH", "Place", "RST", "SYN", "Segment", "State", "encode", "parse"]

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
TCP: Final = 6
HEADER: Final = struct.Struct(">HHIIBBHHH")
MODULUS: Final = 1 << 32
SEGMENT: Final = 1220  # the most data that fits everywhere (RFC 8200: 1280, less headers)
MSS: Final = struct.pack(">BBH", 2, 4, SEGMENT)
WINDOW: Final = 65535
FIRST_WAIT, LONGEST_WAIT = 0.5, 4.0  # seconds before a segment is sent again; doubled each time


@dataclass(frozen=True, slots=True)
class Segment:
    source: Endpoint
    target: Endpoint
    seq: int
    ack: int
    flags: int
    options: bytes = b""
    payload: bytes = b""


def encode(segment: Segment) -> bytes:
    """With its checksum. WireError over 40 bytes of options."""
    options = pad(segment.options)
    head = HEADER.pack(
        segment.source.port, segment.target.port, segment.seq, segment.ack,
        (5 + len(options) // 4) << 4, segment.flags, WINDOW, 0, 0,
    )  # fmt: skip
    raw = head + options + segment.payload
    sum_ = checksum(segment.source, segment.target, raw)
    return raw[:16] + struct.pack(">H", sum_) + raw[18:]


def checksum(source: Endpoint, target: Endpoint, raw: bytes) -> int:
    """Of header and data with the pseudo header before them; 0 over a segment that has a good one."""
    pseudo = source.address.packed + target.address.packed + struct.pack(">II", len(raw), TCP)
    words = pseudo + raw + b"\0" * (len(raw) % 2)
    total: int = sum(struct.unpack(f">{len(words) // 2}H", words))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def parse(raw: bytes, source: Endpoint, target: Endpoint) -> Segment | None:
    """A segment between these two; None when it is another, or cut short. The checksum is left to the
    kernel, which has looked at it (and may have left it to the network card)."""
    if len(raw) < HEADER.size:
        return None
    from_port, to_port, seq, ack, offset, flags, _window, _sum, _urgent = HEADER.unpack_from(raw)
    start = (offset >> 4) * 4
    if (from_port, to_port) != (source.port, target.port) or not HEADER.size <= start <= len(raw):
        return None
    return Segment(source, target, seq, ack, flags, raw[HEADER.size : start], raw[start:])


class Place(enum.Enum):
    """A segment that the option can stand in. FULLNAT kernels put it into all three."""

    SYN = "SYN"
    ACK = "ACK of the handshake"
    DATA = "first data"


class State(enum.Enum):
    OPENING = "opening"
    OPEN = "open"
    REFUSED = "refused"  # a reset in answer to the SYN
    RESET = "reset"
    FINISHED = "finished"  # the peer has sent all it had


class Client:
    """One connection. The caller sends what `outgoing` holds, hands in what arrives, and asks for
    `resend` when `deadline` has passed. `option` comes before all others (as from FULLNAT)."""

    def __init__(
        self,
        source: Endpoint,
        target: Endpoint,
        option: bytes,
        places: Collection[Place],
        first: int,
        now: float,
    ) -> None:
        self.source = source
        self.target = target
        self.state = State.OPENING
        self.received = bytearray()
        self.outgoing: list[bytes] = []
        self.deadline = now + FIRST_WAIT
        self._option = option
        self._places = frozenset(places)
        self._wait = FIRST_WAIT
        self._seq = first
        self._ack = 0
        self._unacknowledged = b""
        self._push(SYN, self._in(Place.SYN) + MSS)

    def _in(self, place: Place) -> bytes:
        return self._option if place in self._places else b""

    def _push(self, flags: int, options: bytes = b"", payload: bytes = b"") -> None:
        segment = Segment(self.source, self.target, self._seq, self._ack, flags, options, payload)
        self.outgoing.append(encode(segment))

    def send(self, data: bytes, now: float) -> None:
        """At most SEGMENT bytes, and only once."""
        self._unacknowledged = data
        self._wait, self.deadline = FIRST_WAIT, now + FIRST_WAIT
        self._push(PSH | ACK, self._in(Place.DATA), data)

    def receive(self, raw: bytes, now: float) -> None:
        """What came from the peer's address; what is not ours is passed over."""
        segment = parse(raw, self.target, self.source)
        if segment is None or self.state in (State.REFUSED, State.RESET):
            return
        if self.state is State.OPENING:
            self._opening(segment)
        elif segment.flags & RST:
            self.state = State.RESET
        else:
            self._open(segment)

    def _opening(self, segment: Segment) -> None:
        if not segment.flags & ACK or segment.ack != (self._seq + 1) % MODULUS:
            return
        if segment.flags & RST:
            self.state = State.REFUSED
        elif segment.flags & SYN:
            self._seq, self._ack = segment.ack, (segment.seq + 1) % MODULUS
            self.state, self.deadline = State.OPEN, float("inf")
            self._push(ACK, self._in(Place.ACK))

    def _open(self, segment: Segment) -> None:
        if segment.flags & SYN:  # our ACK was lost
            self._push(ACK, self._in(Place.ACK))
            return
        if self._unacknowledged and segment.ack == (self._seq + len(self._unacknowledged)) % MODULUS:
            self._seq, self._unacknowledged, self.deadline = segment.ack, b"", float("inf")
        fresh = segment.seq == self._ack and self.state is State.OPEN
        if fresh and (segment.payload or segment.flags & FIN):
            self.received += segment.payload
            self._ack = (self._ack + len(segment.payload) + bool(segment.flags & FIN)) % MODULUS
            if segment.flags & FIN:
                self.state = State.FINISHED
        if segment.payload or segment.flags & FIN:
            self._push_ack()

    def _push_ack(self) -> None:
        """Behind data that are not acknowledged, if there are any."""
        after = (self._seq + len(self._unacknowledged)) % MODULUS
        self.outgoing.append(encode(Segment(self.source, self.target, after, self._ack, ACK)))

    def resend(self, now: float) -> None:
        """The deadline has passed: say it again."""
        self._wait = min(self._wait * 2, LONGEST_WAIT)
        self.deadline = now + self._wait
        if self.state is State.OPENING:
            self._push(SYN, self._in(Place.SYN) + MSS)
        elif self._unacknowledged:
            self._push(PSH | ACK, self._in(Place.DATA), self._unacknowledged)
        else:
            self.deadline = float("inf")

    def leave(self) -> None:
        """A reset, so that the peer need not wait for us."""
        if self.state in (State.OPEN, State.FINISHED):
            seq = (self._seq + len(self._unacknowledged)) % MODULUS
            self.outgoing.append(encode(Segment(self.source, self.target, seq, self._ack, RST | ACK)))
