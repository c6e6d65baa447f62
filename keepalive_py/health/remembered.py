"""Health as plain values, for a process that goes on where another one ended. Pure.

`remembered` gives what there is to know of one virtual server; `Memory` takes such values in and
gives a virtual server that is only being made what was known of it. What is the same is decided
as at a reload: a virtual server by address, port and protocol (or mark, or group), a real server
by address and port, a check by its `identity()`. What is not known begins as at any start.

Times are written as time of day (seconds since the epoch), since no clock of a process survives
it: `wall` is the time of day at `now`.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

from keepalive_py.config.model import CheckConfig, VirtualServer
from keepalive_py.health.checker_state import CheckerState, Position
from keepalive_py.health.membership import restored
from keepalive_py.health.names import vs_name
from keepalive_py.health.quorum import has_gained, still_has
from keepalive_py.health.service_state import ServerState, ServiceState
from keepalive_py.health.verdict import Failed, Passed, Reason, Unknown, Verdict

__all__ = ["Due", "Memory", "remembered"]

Json = dict[str, Any]
Due = Callable[[CheckerState], float | None]  # when a check runs next, on the clock of `now`
T = TypeVar("T")

MOST_DIGESTS: Final = 2**17
LONGEST_DETAIL: Final = 200  # characters of a verdict's words


def remembered(service: ServiceState, now: float, wall: float, due: Due) -> Json:
    """What the next process may know of this virtual server, as values of JSON."""
    offset = wall - now
    return {
        "name": service_key(service.vs),
        "quorum_up": service.quorum_up,
        "since": round(service.since + offset, 3),
        "servers": [_server(server, offset, due) for server in service.servers],
    }


def _server(server: ServerState, offset: float, due: Due) -> Json:
    found: Json = {"name": str(server.rs.endpoint), "since": round(server.since + offset, 3)}
    if server.held:
        found["held"] = True
    if server.suppressed:
        found["suppressed"] = True
    if server.ramp_since is not None:
        found["ramp_since"] = round(server.ramp_since + offset, 3)
    if server.penalty:
        found["penalty"] = round(server.penalty, 3)
        found["penalty_at"] = round(server.penalty_at + offset, 3)
    return {**found, "checks": [_check(checker, offset, due) for checker in server.checkers]}


def _check(checker: CheckerState, offset: float, due: Due) -> Json:
    found: Json = {"name": check_key(checker.config), "position": checker.position.name}
    next_run = due(checker)
    if next_run is not None:
        found["due"] = round(next_run + offset, 3)
    if checker.failures:
        found["failures"] = checker.failures
    if checker.successes:
        found["successes"] = checker.successes
    if checker.asked is not None:
        found["asked"] = checker.asked
    if checker.last is not None:
        found["last"] = _verdict(checker.last)
    return found


def _verdict(verdict: Verdict) -> Json:
    found: Json = {"detail": verdict.detail[:LONGEST_DETAIL]}
    if isinstance(verdict, Passed):
        return {**found, "result": "passed", "weight": verdict.weight}
    found["reason"] = verdict.reason.value
    if isinstance(verdict, Unknown):
        return {**found, "result": "unknown"}
    return {**found, "result": "failed", "exit_status": verdict.exit_status, "signal": verdict.signal}


# Names that are the same in the next process.


def service_key(vs: VirtualServer) -> str:
    """A virtual server's name, and what else makes it the same."""
    return f"{vs_name(vs)} {vs.protocol.name} {vs.family.name}"


def check_key(check: CheckConfig) -> str:
    """The kind, and a digest of the identity."""
    return f"{check.KIND} {_digest(check.identity())}"


@lru_cache(maxsize=MOST_DIGESTS)
def _digest(identity: tuple[object, ...]) -> str:
    """Kept, since it is asked for at every change of a server."""
    return hashlib.sha256(_canonical(identity).encode()).hexdigest()[:16]


