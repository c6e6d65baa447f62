"""Health kept over a restart: written to the state directory when it changes, read at a start.

Whoever changes a virtual server marks it (`touch`). A second later those that are marked are put
into words, and the whole file is written in a thread; while changes go on the pause grows with
the time that a write takes. While nothing changes it is written every minute, so that its age says
how long ago its daemon was alive.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from keepalive_py.daemon import voice
from keepalive_py.daemon.state_directory import StateDirectory
from keepalive_py.health.checker_state import CheckerState
from keepalive_py.health.remembered import Memory, remembered
from keepalive_py.health.service_state import ServiceState

__all__ = ["Host", "Remembering"]

FILE: Final = "health.json"
VERSION: Final = 1
RECENT: Final = 900.0  # s; what is older says little of servers now
PAUSE: Final = 1.0  # s from a change to the file
SHARE: Final = 0.1  # of the time that writing may take
TURN: Final = 0.003  # s of work between two yields
ALIVE_EVERY: Final = 60.0  # s


class Host(Protocol):
    """What there is to remember: the supervisor."""

    @property
    def services(self) -> list[ServiceState]: ...

    @property
    def now(self) -> float: ...

    def next_run(self, checker: CheckerState) -> float | None:
        """When the check is due, on the clock of `now`; None: nobody knows."""

    def statistics_kept(self) -> Mapping[str, Any]:
        """What is counted on over a restart, as values of JSON."""


class Remembering:
    """Without a state directory all of it does nothing."""

    def __init__(self, host: Host, directory: StateDirectory) -> None:
        self.host = host
        self.directory = directory
        self.touched: set[ServiceState] = set()
        self.words: dict[ServiceState, str] = {}
        self.writes = 0
        self.running = False
        self.pause = PAUSE
        self._timer: asyncio.TimerHandle | None = None
        self._work: asyncio.Task[None] | None = None

    # Reading.

    def recalled(self) -> tuple[Memory, Mapping[str, Any]]:
        """What the last daemon left, and its statistics; nothing of it when it is old."""
        now, wall = self.host.now, time.time()
        nothing: tuple[Memory, Mapping[str, Any]] = Memory((), now, wall), {}
        content = self.directory.read(FILE)
        if content is None:
            return nothing
        try:
            age, services, statistics = read(content, wall)
            memory = Memory(services, now, wall)
        except ValueError as error:
            voice.warn(f"{self.directory.path}/{FILE} is not ours to read, nothing is remembered: {error}")
            return nothing
        if not 0 <= age <= RECENT:
            voice.say(f"Health is not remembered: {FILE} is {age:.0f} s old, more than {RECENT:.0f} s")
            return nothing[0], statistics
        return memory, statistics

    # Writing.

    def start(self) -> None:
        if self.directory:
            self.running = True
            self.touch(self.host.services)

    def touch(self, services: Iterable[ServiceState]) -> None:
        """These have changed."""
        if self.running:
            self.touched.update(services)
            self.arm(self.pause)

    def arm(self, seconds: float) -> None:
        """The next write, unless one is due earlier; one that is under way arms it again."""
        loop = asyncio.get_running_loop()
        if self._work is not None and not self._work.done():
            return
        if self._timer is not None:
            if self._timer.when() <= loop.time() + seconds:
                return
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self.begin)

    def begin(self) -> None:
        self._timer = None
        self._work = asyncio.get_running_loop().create_task(self.work(), name="remembering")
        self._work.add_done_callback(self.go_on)

    async def work(self) -> None:
        began = time.monotonic()
        with voice.apart("remembering"):  # nothing but this file depends on it
            await self.write()
        self.pause = max(PAUSE, (time.monotonic() - began) / SHARE)

    def go_on(self, _work: asyncio.Task[None]) -> None:
        if self.running:
            self.arm(self.pause if self.touched else ALIVE_EVERY)

    async def write(self) -> None:
        """The file as everything is now."""
        await self.put_into_words()
        self.writes += await asyncio.to_thread(self.directory.write, FILE, self.text().encode())

    def text(self) -> str:
        head = json.dumps(
            {"version": VERSION, "written": round(time.time(), 3), "statistics": self.host.statistics_kept()}
        )
        services = ",\n".join(self.words.values())
        return f'{head[:-1]}, "services": [\n{services}\n]}}\n'

    async def put_into_words(self) -> None:
        """What changed, with yields; what is not there any more is forgotten."""
        touched, self.touched = self.touched, set()
        services = self.host.services
        began, now, wall = time.perf_counter(), self.host.now, time.time()
        for service in [service for service in services if service in touched]:
            self.words[service] = json.dumps(remembered(service, now, wall, self.host.next_run))
            if time.perf_counter() - began > TURN:
                await asyncio.sleep(0)
                began, now, wall = time.perf_counter(), self.host.now, time.time()
        if len(self.words) != len(services):
            there = set(services)
            self.words = {service: words for service, words in self.words.items() if service in there}

    async def close(self) -> None:
        """Write all of it once more; the last word is the next process's first."""
        if not self.running:
            return
        self.running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._work is not None:  # a write that is under way comes to its end
            await self._work
        self.touched.update(self.host.services)
        await self.write()


def read(content: bytes, wall: float) -> tuple[float, list[dict[str, Any]], Mapping[str, Any]]:
    """The age in seconds, the virtual servers and the statistics. Raises ValueError."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise ValueError(f"it is not of version {VERSION}")
    written, services, statistics = (document.get(name) for name in ("written", "services", "statistics"))
    if not isinstance(written, int | float) or not isinstance(services, list):
        raise ValueError("something is missing")
    return wall - written, services, statistics if isinstance(statistics, dict) else {}
