"""max_auto_priority: a daemon that is late on a busy machine takes precedence.

Every beat that comes later than `min_auto_priority_delay` raises our realtime priority by one,
up to `max_auto_priority`. It is not lowered again, as in keepalived. What the kernel refuses is
said once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from keepalive_py.config.model import GlobalDefs

BEAT = 0.5  # seconds


class AutoPriority:
    """`raise_to` sets the realtime priority; it may raise OSError."""

    def __init__(self, raise_to: Callable[[int], None], say: Callable[[str], None]) -> None:
        self._raise_to = raise_to
        self._say = say
        self._most = 0
        self._patience = 0.0
        self._wanted = asyncio.Event()
        self.priority = 0

    def configure(self, defs: GlobalDefs) -> None:
        """0 and below: never."""
        self._most = defs.max_auto_priority
        self._patience = defs.min_auto_priority_delay / 1e6
        self.priority = max(self.priority, defs.checker_rt_priority or 0)
        if self.priority < self._most:
            self._wanted.set()
        else:
            self._wanted.clear()

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wanted.wait()
            due = loop.time() + BEAT
            await asyncio.sleep(BEAT)
            self.came_late(loop.time() - due)

    def came_late(self, seconds: float) -> None:
        """A beat came so long after it was due."""
        if seconds < self._patience or self.priority >= self._most:
            return
        try:
            self._raise_to(self.priority + 1)
        except OSError as error:
            self._say(f"Unable to raise the priority: {error}")
            self._wanted.clear()
            return
        self.priority += 1
        self._say(f"{seconds:.3f} s late: realtime priority is now {self.priority}")
        if self.priority >= self._most:
            self._wanted.clear()
