"""Notify scripts: started and forgotten.

keepalived starts each at once and ignores how it ends; several may run in any order. Here
at most `MOST_AT_ONCE` run at a time, so that a thousand servers that fail together do not
become a thousand processes; the others wait their turn. Who starts processes is passed in.
"""

from __future__ import annotations

import asyncio
import collections
import signal
from collections.abc import Callable
from typing import Protocol

from keepalive_py.config.kinds import Script

MOST_AT_ONCE = 64
MOST_WAITING = 10_000
STUCK = 60.0  # seconds in which no place came free, until that is said


class LaunchFailed(Exception):
    """A script could not be started; the text says why."""


class Running(Protocol):
    """A process that was started."""

    def kill(self, number: signal.Signals) -> None: ...


# Starts a script and calls back once when it has ended. Raises LaunchFailed.
Launch = Callable[[Script, Callable[[], None]], Running]
Warn = Callable[[str], None]


class NotifyScripts:
    """The queue of scripts to start and the set of those that run."""

    def __init__(self, launch: Launch, warn: Warn) -> None:
        self.launch = launch
        self.warn = warn
        self.waiting: collections.deque[Script] = collections.deque()
        self.running: dict[int, Running] = {}
        self.started = 0
        self.lost = 0
        self._look: asyncio.TimerHandle | None = None
        self._quiet = asyncio.Event()
        self._quiet.set()

    def run(self, script: Script) -> None:
        if len(self.waiting) >= MOST_WAITING:
            self.lost += 1
            if self.lost == 1:
                self.warn(f"{MOST_WAITING} notify scripts are waiting: further ones are not run")
            return
        self.waiting.append(script)
        self.start_some()

    def start_some(self) -> None:
        while self.waiting and len(self.running) < MOST_AT_ONCE:
            self.start(self.waiting.popleft())
        if self.waiting and self._look is None:
            self._look = asyncio.get_running_loop().call_later(STUCK, self.look, self.started)
        if self.running:
            self._quiet.clear()
        else:
            self._quiet.set()
            self.lost = 0

    def look(self, started: int) -> None:
        """Scripts that never end would keep all others from their start, without a word."""
        self._look = None
        if self.waiting and self.started == started:
            self.warn(
                f"{len(self.running)} notify scripts run, and none ended in {STUCK:g} s: "
                f"{len(self.waiting)} others wait"
            )
        else:
            self.start_some()

    def start(self, script: Script) -> None:
        self.started += 1
        number = self.started
        try:
            self.running[number] = self.launch(script, lambda: self.ended(number))
        except LaunchFailed as failure:
            self.warn(f"Call of script {script.command} failed: {failure}")

    def ended(self, number: int) -> None:
        self.running.pop(number, None)
        self.start_some()

    async def finish(self, patience: float) -> None:
        """Wait up to `patience` seconds for all that were asked for, then end what still runs."""
        try:
            await asyncio.wait_for(self._quiet.wait(), patience)
        except TimeoutError:
            if self.waiting:
                self.warn(f"{len(self.waiting)} notify script(s) are not run: there is no more time")
            self.waiting.clear()
            await self.end_running()

    async def end_running(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for running in list(self.running.values()):
                running.kill(number)
            try:
                await asyncio.wait_for(self._quiet.wait(), 0.2)
                return
            except TimeoutError:
                continue
