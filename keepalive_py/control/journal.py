"""What happened lately, in order: the stream of events, and the latest changes of each server.

One bounded ring for everybody. A reader has a place in it and no buffer of its own: who reads too
slowly finds that the ring has moved on, and is told how much was missed. An entry's text is made when
somebody first reads it, or at the next reload, so ten thousand servers that fail at once cost little
here.

The id of an entry is `BOOT-NUMBER`: numbers begin anew with each start of the daemon, and a reader
who comes back with another boot's id gets everything there is.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from itertools import chain, islice
from typing import Any, Final

from keepalive_py.health import wording
from keepalive_py.health.events import CheckReported, Event, ServerEvent
from keepalive_py.health.facts import fields, kind
from keepalive_py.health.names import rs_name, vs_name

SIZE: Final = 4096  # entries in the ring
CHANGES: Final = 8  # that are remembered of each server
SLICE: Final = 256  # texts between two yields
UNTOLD: Final = (CheckReported,)  # a mail is due: no news to anybody else

Json = dict[str, Any]


class Entry:
    """`at` is the time of day, in seconds."""

    __slots__ = ("_event", "_said", "at", "number")

    def __init__(self, number: int, at: float, source: Event | Json) -> None:
        self.number = number
        self.at = at
        self._event = source if isinstance(source, Event) else None
        self._said: Json = {} if isinstance(source, Event) else {"at": round(at, 3), **source}

    @property
    def is_event(self) -> bool:
        """Its text is not made."""
        return self._event is not None

    @property
    def kind(self) -> str:
        return str(self._said["kind"]) if self._event is None else kind(type(self._event).__name__)

    @property
    def said(self) -> Json:
        """As plain values, without the id."""
        if self._event is not None:
            self._said = {"at": round(self.at, 3), **said_of(self._event)}
            self._event = None
        return self._said


def said_of(event: Event) -> Json:
    return {**fields(event), "text": wording.log_line(event) or sentence(event)}


def sentence(event: Event) -> str:
    """Of events that keepalived does not log."""
    about = fields(event)
    return " ".join(
        [about["kind"].replace("_", " "), *(about[each] for each in ("rs", "vs") if each in about)]
    )


class Journal:
    """`size` entries are kept."""

    def __init__(self, size: int = SIZE, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.boot = f"{int(clock() * 1000):x}"
        self.ring: deque[Entry] = deque(maxlen=size)
        self.number = 0
        self.counts: Counter[tuple[str, str]] = Counter()  # (kind, reason)
        self.changes: dict[tuple[str, str], deque[Entry]] = {}
        self.readers = 0  # who follow it now
        self._news = asyncio.Event()

    def add(self, events: Iterable[Event]) -> None:
        at = self.clock()
        for event in events:
            if isinstance(event, UNTOLD):
                continue
            self.counts[kind(type(event).__name__), event.reason.value] += 1
            entry = self.enter(at, event)
            if isinstance(event, ServerEvent):
                self.remember((vs_name(event.vs), rs_name(event.vs, event.rs.endpoint)), entry)

    def say(self, what: str, text: str, *, reason: str = "", **about: object) -> None:
        """Something that is no event of health; `what` is its kind, in the same form."""
        self.counts[what, reason] += 1
        more = {name: str(value) for name, value in about.items()}
        self.enter(self.clock(), {"kind": what, "reason": reason, **more, "text": text})

    def enter(self, at: float, source: Event | Json) -> Entry:
        self.number += 1
        entry = Entry(self.number, at, source)
        self.ring.append(entry)
        self._news.set()
        return entry

    def remember(self, whom: tuple[str, str], entry: Entry) -> None:
        known = self.changes.get(whom)
        if known is None:
            known = self.changes[whom] = deque(maxlen=CHANGES)
        known.append(entry)

    def changes_of(self, vs: str, rs: str) -> list[Json]:
        """The latest last."""
        return [entry.said for entry in self.changes.get((vs, rs), ())]

    def forget_others(self, present: Iterable[tuple[str, str]]) -> None:
        """Of servers that are no longer there nothing is kept but what the ring has."""
        if self.changes:
            stays = self.changes.keys() & set(present)
            self.changes = {whom: self.changes[whom] for whom in stays}

    async def write_down(self) -> None:
        """Make the texts of all that happened so far: an event keeps the whole virtual server of its
        time, which after a reload nothing else does. In slices, so that probes go on."""
        kept = chain(self.ring, chain.from_iterable(self.changes.values()))
        events = [entry for entry in kept if entry.is_event]
        for start in range(0, len(events), SLICE):
            for entry in events[start : start + SLICE]:
                _ = entry.said
            await asyncio.sleep(0)

    # Readers.

    def id_of(self, number: int) -> str:
        return f"{self.boot}-{number}"

    def place_of(self, text: str) -> int:
        """The number after which somebody who last saw the id `text` goes on; 0: from the oldest."""
        boot, _, number = text.rpartition("-")
        return int(number) if boot == self.boot and number.isdecimal() else 0

    def after(self, number: int) -> tuple[list[Entry], int]:
        """What came after entry `number`, and how many of those are no longer there."""
        missing = max(0, self.number - number)
        have = min(missing, len(self.ring))
        latest = list(islice(reversed(self.ring), have))
        latest.reverse()
        return latest, missing - have

    async def news(self, number: int) -> None:
        """Until there is something after entry `number`."""
        while self.number <= number:
            self._news.clear()
            await self._news.wait()
