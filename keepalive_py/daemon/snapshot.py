"""The state of the daemon as plain values: the one description that the API, the command line, metrics,
dumps and the page are made from.

Small parts are in `SECTIONS`, by name: whoever has something to show adds a line there. The large
part, the virtual servers with all below them, is made one at a time, so that a reader can put the
loop's other work in between; each is as it is when its turn comes.

Times named `at` are of the day, in seconds since 1970; `for` and `ago` are ages in seconds.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Protocol

from keepalive_py import __version__
from keepalive_py.config.model import Config, RealServer, VirtualServer
from keepalive_py.control.journal import Journal
from keepalive_py.daemon import dump
from keepalive_py.daemon.steering import Steering
from keepalive_py.dataplane.port import Counters, ServiceCounters
from keepalive_py.health import damping, depool
from keepalive_py.health.checker_state import CheckerState
from keepalive_py.health.history import History, Run
from keepalive_py.health.names import rs_name, vs_name
from keepalive_py.health.override import Override, Overrides, changes, weight_of
from keepalive_py.health.service_state import ServerState, ServiceState
from keepalive_py.health.verdict import Failed, Passed, Unknown, Verdict
from keepalive_py.plan.desired import Slot, place_in, slots
from keepalive_py.plan.marks import Marks
from keepalive_py.plan.table import ServiceKey
from keepalive_py.probing import Histogram, Statistics

Json = dict[str, Any]
AllCounters = Mapping[ServiceKey, ServiceCounters]

NO_COUNTERS: Final[AllCounters] = MappingProxyType({})
MOST_SLOTS: Final = 256  # services of one virtual server whose counters are added up
NAMES: Final = ("active_connections", "inactive_connections", "persistent_connections",
                "connections", "packets_in", "packets_out", "bytes_in", "bytes_out")  # fmt: skip


class Source(Protocol):
    """What there is to describe: the supervisor."""

    @property
    def config(self) -> Config: ...

    @property
    def marks(self) -> Marks: ...

    @property
    def services(self) -> list[ServiceState]: ...

    @property
    def now(self) -> float: ...

    @property
    def probe_statistics(self) -> Statistics: ...

    @property
    def journal(self) -> Journal: ...

    @property
    def steering(self) -> Steering: ...

    def counts(self) -> Json:
        """What happened so far, by name."""

    def table_state(self) -> Json:
        """How the kernel's table is."""

    def modules_state(self) -> list[Json]:
        """Each module of the `toa` block."""

    def announcer_state(self) -> Json | None:
        """What is announced; None without an announcer."""

    def local_addresses_state(self) -> Mapping[str, object]:
        """FULLNAT's: what is bound, and what is nearly full."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a description is made from. `started`: the time of day at which the daemon did;
    `counters`: the kernel's, if they were asked for; `past` False leaves out what was lately."""

    source: Source
    started: float = 0.0
    counters: AllCounters = field(default_factory=lambda: NO_COUNTERS)
    past: bool = True

    @property
    def now(self) -> float:
        return self.source.now

    def at(self, then: float) -> float:
        """The time of day of a moment on the daemon's clock."""
        return round(self.source.journal.clock() - (self.source.now - then), 3)


def snapshot(moment: Moment) -> Json:
    """All of it, at once: for a thread, or for few servers."""
    return {
        **sections(moment),
        "virtual_servers": [virtual_server(each, moment) for each in moment.source.services],
    }


def sections(moment: Moment) -> Json:
    """All but the virtual servers."""
    return {**numbers(moment), **{name: make(moment) for name, make in SECTIONS.items()}}


def numbers(moment: Moment) -> Json:
    return {
        "version": __version__,
        "pid": os.getpid(),
        "started": round(moment.started, 3),
        "resident_kilobytes": dump.resident_kilobytes(),
        **moment.source.counts(),
        "probes": probe_statistics(moment.source.probe_statistics),
    }


def config_section(moment: Moment) -> Json:
    config = moment.source.config
    return {"files": list(config.files)}


def table_section(moment: Moment) -> Json:
    return moment.source.table_state()


def announcer_section(moment: Moment) -> Json | None:
    return moment.source.announcer_state()


def local_addresses_section(moment: Moment) -> Json:
    """Each group's ranges, as they are written, and how its addresses are."""
    groups = moment.source.config.local_address_groups
    written = {name: [str(span) for span in group.addresses] for name, group in groups.items()}
    return {"groups": written, **moment.source.local_addresses_state()}


