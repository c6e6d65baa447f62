"""One virtual server's state, and the pool that follows from it. Pure.

What follows from what:

- A real server is alive ⇔ none of its checks is down. One with alpha that cannot run on this host is no
  check any more (`unproven`): it has never passed.
- A real server serves ⇔ it is alive, unless a guard of ours says otherwise (`membership`).
- The sorry server serves ⇔ one is configured and the quorum is down. The real servers then leave
  the pool (or stay with weight 0, with inhibit_on_failure).

So the pool is derived (`weights`, `sorry_weight`), never stored, and no answer of the kernel is
needed to know it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from keepalive_py.config.model import GroupMember, RealServer, VirtualServer
from keepalive_py.health.checker_state import CheckerState

MAX_WEIGHT: Final = 2**31 - 1
SORRY_WEIGHT: Final = 1
FULL: Final = 100  # percent of the weight


class ServerState:
    """One real server of one virtual server.

    `failed` counts its checks that are down (what is `unproven` as one), `weight` is the effective
    weight (the configured one plus what its dynamic checks add), `since` the time of the last change.
    `service` is None once a reload has removed it.

    What guards do to it: `held`: in the pool although down. `suppressed`: out of it when alive.
    `share` is the percentage of its weight that it gets; less than 100 during a slow start, which
    began at `ramp_since`. `penalty` is what it was charged for going down, as of `penalty_at`.
    """

    __slots__ = (
        "checkers",
        "failed",
        "held",
        "penalty",
        "penalty_at",
        "ramp_since",
        "rs",
        "service",
        "share",
        "since",
        "suppressed",
        "weight",
    )

    def __init__(self, service: ServiceState, rs: RealServer, now: float) -> None:
        self.service: ServiceState | None = service
        self.rs = rs
        self.checkers: tuple[CheckerState, ...] = ()
        self.failed = 0
        self.weight = rs.weight
        self.since = now
        self.held = False
        self.suppressed = False
        self.share = FULL
        self.ramp_since: float | None = None
        self.penalty = 0.0
        self.penalty_at = now

    @property
    def alive(self) -> bool:
        return self.failed == 0

    @property
    def serving(self) -> bool:
        """Whether it has a place in the pool of its real servers, and counts for the quorum."""
        return self.held if self.failed else not self.suppressed

    def put(self, checkers: Iterable[CheckerState]) -> None:
        """Take `checkers` as this server's checks."""
        self.checkers = tuple(checkers)
        for checker in self.checkers:
            checker.server = self
        self.failed = sum(not checker.up for checker in self.checkers) + self.rs.unproven
        self.weight = self.asked_weight()

    def asked_weight(self) -> int:
        """The configured weight plus every dynamic check's difference to it, in the kernel's range."""
        configured = self.rs.weight
        asked = (checker.asked for checker in self.checkers)
        total = configured + sum(weight - configured for weight in asked if weight is not None)
        return max(0, min(total, MAX_WEIGHT))


class ServiceState:
    """One virtual server.

    `vs` is its configuration now, `servers` are parallel to `vs.real_servers`. `members` are the
    lines of its group, if it has one. `alive_weight` is the sum over serving servers. `suspended`:
    ha_suspend is set and none of its addresses is on this host; verdicts are then ignored.
    `since` is the time of the last quorum change.
    """

    __slots__ = ("alive_weight", "members", "quorum_up", "servers", "since", "suspended", "vs")

    def __init__(self, vs: VirtualServer, members: tuple[GroupMember, ...], now: float) -> None:
        self.vs = vs
        self.members = members
        self.servers: tuple[ServerState, ...] = ()
        self.alive_weight = 0
        self.quorum_up = False
        self.suspended = False
        self.since = now

    @property
    def sorry_in_use(self) -> bool:
        return self.vs.sorry_server is not None and not self.quorum_up

    def put(self, servers: Iterable[ServerState]) -> None:
        """Take `servers` as this virtual server's, parallel to `vs.real_servers`."""
        self.servers = tuple(servers)
        self.alive_weight = sum(server.weight for server in self.servers if server.serving)

    def checkers(self) -> Iterator[CheckerState]:
        for server in self.servers:
            yield from server.checkers

    def weights(self) -> list[int | None]:
        """For each of `vs.real_servers` its weight in the pool; None: not in the pool."""
        return [self.pool_weight(server) for server in self.servers]

    def pool_weight(self, server: ServerState) -> int | None:
        if server.serving and not self.sorry_in_use:
            return server.weight if server.share == FULL else self.scaled(server)
        return 0 if server.rs.inhibit_on_failure else None

    @staticmethod
    def scaled(server: ServerState) -> int:
        """Its share of the weight; never nothing when there is a weight."""
        return server.weight and max(1, server.weight * server.share // FULL)

    def sorry_weight(self) -> int | None:
        """The sorry server's weight in the pool; None: not in the pool."""
        sorry = self.vs.sorry_server
        if sorry is None:
            return None
        if self.sorry_in_use:
            return SORRY_WEIGHT
        return 0 if sorry.inhibit else None
