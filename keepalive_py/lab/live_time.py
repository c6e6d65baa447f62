"""Time during which this machine really ran.

A kernel in user mode stands still while its host does not schedule it, or writes to a slow disk.
A connection, or a daemon, can do nothing in such a time, and must not be blamed for it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

TICK = 0.05  # s
COUNTS_AS = 3 * TICK  # s; what one tick is worth at most, however late it came


class LiveClock:
    """Seconds of a clock that stands still while the machine does; a thread counts them. Use as a
    context manager."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count, name="live clock", daemon=True)

    def __enter__(self) -> LiveClock:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _count(self) -> None:
        last = time.monotonic()
        while not self._over.wait(TICK):
            now = time.monotonic()
            self.seconds += min(now - last, COUNTS_AS)
            last = now


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """`work`'s result. TimeoutError, and `work` cancelled, when this event loop ran for so long
    without one; `asyncio.wait_for` also counts the time in which nothing ran."""
    task = asyncio.ensure_future(work)
    try:
        for _ in range(round(seconds / TICK)):
            await asyncio.wait({task}, timeout=TICK)
            if task.done():
                return task.result()
        raise TimeoutError
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
