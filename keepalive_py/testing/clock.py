"""A clock that stands still until it is told to go on.

It takes the place of the event loop's own: timeouts, sleeps, intervals of checks, retries of the
table's writer and hold-downs of the announcer all wait for `advance`, which goes from one deadline
to the next and lets everything that is due happen before it goes on. Nothing sleeps.

Sockets know no clock, so between two deadlines there is real work to wait for: whoever does some
adds a function to `busy` that names what is under way. A piece of work that is still not done
after `PATIENCE` real seconds is taken for one that waits for time to pass.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Any, Final, TypeVar

T = TypeVar("T")

PATIENCE: Final = 1.0  # real seconds
QUIET: Final = 3  # turns of the loop in which nothing happened
BREATH: Final = 0.0005  # real seconds

Busy = Callable[[], Iterable[Hashable]]


class VirtualClock:
    """`now` is in seconds of the loop; `elapsed` counts from the clock's beginning."""

    def __init__(self) -> None:
        """Stops the time of the running loop. RuntimeError: that is not one of asyncio's own."""
        loop: Any = asyncio.get_running_loop()
        if not hasattr(loop, "_ready") or isinstance(getattr(loop, "time", None), _Reading):
            raise RuntimeError("a virtual clock needs a loop of asyncio's own, without another one on it")
        self.loop = loop
        self.now: float = loop.time()
        self.began = self.now
        self.busy: list[Busy] = []
        self._outlasted: set[Hashable] = set()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = 0
        self._call_at: Callable[..., asyncio.TimerHandle] = loop.call_at
        loop.time, loop.call_at = _Reading(self), self._noted

    def close(self) -> None:
        """The loop has its own time again."""
        if isinstance(self.loop.__dict__.get("time"), _Reading):
            del self.loop.time, self.loop.call_at

    @property
    def elapsed(self) -> float:
        return float(self.now - self.began)

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass: everything that is due happens in its order. Returns when nothing is
        left to do at that moment."""
        if seconds < 0:
            raise ValueError("time goes forward")
        end = self.now + seconds
        await self.settle()
        while (due := self.next_due()) is not None and due <= end:
            self.now = due
            await self.settle()
        self.now = end
        await self.settle()

    async def settle(self) -> None:
        """Let everything happen that needs no time."""
        await self._quiet()
        limit = time.monotonic() + PATIENCE
        while under_way := self._under_way():
            if time.monotonic() > limit:
                self._outlasted |= under_way
                return
            time.sleep(BREATH)  # noqa: ASYNC251 - for the kernel and for other processes
            await self._quiet()

    async def run(self, work: Awaitable[T]) -> T:
        """The result of `work`; time passes while it waits for nothing else."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await self.settle()
            if not task.done():
                due = self.next_due()
                if due is None:
                    return await task  # for what is not of this loop: a thread, a process
                self.now = due
        return task.result()

    def next_due(self) -> float | None:
        """When something wants to be woken; None: nothing does."""
        while self._timers:
            when, _, handle = self._timers[0]
            if when > self.now and not handle.cancelled():
                return when
            heapq.heappop(self._timers)
        return None

    def _under_way(self) -> set[Hashable]:
        return {token for busy in self.busy for token in busy()} - self._outlasted

    async def _quiet(self) -> None:
        turns = 0
        while turns < QUIET:
            await asyncio.sleep(0)
            turns = 0 if self.loop._ready else turns + 1

    def _noted(self, when: float, callback: Callable[..., Any], *args: Any, **more: Any) -> Any:
        handle = self._call_at(when, callback, *args, **more)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle


class _Reading:
    """What the loop calls for the time."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock

    def __call__(self) -> float:
        return self.clock.now
