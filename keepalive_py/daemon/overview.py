"""Every virtual server in one line: what a page that shows thousands of them asks for again and again.

A tenth of what `services` has. Servers are arrays, in this order: ADDRESS:PORT, state, weight in the
pool (null: not in it), active connections (null: not known), why it is down.

| state | |
|---|---|
| up | gets connections |
| down | its checks find it so |
| kept | they do, and it stays (depool_threshold) |
| suppressed | it is up, and kept out because it flaps |
| waiting | it is up, and the sorry server serves |
| drained, disabled | an operator wants it so |
"""

from __future__ import annotations

from collections.abc import Iterator

from keepalive_py.daemon.selection import Choice
from keepalive_py.daemon.snapshot import (
    Json,
    Moment,
    server_counters,
    service_counters,
    slots_of,
    sorry_server,
    steered,
    where,
)
from keepalive_py.health.names import vs_name
from keepalive_py.health.override import Action, Override
from keepalive_py.health.service_state import ServerState, ServiceState
from keepalive_py.health.verdict import Failed, Passed, Unknown, Verdict
from keepalive_py.plan.desired import Slot


def overview_rows(moment: Moment, choice: Choice) -> Iterator[Json]:
    return (row(service, moment) for service in choice.services(moment.source.services))


def row(service: ServiceState, moment: Moment) -> Json:
    vs, places = service.vs, slots_of(service.vs, moment)
    counters = service_counters(places, moment) or {}
    return {
        "name": vs_name(vs),
        **where(vs, moment.source.config),
        "protocol": vs.protocol.name,
        "scheduler": vs.scheduler,
        "forwarding": vs.forwarding.value,
        "quorum_up": service.quorum_up,
        "suspended": service.suspended,
        "sorry_server": sorry_server(service),
        "since_at": moment.at(service.since),
        "connections": counters.get("connections"),
        "servers": [server_line(service, server, moment, places) for server in service.servers],
    }


def server_line(
    service: ServiceState, server: ServerState, moment: Moment, places: tuple[Slot, ...]
) -> list[object]:
    counters = server_counters(server.rs, places, moment) or {}
    override, weight = steered(service, server, moment.source.steering.overrides)
    state = state_of(server, override, weight)
    return [str(server.rs.endpoint), state, weight, counters.get("active_connections"), why_down(server)]


ORDERED = {Action.DRAIN: "drained", Action.DISABLE: "disabled"}


def state_of(server: ServerState, override: Override | None, weight: int | None) -> str:
    if override is not None and override.action in ORDERED:
        return ORDERED[override.action]
    if not server.alive:
        return "kept" if server.held else "down"
    if server.suppressed:
        return "suppressed"
    return "waiting" if weight is None else "up"


def why_down(server: ServerState) -> str:
    """The reason of the first check that is down; "" for a server that is up."""
    for checker in server.checkers:
        if not checker.up:
            return why(checker.last)
    return ""


def why(last: Verdict | None) -> str:
    match last:
        case Failed(reason=reason):
            return reason.value
        case Unknown(reason=reason):
            return f"not known: {reason.value}"
        case Passed():  # and not yet as often as `rise` wants it
            return "recovering"
        case _:
            return "not checked yet"
