"""From a server's checks to its place in the pool: where the guards stand. Pure.

Without guards a server serves exactly while it is alive. With them

- one that is down may be *held* in (depool_threshold),
- one that is alive may be *suppressed* (damping_half_life),
- one that comes back may begin with a part of its weight (slow_start).

No guard empties a pool: when a server leaves and too few are left, suppressed ones are taken
back first, and only then is one held that is down. `alive_weight` is kept in step here; the
caller weighs the quorum afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from keepalive_py.health import damping, depool, slow_start
from keepalive_py.health.events import (
    Event,
    ServerDown,
    ServerHeld,
    ServerReleased,
    ServerSuppressed,
    ServerUp,
    SlowStart,
)
from keepalive_py.health.quorum import weigh
from keepalive_py.health.service_state import FULL, ServerState, ServiceState
from keepalive_py.health.verdict import Reason

__all__ = ["came_up", "fell", "is_moving", "release", "restored", "review", "step_in", "tick", "went_down"]


def went_down(service: ServiceState, server: ServerState, now: float, reason: Reason) -> list[Event]:
    """`server` was alive and is not any more."""
    damping.charge(server, service.vs.damping_half_life, now)
    slow_start.end(server)
    if server.suppressed:
        return []
    service.alive_weight -= server.weight
    return fell(service, server, now, reason)


def fell(service: ServiceState, server: ServerState, now: float, reason: Reason) -> list[Event]:
    """`server` has left those that serve: others step in, or it is held."""
    events = step_in(service, now)
    if depool.must_stay(service, server):
        server.held = True
        service.alive_weight += server.weight
        held = ServerHeld(
            at=now, reason=reason, vs=service.vs, rs=server.rs,
            serving=depool.staying(service), needed=depool.needed(service.vs),
        )  # fmt: skip
        return [*events, held]
    return [*events, ServerDown(at=now, reason=reason, vs=service.vs, rs=server.rs)]


def came_up(service: ServiceState, server: ServerState, now: float) -> list[Event]:
    """`server` was down and is alive again."""
    if server.held:
        server.held = False
        return [ServerReleased(at=now, reason=Reason.RECOVERED, vs=service.vs, rs=server.rs)]
    if damping.must_suppress(server, service.vs.damping_half_life, now) and not _is_short(service):
        return _suppress(service, server, now)
    return [*_join(service, server, now, Reason.RECOVERED), *release(service, now)]


def step_in(service: ServiceState, now: float) -> list[Event]:
    """Suppressed ones come back while the pool is short: better one that was up and down than one
    that is down, or none."""
    if not service.vs.damping_half_life:
        return []
    events: list[Event] = []
    waiting = [server for server in service.servers if server.suppressed and server.alive and server.weight]
    waiting.sort(key=lambda server: damping.penalty(server, service.vs.damping_half_life, now))
    for server in waiting:
        if not _is_short(service):
            break
        events += _join(service, server, now, Reason.NEEDED)
    return events


def tick(service: ServiceState, now: float) -> tuple[bool, Sequence[Event]]:
    """Time has passed: whether the pool changed, and what happened."""
    changed, events = False, list[Event]()
    for server in service.servers:
        if server.ramp_since is not None and slow_start.advance(service, server, now):
            changed = True
            if server.share == FULL:
                events.append(_slow(service, server, now))
        if server.suppressed and damping.is_over(server, service.vs.damping_half_life, now):
            server.suppressed = False
            if server.alive:
                events += _join(service, server, now, Reason.DAMPING_OVER)
    if any(isinstance(event, ServerUp) for event in events):
        events += release(service, now)
        events += weigh(service, now, Reason.DAMPING_OVER)
    return changed or bool(events), events


def is_moving(service: ServiceState) -> bool:
    """Whether `tick` will have something to do."""
    vs = service.vs
    if not vs.slow_start and not vs.damping_half_life:
        return False
    return any(server.ramp_since is not None or server.suppressed for server in service.servers)


def review(service: ServiceState, now: float) -> list[Event]:
    """After a change of the configuration: who need not be held, suppressed or slow any more.
    The quorum is the caller's."""
    events = step_in(service, now)
    for server in service.servers:
        if server.ramp_since is not None and slow_start.advance(service, server, now):
            events += [_slow(service, server, now)] if server.share == FULL else []
        if server.suppressed and not service.vs.damping_half_life:
            server.suppressed = False
            events += _join(service, server, now, Reason.RELOAD) if server.alive else []
    return [*events, *release(service, now)]


def restored(service: ServiceState, now: float) -> None:
    """After a restart: as `review`, and nobody is told, since nobody was told of what was before."""
    review(service, now)


def _suppress(service: ServiceState, server: ServerState, now: float) -> list[Event]:
    """Told once, however often it goes up and down meanwhile."""
    if server.suppressed:
        return []
    server.suppressed = True
    left = damping.penalty(server, service.vs.damping_half_life, now)
    reason = Reason.FLAPPING
    return [ServerSuppressed(at=now, reason=reason, vs=service.vs, rs=server.rs, penalty=round(left, 2))]


def _join(service: ServiceState, server: ServerState, now: float, reason: Reason) -> list[Event]:
    server.suppressed = False
    service.alive_weight += server.weight
    up = ServerUp(at=now, reason=reason, vs=service.vs, rs=server.rs, weight=server.weight)
    return [up, _slow(service, server, now)] if slow_start.begin(service, server, now) else [up]


def _slow(service: ServiceState, server: ServerState, now: float) -> SlowStart:
    return SlowStart(
        at=now, reason=Reason.SLOW_START, vs=service.vs, rs=server.rs,
        weight=service.scaled(server), over=server.share == FULL,
    )  # fmt: skip


def release(service: ServiceState, now: float) -> list[Event]:
    """Those held longest leave, as far as enough others serve."""
    events: list[Event] = []
    for server in depool.surplus(service):
        server.held = False
        service.alive_weight -= server.weight
        events.append(ServerDown(at=now, reason=Reason.RELEASED, vs=service.vs, rs=server.rs))
    return events


def _is_short(service: ServiceState) -> bool:
    """Whether the pool is empty, or smaller than it has to be, not counting those held."""
    well = sum(server.serving and not server.held and server.weight > 0 for server in service.servers)
    return well < max(1, depool.needed(service.vs))