def _canonical(value: object) -> str:
    """Text that depends on the value alone: sets have no order, and no two processes the same."""
    if isinstance(value, frozenset | set):
        return "{" + ",".join(sorted(map(_canonical, value))) + "}"
    if isinstance(value, tuple | list):
        return "(" + ",".join(map(_canonical, value)) + ")"
    if isinstance(value, enum.Enum):
        return value.name or str(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        members = (getattr(value, each.name) for each in dataclasses.fields(value) if each.compare)
        return f"{type(value).__name__}({','.join(map(_canonical, members))})"
    return repr(value)


# Reading it again.


@dataclass(frozen=True, slots=True)
class _CheckMemory:
    name: str
    position: Position
    failures: int
    successes: int
    asked: int | None
    last: Verdict | None
    due: float | None


@dataclass(frozen=True, slots=True)
class _ServerMemory:
    name: str
    since: float
    held: bool
    suppressed: bool
    ramp_since: float | None
    penalty: float
    penalty_at: float
    checks: tuple[_CheckMemory, ...]


@dataclass(frozen=True, slots=True)
class _ServiceMemory:
    name: str
    quorum_up: bool
    since: float
    servers: tuple[_ServerMemory, ...]


class Memory:
    """What a former process knew, given out once to each virtual server.

    `servers` and `down` count what was given. `due` are the checks of which is known when they
    would have run next, and that time on the clock of `now`.
    """

    def __init__(self, services: Iterable[Json], now: float, wall: float) -> None:
        """Raises ValueError when these are not the values of `remembered`."""
        try:
            found = [_read_service(each, wall - now) for each in services]
        except (TypeError, KeyError, AttributeError, OverflowError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from None
        self._services = _by_name(found)
        self.servers = 0
        self.down = 0
        self.due: dict[CheckerState, float] = {}

    def restore(self, service: ServiceState, now: float) -> None:
        """Give a virtual server that has just been made what was known of it."""
        known = _taken(self._services, service_key(service.vs))
        if known is None:
            return
        servers = _by_name(known.servers)
        for server in service.servers:
            of_server = _taken(servers, str(server.rs.endpoint))
            if of_server is not None:
                self._restore_server(server, of_server, now)
        service.put(service.servers)
        restored(service, now)
        service.since = min(now, known.since)
        # What is enough to gain it is told anew, as at any start; between the two bounds it stays.
        service.quorum_up = known.quorum_up and still_has(service) and not has_gained(service)

    def _restore_server(self, server: ServerState, known: _ServerMemory, now: float) -> None:
        checks = _by_name(known.checks)
        for checker in server.checkers:
            of_check = _taken(checks, check_key(checker.config))
            if of_check is not None:
                self._restore_check(checker, of_check)
        server.put(server.checkers)
        server.since = min(now, known.since)
        server.held = known.held and not server.alive
        server.suppressed = known.suppressed
        server.ramp_since = None if known.ramp_since is None else min(now, known.ramp_since)
        server.penalty, server.penalty_at = known.penalty, min(now, known.penalty_at)
        self.servers += 1
        self.down += not server.alive

    def _restore_check(self, checker: CheckerState, known: _CheckMemory) -> None:
        if known.due is not None:
            self.due[checker] = known.due
        if checker.last is not None:
            return  # what it asks has answered already
        checker.position = known.position
        checker.failures = min(known.failures, checker.config.retry)
        checker.successes = min(known.successes, checker.config.rise - 1)
        checker.asked = known.asked if checker.up else None
        checker.last = known.last


def _read_service(found: Json, offset: float) -> _ServiceMemory:
    return _ServiceMemory(
        _text(found["name"]),
        _flag(found["quorum_up"]),
        _number(found["since"]) - offset,
        tuple(_read_server(each, offset) for each in found["servers"]),
    )


def _read_server(found: Json, offset: float) -> _ServerMemory:
    ramp_since = found.get("ramp_since")
    return _ServerMemory(
        _text(found["name"]),
        _number(found["since"]) - offset,
        _flag(found.get("held", False)),
        _flag(found.get("suppressed", False)),
        None if ramp_since is None else _number(ramp_since) - offset,
        _number(found.get("penalty", 0)),
        _number(found.get("penalty_at", 0)) - offset,
        tuple(_read_check(each, offset) for each in found["checks"]),
    )


def _read_check(found: Json, offset: float) -> _CheckMemory:
    asked, due, last = found.get("asked"), found.get("due"), found.get("last")
    return _CheckMemory(
        _text(found["name"]),
        Position[found["position"]],
        _count(found.get("failures", 0)),
        _count(found.get("successes", 0)),
        None if asked is None else _count(asked),
        None if last is None else _read_verdict(last),
        None if due is None else _number(due) - offset,
    )


def _read_verdict(found: Json) -> Verdict:
    detail = _text(found["detail"])
    if found["result"] == "passed":
        weight = found["weight"]
        return Passed(detail, weight=None if weight is None else _count(weight))
    reason = Reason(found["reason"])
    if found["result"] == "unknown":
        return Unknown(reason, detail)
    return Failed(reason, detail, found["exit_status"], found["signal"])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is not true or false")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e15 < value < 1e15:
        raise ValueError(f"{value!r} is not a time")
    return float(value)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise ValueError(f"{value!r} is not a count")
    return value


def _by_name(values: Iterable[Any]) -> dict[str, list[Any]]:
    """Twins are kept in order."""
    known: dict[str, list[Any]] = {}
    for value in values:
        known.setdefault(value.name, []).append(value)
    return known


def _taken(known: Mapping[str, list[T]], name: str) -> T | None:
    values = known.get(name)
    return values.pop(0) if values else None
