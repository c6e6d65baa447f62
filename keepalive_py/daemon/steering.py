"""What operators want of real servers, at work: kept over a restart, ended in time, said aloud.

It is in the state directory's `overrides.json`; without a state directory it is remembered only as
long as this process runs, and whoever asks is told so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

from keepalive_py.control.journal import Journal
from keepalive_py.daemon import voice
from keepalive_py.daemon.state_directory import StateDirectory
from keepalive_py.health.names import vs_name
from keepalive_py.health.override import Key, Override, Overrides, Weights, from_json, usable
from keepalive_py.health.service_state import ServiceState

FILE: Final = "overrides.json"
SOON: Final = 0.01  # seconds; a timer may be that early
RETRY: Final = 30.0  # seconds from a write that failed to the next
LONGEST_TIMER: Final = 86400.0  # seconds: the time of day may be changed meanwhile


class Steering:
    """`touched` is called with those whose pool is to be seen to again."""

    def __init__(
        self,
        state: StateDirectory,
        journal: Journal,
        touched: Callable[[Iterable[Override]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.state = state
        self.journal = journal
        self.touched = touched
        self.clock = clock
        self.overrides = Overrides()
        self.empty: set[str] = set()  # virtual servers whose last usable server was taken by us
        self._saving = asyncio.Lock()
        self._work: set[asyncio.Task[bool]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.unsaved = False  # a restart would find other orders than hold now
        self._again: asyncio.TimerHandle | None = None

    # For the table.

    def weights(self, service: ServiceState) -> Weights:
        """Of those of its servers that are to be otherwise than health says."""
        found = self.overrides.weights(service)
        if found or self.empty:
            self.look_at(service, found)
        return found

    def look_at(self, service: ServiceState, weights: Weights) -> None:
        """An empty pool is never silent: said when it begins and when it ends."""
        name = vs_name(service.vs)
        empty = bool(weights) and not usable(service, weights) and usable(service, {}) > 0
        if empty and name not in self.empty:
            self.empty.add(name)
            self.say(
                "pool_steered_empty",
                f"No server of VS {name} gets connections: operators took all of them",
                vs=name,
            )
            voice.warn(f"No server of VS {name} gets connections: operators took all that are up")
        elif not empty and name in self.empty:
            self.empty.discard(name)
            self.say("pool_steered_full", f"VS {name} has a server again that gets connections", vs=name)

    # For operators.

    async def put(self, *new: Override) -> bool:
        """From now on. Whether it will be remembered over a restart."""
        for each in new:
            self.overrides.put(each)
            about = {"vs": each.service} if each.service else {}
            self.say("override_set", sentence(each), by=each.by, rs=each.server, **about)
        return await self.changed(new)

    async def lift(self, keys: Iterable[Key], by: str) -> list[Override]:
        """Take back. Those that there were."""
        gone = [self.overrides.by_key.pop(key) for key in list(keys) if key in self.overrides.by_key]
        for each in gone:
            self.say(
                "override_lifted", f"{by} took back: {each.whom()} {worded(each)}", by=by, rs=each.server
            )
        if gone:
            await self.changed(gone)
        return gone

    async def changed(self, which: Iterable[Override]) -> bool:
        self.touched(which)
        self.arm()
        return await self.save()

    def say(self, what: str, text: str, **about: object) -> None:
        voice.log.info(text, kind=what)
        self.journal.say(what, text, reason="operator", **about)

    # Time.

    def arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        end = self.overrides.next_end()
        if end is not None:
            wait = min(max(end - self.clock() + SOON, SOON), LONGEST_TIMER)
            self._timer = asyncio.get_running_loop().call_later(wait, self.expire)

    def expire(self) -> None:
        """Those whose time is over end."""
        over = self.overrides.expired(self.clock())
        for each in over:
            del self.overrides.by_key[each.key]
            self.say("override_expired", f"Its time is over: {each.whom()} {worded(each)}", rs=each.server)
        if over:
            self.touched(over)
            self.save_soon()
        self.arm()

    # Memory.

    def load(self) -> None:
        """What an earlier process was told, as far as it still holds."""
        now = self.clock()
        found = self.state.read_json(FILE).get("overrides")
        for value in found if isinstance(found, list) else []:
            each = from_json(value)
            if each is not None and each.holds(now):
                self.overrides.put(each)
                voice.say(f"Remembered: {sentence(each)}")
        self.arm()

    async def save(self) -> bool:
        """In a thread, since it waits for the disk."""
        async with self._saving:
            value = {"overrides": [each.as_json() for each in self.overrides.by_key.values()]}
            kept = bool(self.state) and await asyncio.to_thread(self.state.write_json, FILE, value)
        self.written(kept or not self.state)
        return kept

    def save_soon(self) -> None:
        task = asyncio.get_running_loop().create_task(self.save())
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def written(self, well: bool) -> None:
        """What is not would come back as it was: an order that was taken back takes a server out again."""
        if well and self.unsaved:
            voice.say("What operators want is written down again")
        elif not well and not self.unsaved:
            voice.warn("What operators want cannot be written down: a restart would find it as it was")
        self.unsaved = not well
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self.unsaved:
            self._again = asyncio.get_running_loop().call_later(RETRY, self.save_soon)

    def close(self) -> None:
        for timer in (self._timer, self._again):
            if timer is not None:
                timer.cancel()


def worded(override: Override) -> str:
    return {"drain": "drained", "disable": "disabled"}.get(override.action.value) or f"at {override.wants()}"


def sentence(override: Override) -> str:
    until = ""
    if override.until:
        until = time.strftime(" until %Y-%m-%d %H:%M:%S", time.localtime(override.until))
    why = f": {override.reason}" if override.reason else ""
    return f"{override.by} wants {override.whom()} to be {worded(override)}{until}{why}"
