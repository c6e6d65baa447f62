"""The deadline wheel: what is due, in steps of a tick.

A timer of its own for each of ten thousand probes costs more than the probe. Here an entry is
a key in the bucket of its tick: putting and taking are one dictionary operation each, and the
loop needs one timer for the whole wheel. Nothing comes early; everything comes at most one
tick late.
"""

from __future__ import annotations

import heapq
from math import ceil
from typing import Final, Protocol

NOWHERE: Final = -1


class Entry(Protocol):
    """What the wheel holds. `slot` belongs to the wheel and starts as NOWHERE."""

    slot: int

    def expire(self, now: float) -> None:
        """Called once when the time has come; the entry is out of the wheel by then."""


class Wheel:
    """Entries by due time. `tick` in seconds."""

    __slots__ = ("_buckets", "_order", "_per_second", "tick")

    def __init__(self, tick: float) -> None:
        self.tick = tick
        self._per_second = 1.0 / tick
        self._buckets: dict[int, dict[Entry, None]] = {}
        self._order: list[int] = []

    def put(self, entry: Entry, when: float) -> None:
        """Due at `when`; moves an entry that is already in."""
        if entry.slot != NOWHERE:
            self.take(entry)
        slot = ceil(when * self._per_second)
        bucket = self._buckets.get(slot)
        if bucket is None:
            bucket = self._buckets[slot] = {}
            heapq.heappush(self._order, slot)
        bucket[entry] = None
        entry.slot = slot

    def take(self, entry: Entry) -> None:
        """Out of the wheel; nothing happens when it is not in."""
        if entry.slot != NOWHERE:
            del self._buckets[entry.slot][entry]
            entry.slot = NOWHERE

    def pop(self, now: float) -> Entry | None:
        """One entry that is due, or None."""
        while self._order:
            slot = self._order[0]
            if slot * self.tick > now + 1e-9:
                return None
            bucket = self._buckets[slot]
            if bucket:
                entry, _ = bucket.popitem()
                entry.slot = NOWHERE
                return entry
            self._drop_first()
        return None

    def next(self) -> float | None:
        """When the first entry is due; None: the wheel is empty."""
        while self._order:
            slot = self._order[0]
            if self._buckets[slot]:
                return slot * self.tick
            self._drop_first()
        return None

    def _drop_first(self) -> None:
        del self._buckets[heapq.heappop(self._order)]