def overrides_section(moment: Moment) -> Json:
    """What operators want of real servers."""
    steering = moment.source.steering
    known = steering.overrides.by_key.values()
    return {"remembered": bool(steering.state), "overrides": [each.as_json() for each in known]}


def modules_section(moment: Moment) -> Json:
    return {each["name"]: each for each in moment.source.modules_state()}


def transitions_section(moment: Moment) -> Json:
    """How many there were since the start, by kind and reason."""
    found: Json = {}
    for (kind, reason), count in moment.source.journal.counts.items():
        found.setdefault(kind, {})[reason] = count
    return found


SECTIONS: Final[dict[str, Callable[[Moment], Json | None]]] = {
    "config": config_section,
    "table": table_section,
    "announcer": announcer_section,
    "modules": modules_section,
    "local_addresses": local_addresses_section,
    "steering": overrides_section,
    "transitions": transitions_section,
}


# Virtual servers.


def virtual_server(service: ServiceState, moment: Moment) -> Json:
    vs, places = service.vs, slots_of(service.vs, moment)
    return {
        "name": vs_name(vs),
        **where(vs, moment.source.config),
        "protocol": vs.protocol.name,
        "scheduler": vs.scheduler,
        "forwarding": vs.forwarding.value,
        "quorum_up": service.quorum_up,
        "quorum": vs.quorum,
        "hysteresis": vs.hysteresis,
        "alive_weight": service.alive_weight,
        "since": round(moment.now - service.since, 3),
        "since_at": moment.at(service.since),
        "suspended": service.suspended,
        "guards": guards_of(service),
        "sorry_server": sorry_server(service),
        "counters": service_counters(places, moment),
        "real_servers": [real_server(service, server, moment, places) for server in service.servers],
    }


def guards_of(service: ServiceState) -> Json:
    """What keeps its pool from harm, and how it stands: see docs/guards.md."""
    vs = service.vs
    return {
        "depool_threshold": vs.depool_threshold,
        "needed": depool.needed(vs),
        "staying": depool.staying(service),
        "held": sum(server.held for server in service.servers),
        "damping_half_life": vs.damping_half_life,
        "suppressed": sum(server.suppressed for server in service.servers),
        "slow_start": vs.slow_start,
        "starting": sum(server.ramp_since is not None for server in service.servers),
    }


def where(vs: VirtualServer, config: Config) -> Json:
    """Its address and port, or its mark, or its group with that one's lines."""
    if vs.endpoint is not None:
        return {"address": str(vs.endpoint.address), "port": vs.endpoint.port}
    if vs.fwmark is not None:
        return {"fwmark": vs.fwmark}
    group = config.groups.get(vs.group or "")
    lines = [] if group is None else group.members
    return {
        "group": vs.group,
        "members": [
            f"{each.addresses} {each.port}" if each.addresses is not None else f"fwmark {each.fwmark}"
            for each in lines
        ],
    }


def sorry_server(service: ServiceState) -> Json | None:
    sorry = service.vs.sorry_server
    if sorry is None:
        return None
    return {"name": rs_name(service.vs, sorry.endpoint), "in_use": service.sorry_in_use}


def real_server(
    service: ServiceState, server: ServerState, moment: Moment, places: tuple[Slot, ...] = ()
) -> Json:
    rs, name = server.rs, rs_name(service.vs, server.rs.endpoint)
    override, weight = steered(service, server, moment.source.steering.overrides)
    return {
        "name": name,
        "address": str(rs.endpoint.address),
        "port": rs.endpoint.port,
        "forwarding": rs.forwarding.value,
        "alive": server.alive,
        "serving": server.serving,
        "held": server.held,
        "suppressed": server.suppressed,
        "share": server.share,
        "penalty": round(damping.penalty(server, service.vs.damping_half_life, moment.now), 2),
        "failed_checks": server.failed,
        "weight": server.weight,
        "configured_weight": rs.weight,
        "pool_weight": service.pool_weight(server),
        "effective_weight": weight,
        "override": None if override is None else override.as_json(),
        "since": round(moment.now - server.since, 3),
        "since_at": moment.at(server.since),
        "counters": server_counters(rs, places, moment),
        "changes": moment.source.journal.changes_of(vs_name(service.vs), name) if moment.past else [],
        "checks": [check(each, moment) for each in server.checkers],
    }


