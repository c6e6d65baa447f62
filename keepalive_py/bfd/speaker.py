"""All BFD sessions of a configuration, on an asyncio loop."""

from __future__ import annotations

import os
import random
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final, Protocol

from keepalive_py.bfd.session import Session
from keepalive_py.bfd.sockets import Datagram, Local, destination, local_of, read, receiver, sender
from keepalive_py.checkers.bfd import bfd_verdict
from keepalive_py.config.bfd_instance import BfdInstance
from keepalive_py.errors import WireError
from keepalive_py.health.verdict import Failed, Passed, Reason, Unknown, Verdict
from keepalive_py.net import Address
from keepalive_py.wire.bfd import Diagnostic, State, decode

__all__ = ["Loop", "Report", "Speaker", "Voice"]

NEVER: Final = float("inf")
BATCH: Final = 256  # datagrams read for one event
BACKLOG: Final = 4096  # datagrams read before a neighbour is given up
TRY_AGAIN: Final = 5.0  # seconds until sockets that could not be opened are tried again
NO_HOP_LIMIT: Final = -1
ANY_HOPS: Final = 255

Report = Callable[[str, Verdict], None]


class Loop(Protocol):
    """The part of an asyncio loop that the speaker needs."""

    def add_reader(self, fd: Any, callback: Callable[..., Any], /, *args: Any) -> Any: ...
    def remove_reader(self, fd: Any, /) -> Any: ...
    def call_later(self, delay: float, callback: Callable[..., Any], /, *args: Any) -> Any: ...


class Voice:
    """One session with its socket and its timer. `discarded` counts packets that were meant
    for it but came over too many routers."""

    __slots__ = (
        "armed_for",
        "destination",
        "discarded",
        "instance",
        "local",
        "patient_until",
        "received",
        "reported",
        "sent",
        "session",
        "socket",
        "timer",
    )

    def __init__(self, instance: BfdInstance, session: Session) -> None:
        self.instance = instance
        self.session = session
        self.local = local_of(instance)
        self.destination = destination(instance)
        self.socket: socket.socket | None = None
        self.timer: Any = None
        self.armed_for = NEVER
        self.patient_until = NEVER
        self.reported: Verdict | None = None
        self.sent = self.received = self.discarded = 0

    def deadline(self) -> float:
        return min(self.session.next_deadline(), NEVER if self.judged else self.patient_until)

    @property
    def judged(self) -> bool:
        """Has anybody been told whether the session is up?"""
        return isinstance(self.reported, Passed | Failed)

    def is_for_us(self, ttl: int | None) -> bool:
        """GTSM: fewer routers than allowed stood in between (RFC 5082, RFC 5881 section 5)."""
        hops = self.instance.max_hops
        return hops in (NO_HOP_LIMIT, ANY_HOPS) or (ttl is not None and ttl >= self.instance.ttl - hops)


