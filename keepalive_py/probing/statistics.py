"""What the engine counts."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

DURATION_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.010, 0.025, 0.050, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LATENESS_BOUNDS: Final = (0.001, 0.005, 0.010, 0.020, 0.050, 0.100, 0.250, 0.500, 1.0, 5.0)


@dataclass(slots=True)
class Histogram:
    """Counts of values up to each bound; the last count is for all above."""

    bounds: tuple[float, ...] = LATENESS_BOUNDS
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class Statistics:
    """Since the engine was made, but for `in_flight` and `children`, which are now.

    `late` is how long after its due time each probe began, `took` how long those with a verdict
    lasted, by kind of check, both in seconds. `shared` counts the
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
    took: dict[str, Histogram] = field(default_factory=dict)

    def lasted(self, kind: str, seconds: float) -> None:
        """A probe for this kind of check has passed or failed after so long."""
        found = self.took.get(kind)
        if found is None:
            found = self.took[kind] = Histogram(DURATION_BOUNDS)
        found.add(seconds)

    @property
    def finished(self) -> int:
        return self.passed + self.failed + self.unknown