def steered(
    service: ServiceState, server: ServerState, overrides: Overrides
) -> tuple[Override | None, int | None]:
    """What an operator wants of it, and its weight in the table after that."""
    override = overrides.of(service.vs, server.rs.endpoint) if overrides.by_key else None
    if override is not None and changes(service, server, override):
        return override, weight_of(override)
    return override, service.pool_weight(server)


def check(checker: CheckerState, moment: Moment) -> Json:
    config, history = checker.config, checker.history
    runs = latest_runs(history, moment)
    return {
        "kind": config.KIND,
        "label": config.label(),
        "up": checker.up,
        "has_run": checker.has_run,
        "failures": checker.failures,
        "retry": config.retry,
        "successes": checker.successes,
        "rise": config.rise,
        "delay_loop": config.delay_loop,
        "last": verdict(checker.last),
        "last_at": moment.at(runs[-1].ended) if runs else None,
        "took": None if not runs or runs[-1].took is None else round(runs[-1].took, 6),
        "history": [run(each, moment) for each in runs] if moment.past else [],
    }


def latest_runs(history: History | None, moment: Moment) -> list[Run]:
    """All that are remembered, or the last one."""
    if history is None:
        return []
    if moment.past:
        return list(history.runs())
    return [] if history.last is None else [history.last]


def run(each: Run, moment: Moment) -> Json:
    return {
        "ago": round(moment.now - each.ended, 3),
        "took": None if each.took is None else round(each.took, 6),
        "passed": each.passed,
    }


def verdict(last: Verdict | None) -> Json | None:
    match last:
        case Passed(detail=detail):
            return {"result": "passed", "detail": detail}
        case Failed(reason=reason, detail=detail):
            return {"result": "failed", "reason": reason.value, "detail": detail}
        case Unknown(reason=reason, detail=detail):
            return {"result": "unknown", "reason": reason.value, "detail": detail}
    return None


# Counters.


def slots_of(vs: VirtualServer, moment: Moment) -> tuple[Slot, ...]:
    """Its services in the kernel; () when there are no counters, or too many services."""
    if not moment.counters:
        return ()
    found = tuple(slots(vs, moment.source.config, moment.source.marks))
    return found if len(found) <= MOST_SLOTS else ()


def service_counters(places: Iterable[Slot], moment: Moment) -> Json | None:
    known = (moment.counters.get(slot.service.key) for slot in places)
    return added(each.service for each in known if each is not None)


def server_counters(rs: RealServer, places: Iterable[Slot], moment: Moment) -> Json | None:
    """Summed over the services of its virtual server; None: it is in none of them."""
    found: list[Counters] = []
    for slot in places:
        service = moment.counters.get(slot.service.key)
        endpoint = place_in(slot, rs.endpoint, rs.forwarding)
        if service is not None and endpoint is not None and endpoint in service.destinations:
            found.append(service.destinations[endpoint])
    return added(found)


def added(counters: Iterable[Counters]) -> Json | None:
    total: Json | None = None
    for each in counters:
        if total is None:
            total = {name: getattr(each, name) for name in NAMES}
        else:
            for name in NAMES:
                total[name] += getattr(each, name)
    return total


# Numbers.


def probe_statistics(statistics: Statistics) -> Json:
    plain: Json = {
        field.name: getattr(statistics, field.name)
        for field in dataclasses.fields(statistics)
        if field.name not in ("late", "took")
    }
    plain["late_by_seconds"] = by_bound(statistics.late)
    plain["late_total_seconds"] = round(statistics.late.total, 6)
    plain["took_by_kind"] = {
        kind: {"by_seconds": by_bound(took), "total_seconds": round(took.total, 6)}
        for kind, took in statistics.took.items()
    }
    return plain


def by_bound(histogram: Histogram) -> Json:
    """How many up to each bound, and above the one before."""
    bounds = [*(f"{bound:g}" for bound in histogram.bounds), "inf"]
    return dict(zip(bounds, histogram.counts, strict=True))


def statistics_text(numbers: Mapping[str, object], indent: str = "") -> str:
    """What SIGUSR2 writes: `name: value` lines."""
    lines: list[str] = []
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            lines.append(f"{indent}{name}:\n{statistics_text(value, indent + '  ')}")
        else:
            lines.append(f"{indent}{name}: {value}\n")
    return "".join(lines)
