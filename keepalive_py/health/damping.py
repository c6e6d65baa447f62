"""damping_half_life: a server that goes up and down all the time is left out for a while. Pure.

Each time its checks take it down a server is charged 1; what it was charged is halved in each half
life. With 3 it is *suppressed* when it comes up again: out of the pool although up, until the
charge is below 1.5. It never exceeds 6, so after the last failure a server is out for at most two half
lives. (Terms are those of route flap damping, RFC 2439. The announcer damps addresses by the same
numbers.)

A suppressed server is taken all the same when otherwise the pool would be empty, or smaller than
its depool_threshold.
"""

from __future__ import annotations

import math
from typing import Final

from keepalive_py.health.service_state import ServerState

__all__ = [
    "MOST",
    "REUSE",
    "SUPPRESS",
    "charge",
    "charged",
    "decayed",
    "is_over",
    "must_suppress",
    "penalty",
]

SUPPRESS: Final = 3.0
REUSE: Final = 1.5
MOST: Final = 6.0


def decayed(penalty: float, since: float, half_life: float) -> float:
    """What is left of it after so many seconds."""
    return penalty * math.exp2(-max(0.0, since) / half_life)


def charged(penalty: float) -> float:
    """After one more charge."""
    return min(penalty + 1.0, MOST)


def penalty(server: ServerState, half_life: float, now: float) -> float:
    """What is left of the charges."""
    if half_life <= 0 or not server.penalty:
        return 0.0
    return decayed(server.penalty, now - server.penalty_at, half_life)


def charge(server: ServerState, half_life: float, now: float) -> None:
    """It has gone down."""
    if half_life > 0:
        server.penalty = charged(penalty(server, half_life, now))
        server.penalty_at = now


def must_suppress(server: ServerState, half_life: float, now: float) -> bool:
    """Whether `server`, which has come up, is to be left out."""
    return penalty(server, half_life, now) >= (REUSE if server.suppressed else SUPPRESS)


def is_over(server: ServerState, half_life: float, now: float) -> bool:
    """Whether a suppressed server may serve again."""
    return penalty(server, half_life, now) < REUSE
