"""What happened, as past facts. Pure.

Each event is one line of keepalived's log; some also run a script, write a FIFO line or
send a mail. `wording` turns an event into these; nothing here is text.

```
Event
├── CheckEvent                 one check of one real server
│   ├── CheckPassed            first success, or recovery
│   ├── PartPassed             one url of several
│   ├── AttemptFailed          only with log_all_failures
│   ├── CheckFailed            the check is down now
│   ├── CheckReported          the mail that follows all that the check's change caused
│   └── CheckArmed             (de)activated at start, reload, suspension
├── ServerEvent
│   ├── ServerUp, ServerDown   the real server joins or leaves
│   ├── WeightChanged
│   ├── ServerHeld, ServerReleased     depool_threshold: in although down; up again
│   ├── ServerSuppressed               damping_half_life: out although up
│   ├── SlowStart                      slow_start begins, is over
│   ├── ServerGone             no longer configured
│   └── ServerWithdrawn        taken out by a reload or by stopping
├── QuorumGained, QuorumLost
├── SorryServerIn, SorryServerOut, PoolRestored, PoolEmptied
├── GroupMemberAdded, GroupMemberGone
└── ServiceGone, ServiceWithdrawn
```
"""

from __future__ import annotations

from dataclasses import dataclass, field

from keepalive_py.config.model import CheckConfig, GroupMember, RealServer, SorryServer, VirtualServer
from keepalive_py.health.verdict import Failed, Passed, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`at` is the monotonic time in seconds that the caller handed in."""

    at: float
    reason: Reason
    vs: VirtualServer = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent(Event):
    rs: RealServer


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckEvent(ServerEvent):
    check: CheckConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPassed(CheckEvent):
    """`recovered`: it was down; else this was its first run."""

    verdict: Passed
    recovered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPassed(CheckEvent):
    """One url passed while the check is down."""

    verdict: Passed


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed(CheckEvent):
    """Attempt number `attempt` (from 0) failed; `last`: no retry is left, CheckFailed follows."""

    verdict: Failed
    attempt: int
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFailed(CheckEvent):
    """`first_run`: it never ran before, so no retries were made."""

    verdict: Failed
    first_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReported(CheckEvent):
    """A mail is due. `server_up` is the real server's state now, `server_changed` whether this
    check has just changed it (otherwise `no_checker_emails` holds the mail back)."""

    verdict: Passed | Failed
    server_up: bool
    server_changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckArmed(CheckEvent):
    """`active` False: put to sleep. `reason` tells a start or reload from a suspension."""

    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUp(ServerEvent):
    """Alive, counts for the quorum. `quiet`: notifications only, no log line (rs_init_notifies)."""

    weight: int
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDown(ServerEvent):
    """`quiet`: notifications only, no log line (an alpha server that failed its first check)."""

    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightChanged(ServerEvent):
    before: int
    after: int
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHeld(ServerEvent):
    """Down, and kept in the pool: `serving` servers are in it now, `needed` have to be."""

    serving: int
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReleased(ServerEvent):
    """It was held and is alive again. (One that leaves the pool is a ServerDown.)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSuppressed(ServerEvent):
    """Alive, and left out of the pool because it changed too often."""

    penalty: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowStart(ServerEvent):
    """It begins with `weight`; or, `over`, has come to all of it."""

    weight: int
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerGone(ServerEvent):
    """The new configuration does not have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerWithdrawn(ServerEvent):
    """Taken out of the kernel for good. `inhibited`: it was down and kept there with weight 0;
    `notify`: scripts, FIFO and mail are due."""

    inhibited: bool
    notify: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumGained(Event):
    """`weight` is the alive weight; `initial`: found at a start or reload."""

    weight: int
    initial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumLost(Event):
    weight: int
    initial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SorryServerIn(Event):
    sorry: SorryServer


@dataclass(frozen=True, slots=True, kw_only=True)
class SorryServerOut(Event):
    sorry: SorryServer


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRestored(Event):
    """The alive real servers take over from the sorry server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolEmptied(Event):
    """The alive real servers leave: the sorry server has taken over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMemberAdded(Event):
    member: GroupMember


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMemberGone(Event):
    member: GroupMember


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceGone(Event):
    """The new configuration does not have this virtual server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceWithdrawn(Event):
    """All its real servers are out: quorum_down, FIFO and mail are due."""
