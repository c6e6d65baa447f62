"""One BFD session (RFC 5880 section 6): asynchronous mode, active or passive. Pure.

States change by the table `TRANSITIONS`, local × received state; what is not in it changes
nothing. Section numbers below are those of the RFC. Times are seconds, on the caller's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from keepalive_py.config.bfd_instance import BfdInstance
from keepalive_py.wire.bfd import Control, Diagnostic, State, encode

__all__ = ["Session", "Transition"]

NEVER: Final = float("inf")
MICROSECONDS: Final = 1_000_000
LONGEST: Final = 0xFFFFFFFF  # microseconds, on the wire

TRANSITIONS: Final[Mapping[tuple[State, State], State]] = {
    (State.DOWN, State.DOWN): State.INIT,
    (State.DOWN, State.INIT): State.UP,
    (State.INIT, State.ADMIN_DOWN): State.DOWN,
    (State.INIT, State.INIT): State.UP,
    (State.INIT, State.UP): State.UP,
    (State.UP, State.ADMIN_DOWN): State.DOWN,
    (State.UP, State.DOWN): State.DOWN,
}


@dataclass(frozen=True, slots=True)
class Transition:
    """`diagnostic` says why, when `after` is not a better state."""

    before: State
    after: State
    diagnostic: Diagnostic


# What is known of a neighbour that has not been heard (6.8.1): it would take packets at any rate.
UNHEARD: Final = Control(
    state=State.DOWN, my_discriminator=0, multiplier=1, desired_min_tx=0, required_min_rx=1
)


class Session:
    """`discriminator` is ours, unique on this host and not 0; `random` gives 0..1."""

    __slots__ = (
        "_detect_at",
        "_held_rx",
        "_held_tx",
        "_outbox",
        "_planned_pace",
        "_polling",
        "_random",
        "_sent_at",
        "_transitions",
        "_transmit_at",
        "diagnostic",
        "discriminator",
        "instance",
        "remote",
        "state",
    )

    def __init__(
        self, instance: BfdInstance, discriminator: int, now: float, random: Callable[[], float]
    ) -> None:
        self.instance = instance
        self.discriminator = discriminator
        self.state = State.DOWN
        self.diagnostic = Diagnostic.NONE
        self.remote = UNHEARD  # the last packet
        self._random = random
        self._outbox: list[bytes] = []
        self._transitions: list[Transition] = []
        self._sent_at = now
        self._transmit_at = now
        self._detect_at = NEVER
        self._planned_pace = NEVER
        self._settle()

    # The four verbs.

    def receive(self, packet: Control, now: float) -> None:
        """A packet that was found to belong to this session (6.8.6)."""
        if self.state is State.ADMIN_DOWN:
            return
        self.remote = packet
        if packet.final and self._polling:
            self._settle()
        after = TRANSITIONS.get((self.state, packet.state))
        if after is not None:
            self._move(after, Diagnostic.NONE if after > State.DOWN else Diagnostic.NEIGHBOR_DOWN)
        self._detect_at = now + self.detection_time
        if packet.poll:
            self._outbox.append(encode(self._packet(final=True)))
        elif after is not None:
            self._send(now)
        if self._pace() != self._planned_pace:
            self._plan()

    def next_deadline(self) -> float:
        """When to call `wake`, at the latest; infinite when there is nothing to wait for."""
        return min(self._transmit_at, self._detect_at)

    def wake(self, now: float) -> None:
        if self._detect_at <= now:
            self._lost(now)
        if self._transmit_at <= now:
            self._send(now)

    def to_send(self) -> list[bytes]:
        """Packets to send now, in order; each is handed out once."""
        waiting, self._outbox = self._outbox, []
        return waiting

    # What the operator may do.

    def adopt(self, instance: BfdInstance, now: float) -> None:
        """Go on with other intervals. While Up they come into force by a Poll Sequence (6.8.3)."""
        desired, required = self.desired_min_tx, self.instance.min_rx
        self.instance = instance
        if self.state is State.UP:
            self._polling = True
            self._held_tx, self._held_rx = desired, required
        self._send(now)

    def shut(self, now: float) -> None:
        """Administratively down, for good. The neighbour is told once."""
        self._move(State.ADMIN_DOWN, Diagnostic.ADMIN_DOWN)
        self._send(now)
        self._transmit_at = self._detect_at = NEVER

    def transitions(self) -> list[Transition]:
        """What changed since the last call."""
        changed, self._transitions = self._transitions, []
        return changed

    # Intervals.

    @property
    def up(self) -> bool:
        return self.state is State.UP

    @property
    def desired_min_tx(self) -> float:
        """Slow unless Up (6.8.3)."""
        return self.instance.min_tx if self.up else self.instance.idle_tx

    @property
    def interval(self) -> float:
        """Between our packets, before jitter (6.8.7)."""
        return max(min(self.desired_min_tx, self._held_tx), self.remote.required_min_rx / MICROSECONDS)

    @property
    def detection_time(self) -> float:
        """Without a packet for so long the neighbour is lost (6.8.4)."""
        required = max(self.instance.min_rx, self._held_rx)
        return self.remote.multiplier * max(required, self.remote.desired_min_tx / MICROSECONDS)

    # Rules.

    def _move(self, after: State, diagnostic: Diagnostic) -> None:
        self._transitions.append(Transition(self.state, after, diagnostic))
        self.state, self.diagnostic = after, diagnostic
        self._settle()
        # Being Up makes us want to send faster, and that is what Poll Sequences are for.
        self._polling = after is State.UP

    def _lost(self, now: float) -> None:
        """Nothing was heard for the detection time (6.8.4); the neighbour is a stranger again."""
        was_waiting = self.state in (State.INIT, State.UP)
        self.remote = UNHEARD
        self._detect_at = NEVER
        if was_waiting:
            self._move(State.DOWN, Diagnostic.TIME_EXPIRED)
            self._send(now)

    def _settle(self) -> None:
        """No Poll Sequence is under way, so no old interval is held on to."""
        self._polling = False
        self._held_tx = NEVER
        self._held_rx = 0.0

    def _may_send(self) -> bool:
        """May periodic packets be sent (6.8.7)?"""
        silent = self.instance.passive and self.remote.my_discriminator == 0
        asked_not_to = self.remote.demand and self.up and self.remote.state is State.UP and not self._polling
        return not (silent or asked_not_to or self.remote.required_min_rx == 0)

    def _pace(self) -> float:
        return self.interval if self._may_send() else NEVER

    def _plan(self) -> None:
        """The next periodic packet, with jitter so that sessions do not beat together (6.8.7)."""
        most = 0.90 if self.instance.multiplier == 1 else 1.0
        self._planned_pace = self._pace()
        self._transmit_at = self._sent_at + self._planned_pace * (0.75 + (most - 0.75) * self._random())

    def _send(self, now: float) -> None:
        if self._may_send():
            self._outbox.append(encode(self._packet(final=False)))
            self._sent_at = now
        self._plan()

    def _packet(self, *, final: bool) -> Control:
        return Control(
            state=self.state,
            diagnostic=self.diagnostic,
            my_discriminator=self.discriminator,
            your_discriminator=self.remote.my_discriminator,
            multiplier=self.instance.multiplier,
            desired_min_tx=_microseconds(self.desired_min_tx),
            required_min_rx=_microseconds(self.instance.min_rx),
            poll=self._polling and not final,
            final=final,
        )


def _microseconds(seconds: float) -> int:
    return min(round(seconds * MICROSECONDS), LONGEST)