class Speaker:
    """`report(name, verdict)` is told of each session's first verdict and every change. `patience`:
    so many idle intervals a new session may take to come up before it is reported down;
    keepalived has none, it reports a session down as soon as it exists."""

    def __init__(
        self,
        report: Report,
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: Callable[[], float] = random.random,
        patience: float = 3.0,
    ) -> None:
        self.voices: dict[str, Voice] = {}
        self.discarded: dict[str, int] = {}
        self._report = report
        self._clock = clock
        self._random = rng
        self._patience = patience
        self._loop: Loop | None = None
        self._receivers: dict[Local, socket.socket] = {}
        self._by_discriminator: dict[int, Voice] = {}
        self._retry: Any = None

    # What the daemon calls.

    def attach(self, loop: Loop) -> None:
        """Run in `loop` from now on."""
        self._loop = loop
        self._open_all()

    def apply(self, instances: Mapping[str, BfdInstance]) -> None:
        """These instances, and no others. Sessions with the same ends go on."""
        for name, voice in list(self.voices.items()):
            wanted = instances.get(name)
            if wanted is None or not _same_ends(voice.instance, wanted):
                self._remove(name)
        for name, instance in instances.items():
            self._keep_or_add(name, instance)
        self._close_idle_receivers()
        self._open_all()

    def verdict(self, name: str) -> Verdict | None:
        """What was last reported of an instance: for checks that a reload adds to it."""
        voice = self.voices.get(name)
        return None if voice is None else voice.reported

    def close(self) -> None:
        """Tell every neighbour that we are administratively down, and end."""
        for name in list(self.voices):
            self._remove(name)
        self._close_idle_receivers()
        if self._retry is not None:
            self._retry.cancel()
        self._loop = None

    # Sessions.

    def _keep_or_add(self, name: str, instance: BfdInstance) -> None:
        voice = self.voices.get(name)
        now = self._clock()
        if voice is None:
            session = Session(instance, self._free_discriminator(), now, self._random)
            voice = Voice(instance, session)
            self.voices[name] = self._by_discriminator[session.discriminator] = voice
        elif voice.instance != instance:
            voice.instance = instance
            voice.session.adopt(instance, now)
            self._attend(voice)

    def _remove(self, name: str) -> None:
        voice = self.voices.pop(name)
        del self._by_discriminator[voice.session.discriminator]
        voice.session.shut(self._clock())
        self._post(voice)
        if voice.timer is not None:
            voice.timer.cancel()
        if voice.socket is not None:
            voice.socket.close()

    def _free_discriminator(self) -> int:
        while (number := secrets.randbits(32)) in self._by_discriminator or number == 0:
            continue
        return number

    # Sockets.

    def _open_all(self) -> None:
        if self._loop is None:
            return
        voices = [voice for voice in self.voices.values() if voice.socket is None]
        missing = [voice for voice in voices if not self._open(self._loop, voice)]
        if missing and self._retry is None:
            self._retry = self._loop.call_later(TRY_AGAIN, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._open_all()

    def _open(self, loop: Loop, voice: Voice) -> bool:
        try:
            if voice.local not in self._receivers:
                sock = self._receivers[voice.local] = receiver(voice.local)
                loop.add_reader(sock, self._readable, voice.local, sock)
            voice.socket = sender(voice.instance)
        except OSError as error:
            detail = f"BFD socket: {os.strerror(error.errno or 0)}"
            self._tell(voice, Unknown(Reason.LOCAL_ADDRESS, detail))
            return False
        voice.patient_until = self._clock() + self._patience * voice.instance.idle_tx
        self._attend(voice)
        return True

    def _close_idle_receivers(self) -> None:
        used = {voice.local for voice in self.voices.values()}
        for local in [local for local in self._receivers if local not in used]:
            sock = self._receivers.pop(local)
            if self._loop is not None:
                self._loop.remove_reader(sock)
            sock.close()

    # Packets.

    def _readable(self, local: Local, sock: socket.socket, most: int = BATCH) -> None:
        for _ in range(most):
            datagram = read(sock)
            if datagram is None:
                return
            self._take(local, datagram)

    def _take(self, local: Local, datagram: Datagram) -> None:
        try:
            packet = decode(datagram.content)
        except WireError as error:
            return self._discard(str(error))
        voice = self._find(local, packet.your_discriminator, datagram.sender)
        if voice is None:
            return self._discard("no session")
        if not voice.is_for_us(datagram.ttl):
            voice.discarded += 1
            return self._discard("too many hops")
        voice.received += 1
        voice.session.receive(packet, self._clock())
        return self._attend(voice)

    def _discard(self, why: str) -> None:
        self.discarded[why] = self.discarded.get(why, 0) + 1

    def _find(self, local: Local, discriminator: int, sender: str) -> Voice | None:
        """By our discriminator once the neighbour knows it, by address before (RFC 5880 6.3)."""
        if discriminator:
            voice = self._by_discriminator.get(discriminator)
            return voice if voice is not None and voice.local == local else None
        address: Address = ip_address(sender)
        candidates = (voice for voice in self.voices.values() if voice.local == local)
        return next((voice for voice in candidates if voice.instance.neighbor == address), None)

    def _post(self, voice: Voice) -> None:
        for packet in voice.session.to_send():
            if voice.socket is not None:
                voice.sent += _sent(voice.socket, packet, voice.destination)

    # Time.

    def _attend(self, voice: Voice) -> None:
        """After anything happened to a session: send, report, arm its timer."""
        self._post(voice)
        for transition in voice.session.transitions():
            if State.UP in (transition.before, transition.after):
                self._tell(voice, bfd_verdict(transition.after is State.UP, _why(transition.diagnostic)))
        self._arm(voice)

    def _arm(self, voice: Voice) -> None:
        """A timer that comes early is cheaper than a new one for each packet, so it only ever
        moves forward when it fires."""
        due = voice.deadline()
        if self._loop is None or due >= voice.armed_for:
            return
        if voice.timer is not None:
            voice.timer.cancel()
        voice.armed_for = due
        voice.timer = self._loop.call_later(max(0.0, due - self._clock()), self._fire, voice)

    def _fire(self, voice: Voice) -> None:
        voice.timer, voice.armed_for = None, NEVER
        now = self._clock()
        if voice.session.next_deadline() <= now:
            self._hear_first(voice)
            voice.session.wake(now)
        if not voice.judged and voice.patient_until <= now and not voice.session.up:
            self._tell(voice, bfd_verdict(False, "no session yet"))
        self._attend(voice)

    def _hear_first(self, voice: Voice) -> None:
        """What waits in the socket was sent in time; if it is read late that is our own doing."""
        sock = self._receivers.get(voice.local)
        if sock is not None:
            self._readable(voice.local, sock, BACKLOG)

    def _tell(self, voice: Voice, verdict: Verdict) -> None:
        if verdict != voice.reported:
            voice.reported = verdict
            self._report(voice.instance.name, verdict)


def _same_ends(one: BfdInstance, other: BfdInstance) -> bool:
    """Can a session go on, or are its sockets other ones?"""
    return all(
        getattr(one, name) == getattr(other, name) for name in ("neighbor", "source", "multihop", "ttl")
    )


def _why(diagnostic: Diagnostic) -> str:
    return "" if diagnostic is Diagnostic.NONE else diagnostic.text


def _sent(sock: socket.socket, packet: bytes, target: tuple[str, int]) -> int:
    """1 when it went out. What does not is like a packet lost on the way: the protocol copes."""
    try:
        sock.sendto(packet, target)
    except OSError:
        return 0
    return 1
