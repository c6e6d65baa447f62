"""What a handshake that carried the option proves. Pure.

A trial is one connection: in which segments the option stood, which address it told, what the
listener saw. FULLNAT kernels put it into the SYN, the handshake's last ACK and the first data, so
that is the trial that decides; those with the option in one segment alone show what a module looks
at. Modules read the ACK (accept(2) comes before any data). What was seen decides, not what is loaded:
an eBPF program may do the work as well.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keepalive_py.health.fitness import Standing
from keepalive_py.net import Endpoint

__all__ = ["Listener", "Place", "Result", "Seen", "Trial", "Verdict", "judge", "standing", "summary"]


class Place(enum.Enum):
    """In which segments the option is sent."""

    ALL = "as the balancer sends it"
    SYN = "SYN"
    ACK = "ACK of the handshake"
    DATA = "first data"


class Listener(enum.Enum):
    """What listens: an IPv4 socket, one for both (`::` with IPv4 clients), an IPv6 one."""

    V4 = "IPv4"
    DUAL = "dual-stack"
    V6 = "IPv6"


@dataclass(frozen=True, slots=True)
class Seen:
    """The peer as the application got it: from accept(2), from getpeername(2) right after, and
    from getpeername(2) after the first data."""

    accepted: Endpoint
    peer: Endpoint
    peer_later: Endpoint


@dataclass(frozen=True, slots=True)
class Trial:
    """`seen` None: the connection did not come about, and `trouble` says why."""

    layout: str
    listener: Listener
    place: Place
    told: Endpoint
    seen: Seen | None
    trouble: str = ""

    @property
    def at_accept(self) -> bool:
        """Both calls gave the told address before any data."""
        return self.seen is not None and self.seen.accepted == self.told == self.seen.peer

    @property
    def works(self) -> bool:
        return self.at_accept and self.seen is not None and self.seen.peer_later == self.told

    @property
    def late(self) -> bool:
        """Only getpeername(2) after the data gave it."""
        return self.seen is not None and self.seen.peer != self.told == self.seen.peer_later


class Verdict(enum.Enum):
    WORKS = "works"
    BROKEN = "loaded but does not work"
    NOT_LOADED = "not loaded"
    UNTRIED = "could not be tried"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one layout with one kind of listener."""

    layout: str
    listener: Listener
    verdict: Verdict
    detail: str = ""
    places: tuple[Place, ...] = ()  # single segments from which it was read in time for accept(2)

    @property
    def decides(self) -> bool:
        """Not every module serves dual-stack listeners, nor does every host have one: those are shown."""
        return self.listener is not Listener.DUAL

    def __str__(self) -> str:
        return f"{self.layout} ({self.listener.value} listener): {self.verdict.value}" + (
            f": {self.detail}" if self.detail else ""
        )


def judge(trials: Sequence[Trial], *, loaded: bool) -> Result:
    """The trials of one layout with one kind of listener; one has the option in all segments."""
    whole = next(trial for trial in trials if trial.place is Place.ALL)
    places = tuple(trial.place for trial in trials if trial.place is not Place.ALL and trial.at_accept)
    verdict, detail = _verdict(whole, loaded)
    return Result(whole.layout, whole.listener, verdict, detail, places)


def _verdict(trial: Trial, loaded: bool) -> tuple[Verdict, str]:
    if trial.seen is None:
        return Verdict.UNTRIED, trial.trouble
    if trial.works:
        return Verdict.WORKS, "" if loaded else "by something else than the module, which is not loaded"
    return (Verdict.BROKEN if loaded else Verdict.NOT_LOADED), _difference(trial, trial.seen)


def _difference(trial: Trial, seen: Seen) -> str:
    if trial.late:
        return f"sent {trial.told}; accept() gave {seen.accepted}, right only after the first data"
    if seen.accepted == seen.peer:
        return f"sent {trial.told}; the application saw {seen.accepted}"
    return f"sent {trial.told}; accept() gave {seen.accepted} and getpeername() {seen.peer}"


def standing(results: Iterable[Result], *, loaded: bool) -> Standing:
    """Whether the module does its work. A module without anything to verify is well when loaded;
    what could not be tried says nothing."""
    verdicts = [result.verdict for result in results if result.decides]
    if any(verdict in (Verdict.BROKEN, Verdict.NOT_LOADED) for verdict in verdicts):
        return Standing.NO
    if Verdict.UNTRIED in verdicts:
        return Standing.UNKNOWN if loaded else Standing.NO
    return Standing.YES if verdicts or loaded else Standing.NO


def summary(results: Sequence[Result], *, loaded: bool) -> Verdict:
    """One word for all layouts: the worst."""
    order = (Verdict.BROKEN, Verdict.NOT_LOADED, Verdict.UNTRIED, Verdict.WORKS)
    found = {result.verdict for result in results if result.decides}
    for verdict in order:
        if verdict in found:
            return verdict
    return Verdict.UNTRIED if loaded else Verdict.NOT_LOADED
