"""Time for the guards: one timer, and only while some server starts slowly or is held back.

All that is due at a turn becomes one batch for the table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from keepalive_py.health.events import Event
from keepalive_py.health.membership import is_moving, tick
from keepalive_py.health.service_state import ServiceState

__all__ = ["GuardClock"]

TURN: Final = 1.0  # s

# (virtual servers whose pool changed, what happened)
Moved = Callable[[Sequence[ServiceState], Sequence[Event]], None]


class GuardClock:
    """`moved` is told of every turn in which something changed."""

    def __init__(self, now: Callable[[], float], moved: Moved) -> None:
        self.now = now
        self.moved = moved
        self.moving: set[ServiceState] = set()
        self._timer: asyncio.TimerHandle | None = None

    def follow(self, services: Iterable[ServiceState]) -> None:
        """These, and no others: a reload has been."""
        self.moving.clear()
        self.watch(services)

    def watch(self, services: Iterable[ServiceState]) -> None:
        """These may have begun to move."""
        self.moving.update(service for service in services if is_moving(service))
        if self.moving and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TURN, self.turn)

    def turn(self) -> None:
        self._timer = None
        now, moving = self.now(), self.moving
        self.moving = set()
        changed: list[ServiceState] = []
        events: list[Event] = []
        for service in moving:
            different, happened = tick(service, now)
            events += happened
            if different:
                changed.append(service)
        if changed:
            self.moved(changed, events)
        self.watch(moving)

    def close(self) -> None:
        self.moving.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
