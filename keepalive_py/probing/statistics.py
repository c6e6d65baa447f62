"""What the engine counts."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

LATENESS_BOUNDS: Final = (0.001, 0.005, 0.010, 0.020, 0.050, 0.100, 0.250, 0.500, 1.0, 5.0)


@dataclass(slots=True)
class Histogram:
    """Counts of values up to each bound; the last count is for all above."""

    bounds: tuple[float, ...] = LATENESS_BOUNDS
    counts: list[int] = field(default_factory=lambda: [0] * (len(LATENESS_BOUNDS) + 1))
    total: float = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class Statistics:
    """Since the engine was made, but for `in_flight` and `children`, which are now.

    `late` is how long after its due time each probe began, in seconds. `shared` counts the
    verdicts that came from a probe of another subscription. `aborted` probes were ended by
    `suspend`, `remove` or `close`, and have no verdict.
    """

    started: int = 0
    passed: int = 0
    failed: int = 0
    unknown: int = 0
    aborted: int = 0
    shared: int = 0
    in_flight: int = 0
    children: int = 0
    late: Histogram = field(default_factory=Histogram)

    @property
    def finished(self) -> int:
        return self.passed + self.failed + self.unknown
