"""When a virtual address moves: one machine for each. Pure; time is passed in.

```
            fit for `rise`, hold-down over, not damped
     HELD ------------------------------------------------> ANNOUNCED <--+
      ^  ^----------------- unfit for `fall` -------------------|        | drain taken back
      |                                                         | drain  |
      | drain taken back                                        v        |
   WITHDRAWN <--- quiet, time is over, or unfit ------------ DRAINING ---+
```

A fitness that cannot be told moves nothing. HELD under a drain becomes WITHDRAWN at once.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from keepalive_py.health.damping import REUSE, SUPPRESS, charged, decayed
from keepalive_py.health.fitness import Standing

__all__ = ["Sight", "Timing", "VipPolicy", "VipState"]


class VipState(enum.Enum):
    HELD = "held"
    ANNOUNCED = "announced"
    DRAINING = "draining"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, as in the block `bgp_announcer`."""

    rise: float = 1.0
    fall: float = 0.0
    hold_down: float = 5.0
    half_life: float = 60.0
    drain_time: float = 10.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen of an address at one moment. `quiet`: no new connection for a while."""

    fit: Standing
    drained: bool = False
    quiet: bool = False


class VipPolicy:
    """One address. `since` is the time of the last move."""

    __slots__ = (
        "_damped",
        "_fit_since",
        "_hold_until",
        "_penalty",
        "_penalty_at",
        "_unfit_since",
        "since",
        "state",
        "timing",
    )

    def __init__(self, timing: Timing, now: float, state: VipState = VipState.HELD) -> None:
        self.timing = timing
        self.state = state
        self.since = now
        self._fit_since: float | None = None
        self._unfit_since: float | None = None
        self._hold_until = -math.inf
        self._penalty = 0.0
        self._penalty_at = now
        self._damped = False

    def judge(self, sight: Sight, now: float) -> bool:
        """Move if it is time to. True: the state is another one."""
        self._note(sight.fit, now)
        before = self.state
        {
            VipState.HELD: self._held,
            VipState.ANNOUNCED: self._announced,
            VipState.DRAINING: self._draining,
            VipState.WITHDRAWN: self._withdrawn,
        }[before](sight, now)
        return self.state is not before

    def next_deadline(self, now: float) -> float:
        """When `judge` may move without anything else having changed; inf: never."""
        if self.state is VipState.HELD and self._fit_since is not None:
            return max(self._fit_since + self.timing.rise, self._hold_until, self._free_at(now))
        if self.state in (VipState.ANNOUNCED, VipState.DRAINING) and self._unfit_since is not None:
            return self._unfit_since + self.timing.fall
        if self.state is VipState.DRAINING:
            return self.since + self.timing.drain_time
        return math.inf

    def damped(self, now: float) -> bool:
        return self._free_at(now) > now

    # The states.

    def _held(self, sight: Sight, now: float) -> None:
        if sight.drained:
            self._move(VipState.WITHDRAWN, now)
        elif self._fit_since is not None and self.next_deadline(now) <= now:
            self._move(VipState.ANNOUNCED, now)

    def _announced(self, sight: Sight, now: float) -> None:
        if self._is_unfit(now):
            self._hold_until = now + self.timing.hold_down
            self._punish(now)
            self._move(VipState.HELD, now)
        elif sight.drained:
            self._move(VipState.DRAINING, now)

    def _draining(self, sight: Sight, now: float) -> None:
        if self._is_unfit(now):
            self._move(VipState.WITHDRAWN, now)
        elif not sight.drained:
            self._move(VipState.ANNOUNCED, now)
        elif sight.quiet or now >= self.since + self.timing.drain_time:
            self._move(VipState.WITHDRAWN, now)

    def _withdrawn(self, sight: Sight, now: float) -> None:
        if not sight.drained:
            self._move(VipState.HELD, now)

    def _move(self, state: VipState, now: float) -> None:
        self.state = state
        self.since = now

    # How long it has been fit.

    def _note(self, fit: Standing, now: float) -> None:
        if fit is not Standing.YES:
            self._fit_since = None
        elif self._fit_since is None:
            self._fit_since = now
        if fit is not Standing.NO:
            self._unfit_since = None
        elif self._unfit_since is None:
            self._unfit_since = now

    def _is_unfit(self, now: float) -> bool:
        return self._unfit_since is not None and now >= self._unfit_since + self.timing.fall

    # Damping.

    def _punish(self, now: float) -> None:
        if self.timing.half_life > 0:
            self._penalty = charged(self._decayed(now))
            self._penalty_at = now
            self._damped = self._damped or self._penalty >= SUPPRESS

    def _decayed(self, now: float) -> float:
        return decayed(self._penalty, now - self._penalty_at, self.timing.half_life)

    def _free_at(self, now: float) -> float:
        """When damping ends; the past when there is none."""
        if not self._damped or self.timing.half_life <= 0:
            return -math.inf
        free = self._penalty_at + self.timing.half_life * math.log2(max(self._penalty / REUSE, 1.0))
        if free <= now:
            self._damped = False
        return free
