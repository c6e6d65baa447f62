"""What an operator wants of a real server, whatever its checks say. Pure.

| action | what becomes of a server that is in the pool |
|---|---|
| DRAIN | weight 0: no new connections, those there are go on |
| DISABLE | out of the pool, and of the kernel's table |
| WEIGHT | that weight |

Health does not know of it: checks go on, the quorum counts the server as before, nobody is notified. An
override never puts a server into the pool that health keeps out.

A server may be meant on one virtual server or on all of them, with its port or on every port; the
narrowest one counts: virtual server and port, virtual server, port, address alone.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from keepalive_py.config.model import VirtualServer
from keepalive_py.health.names import vs_name
from keepalive_py.health.service_state import MAX_WEIGHT, ServerState, ServiceState
from keepalive_py.net import Endpoint

Key = tuple[str, str]
Weights = Mapping[Endpoint, int | None]  # None: not in the pool

NOTHING: Final[Weights] = {}


class Action(enum.Enum):
    DRAIN = "drain"
    DISABLE = "disable"
    WEIGHT = "weight"


LAST_TIME: Final = 253402300800.0  # the year 10000


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """`service` is a virtual server's name, "" for all; `server` an address or ADDRESS:PORT. Times are
    of the day, in seconds; `until` 0: until it is taken back."""

    action: Action
    server: str
    service: str = ""
    weight: int = 0
    by: str = ""
    reason: str = ""
    since: float = 0.0
    until: float = 0.0

    @property
    def key(self) -> Key:
        return self.service, self.server

    def holds(self, at: float) -> bool:
        return not self.until or at < self.until

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "action": self.action.value}

    def wants(self) -> str:
        return f"weight {self.weight}" if self.action is Action.WEIGHT else self.action.value

    def whom(self) -> str:
        return f"{self.server} of {self.service}" if self.service else self.server


def from_json(value: Any) -> Override | None:
    """None: nobody can understand it."""
    if not isinstance(value, dict):
        return None
    try:
        weight = int(value.get("weight", 0))
        return Override(
            action=Action(value["action"]),
            server=str(value["server"]),
            service=str(value.get("service", "")),
            weight=min(max(weight, 0), MAX_WEIGHT),
            by=str(value.get("by", "")),
            reason=str(value.get("reason", "")),
            since=_time(value.get("since", 0)),
            until=_time(value.get("until", 0)),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _time(value: Any) -> float:
    """Of a calendar that time.strftime(3) can name. Raises ValueError, TypeError, OverflowError."""
    found = float(value)
    if not 0 <= found < LAST_TIME:
        raise ValueError(f"{value!r} is not a time")
    return found


class Overrides:
    """All that hold, one for each key."""

    def __init__(self) -> None:
        self.by_key: dict[Key, Override] = {}

    def put(self, override: Override) -> None:
        self.by_key[override.key] = override

    def of(self, vs: VirtualServer, endpoint: Endpoint) -> Override | None:
        """The narrowest one."""
        name, with_port, alone = vs_name(vs), str(endpoint), str(endpoint.address)
        for key in ((name, with_port), (name, alone), ("", with_port), ("", alone)):
            found = self.by_key.get(key)
            if found is not None:
                return found
        return None

    def weights(self, service: ServiceState) -> Weights:
        """Of those of its servers that are to be otherwise than health says."""
        if not self.by_key:
            return NOTHING
        found: dict[Endpoint, int | None] = {}
        for server in service.servers:
            override = self.of(service.vs, server.rs.endpoint)
            if override is not None and changes(service, server, override):
                found[server.rs.endpoint] = weight_of(override)
        return found

    def expired(self, at: float) -> list[Override]:
        return [each for each in self.by_key.values() if not each.holds(at)]

    def next_end(self) -> float | None:
        """The time of day at which the next one ends."""
        return min((each.until for each in self.by_key.values() if each.until), default=None)


def weight_of(override: Override) -> int | None:
    return {Action.DRAIN: 0, Action.DISABLE: None, Action.WEIGHT: override.weight}[override.action]


def changes(service: ServiceState, server: ServerState, override: Override) -> bool:
    """Whether it makes a difference now. A server that is down but kept with weight 0
    (inhibit_on_failure) gets no other weight."""
    weight = service.pool_weight(server)
    if weight is None:
        return False
    serves = weight > 0 or (server.alive and not service.sorry_in_use)
    return serves or override.action is Action.DISABLE


def usable(service: ServiceState, weights: Weights) -> int:
    """How many of its servers get new connections under these weights."""
    if service.sorry_in_use:
        return 1
    found: Iterable[int | None] = (
        weights.get(server.rs.endpoint, service.pool_weight(server)) for server in service.servers
    )
    return sum(bool(weight) for weight in found)
