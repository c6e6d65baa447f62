"""The state of the daemon as plain values: what the JSON dump holds. One snapshot is one moment."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from keepalive_py.health.checker_state import CheckerState
from keepalive_py.health.names import rs_name, vs_name
from keepalive_py.health.service_state import ServerState, ServiceState
from keepalive_py.health.verdict import Failed, Passed, Unknown, Verdict
from keepalive_py.probing import Statistics

Json = dict[str, object]


def snapshot(services: Iterable[ServiceState], now: float) -> list[Json]:
    """Every virtual server with all below it. Ages (`for`) are in seconds."""
    return [virtual_server(service, now) for service in services]


def virtual_server(service: ServiceState, now: float) -> Json:
    vs = service.vs
    return {
        "name": vs_name(vs),
        "protocol": vs.protocol.name,
        "scheduler": vs.scheduler,
        "forwarding": vs.forwarding.value,
        "quorum_up": service.quorum_up,
        "quorum": vs.quorum,
        "hysteresis": vs.hysteresis,
        "alive_weight": service.alive_weight,
        "since": round(now - service.since, 3),
        "suspended": service.suspended,
        "sorry_server": sorry_server(service),
        "real_servers": [real_server(service, server, now) for server in service.servers],
    }


def sorry_server(service: ServiceState) -> Json | None:
    sorry = service.vs.sorry_server
    if sorry is None:
        return None
    return {"name": rs_name(service.vs, sorry.endpoint), "in_use": service.sorry_in_use}


def real_server(service: ServiceState, server: ServerState, now: float) -> Json:
    return {
        "name": rs_name(service.vs, server.rs.endpoint),
        "alive": server.alive,
        "failed_checks": server.failed,
        "weight": server.weight,
        "configured_weight": server.rs.weight,
        "pool_weight": service.pool_weight(server),
        "since": round(now - server.since, 3),
        "checks": [check(each) for each in server.checkers],
    }


def check(checker: CheckerState) -> Json:
    return {
        "kind": checker.config.KIND,
        "label": checker.config.label(),
        "up": checker.up,
        "has_run": checker.has_run,
        "failures": checker.failures,
        "retry": checker.config.retry,
        "delay_loop": checker.config.delay_loop,
        "last": verdict(checker.last),
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


def probe_statistics(statistics: Statistics) -> Json:
    plain: Json = {
        field.name: getattr(statistics, field.name)
        for field in dataclasses.fields(statistics)
        if field.name != "late"
    }
    late = statistics.late
    bounds = [*(f"{bound:g}" for bound in late.bounds), "inf"]
    plain["late_by_seconds"] = dict(zip(bounds, late.counts, strict=True))
    plain["late_total_seconds"] = round(late.total, 6)
    return plain


def statistics_text(numbers: Mapping[str, object], indent: str = "") -> str:
    """What SIGUSR2 writes: `name: value` lines."""
    lines: list[str] = []
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            lines.append(f"{indent}{name}:\n{statistics_text(value, indent + '  ')}")
        else:
            lines.append(f"{indent}{name}: {value}\n")
    return "".join(lines)
