"""The latest runs of one check, in a small ring: what a page draws and a person reads. Pure.

Ten thousand checks have one each, and a run costs well under a microsecond here.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from typing import Final, NamedTuple

from keepalive_py.health.verdict import Failed, Passed, Verdict

SIZE: Final = 16  # runs that are remembered
PLUS, MINUS = 1.0, -1.0


class Run(NamedTuple):
    """`ended` on the clock that was passed in; `took` in seconds, None of a run without a verdict."""

    ended: float
    took: float | None
    passed: bool | None


class History:
    """A run's duration is kept with the sign of its verdict: negative failed, NaN unknown."""

    __slots__ = ("_at", "_ended", "_took")

    def __init__(self) -> None:
        self._at = 0
        self._ended = array("d")
        self._took = array("f")

    def add(self, verdict: Verdict, started: float, ended: float) -> None:
        kind = type(verdict)
        if kind is Passed:
            took = ended - started
        elif kind is Failed:
            took = math.copysign(ended - started, MINUS)
        else:
            took = math.nan
        if len(self._took) < SIZE:
            self._took.append(took)
            self._ended.append(ended)
        else:
            at = self._at
            self._took[at], self._ended[at] = took, ended
            self._at = (at + 1) % SIZE

    def runs(self) -> Iterator[Run]:
        """The oldest first."""
        count = len(self._took)
        return (self.run((self._at + index) % count) for index in range(count))

    def run(self, at: int) -> Run:
        took = self._took[at]
        if math.isnan(took):
            return Run(self._ended[at], None, None)
        return Run(self._ended[at], abs(took), math.copysign(1.0, took) == PLUS)

    @property
    def last(self) -> Run | None:
        count = len(self._took)
        return self.run((self._at - 1) % count) if count else None
