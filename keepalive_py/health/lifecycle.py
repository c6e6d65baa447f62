"""Start and stop of virtual servers. Pure. (`reload` is next door.)"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from keepalive_py.config.model import (
    Config,
    GlobalDefs,
    GroupMember,
    LvsFlushOnStop,
    RealServer,
    VirtualServer,
)
from keepalive_py.health.checker_state import CheckerState
from keepalive_py.health.events import Event, ServerUp, ServerWithdrawn, ServiceGone, ServiceWithdrawn
from keepalive_py.health.quorum import settle
from keepalive_py.health.service_state import ServerState, ServiceState
from keepalive_py.health.suspension import is_suspended
from keepalive_py.health.verdict import Reason
from keepalive_py.net import Address


def start(
    config: Config, now: float, present: AbstractSet[Address] = frozenset()
) -> tuple[list[ServiceState], list[Event]]:
    """Every virtual server before any check has run, in file order, and what that means.

    Servers without alpha are taken for alive. `present`: the addresses of this host, for ha_suspend.
    """
    services: list[ServiceState] = []
    events: list[Event] = []
    for vs in config.virtual_servers:
        service = new_service(vs, config, now, present, fresh=True)
        events += begin(service, config.global_defs, now, Reason.START)
        services.append(service)
    return services, events


def stop(services: Iterable[ServiceState], defs: GlobalDefs, now: float) -> list[Event]:
    """All leave the kernel, in file order. Only omega notifies; with lvs_flush_on_stop nothing is
    said of real servers."""
    one_by_one = defs.lvs_flush_on_stop is LvsFlushOnStop.NO
    return [event for service in services for event in _stop(service, now, one_by_one=one_by_one)]


def new_service(
    vs: VirtualServer, config: Config, now: float, present: AbstractSet[Address], *, fresh: bool
) -> ServiceState:
    """A virtual server without history. `fresh`: at a start, where the first failure decides."""
    service = ServiceState(vs, members_of(vs, config), now)
    service.put(new_server(service, rs, now, fresh=fresh) for rs in vs.real_servers)
    service.suspended = is_suspended(service, present)
    return service


def new_server(service: ServiceState, rs: RealServer, now: float, *, fresh: bool) -> ServerState:
    server = ServerState(service, rs, now)
    server.put(CheckerState(check, up=not check.alpha, fresh=fresh) for check in rs.checks)
    return server


def members_of(vs: VirtualServer, config: Config) -> tuple[GroupMember, ...]:
    return config.groups[vs.group].members if vs.group is not None else ()


def begin(service: ServiceState, defs: GlobalDefs, now: float, reason: Reason) -> list[Event]:
    """What is told of a new virtual server: its alive servers (rs_init_notifies), its quorum."""
    events: list[Event] = []
    if defs.rs_init_notifies:
        events += initial_notices(service, service.servers, now, reason)
    return events + settle(service, now, reason, sorry_in_use=False)


def initial_notices(
    service: ServiceState, servers: Iterable[ServerState], now: float, reason: Reason
) -> list[Event]:
    return [
        ServerUp(at=now, reason=reason, vs=service.vs, rs=server.rs, weight=server.weight, quiet=True)
        for server in servers
        if server.alive
    ]


def remove(service: ServiceState, now: float) -> list[Event]:
    """A reload does not name it any more. Verdicts that still arrive for it are ignored."""
    vs, reason = service.vs, Reason.RELOAD
    events: list[Event] = [ServiceGone(at=now, reason=reason, vs=vs)]
    for server in service.servers:
        events += withdraw(service, server, now)
        server.service = None
    if service.quorum_up:
        events.append(ServiceWithdrawn(at=now, reason=reason, vs=vs))
    return events


def withdraw(service: ServiceState, server: ServerState, now: float) -> list[Event]:
    """A reload takes the server out, if it is in the pool (behind a sorry server it is not)."""
    if service.pool_weight(server) is None:
        return []
    return [
        ServerWithdrawn(
            at=now,
            reason=Reason.RELOAD,
            vs=service.vs,
            rs=server.rs,
            inhibited=not server.alive,
            notify=server.alive,
        )
    ]


def _stop(service: ServiceState, now: float, *, one_by_one: bool) -> list[Event]:
    vs, reason = service.vs, Reason.STOP
    events: list[Event] = []
    for server in service.servers if one_by_one else ():
        inhibited = not server.alive and server.rs.inhibit_on_failure
        notify = vs.omega and server.alive
        events.append(
            ServerWithdrawn(at=now, reason=reason, vs=vs, rs=server.rs, inhibited=inhibited, notify=notify)
        )
    if vs.omega:
        events.append(ServiceWithdrawn(at=now, reason=reason, vs=vs))
    return events
