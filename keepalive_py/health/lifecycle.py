"""Start and stop of virtual servers. Pure. (`reload` is next door.)"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from keepalive_py.config.model import (
    CheckConfig,
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
from keepalive_py.health.verdict import Failed, Passed, Reason, Verdict
from keepalive_py.net import Address

Known = Callable[[RealServer, CheckConfig], Verdict | None]
Recall = Callable[[ServiceState, float], None]


def nothing_known(rs: RealServer, check: CheckConfig) -> None:
    """No check's answer is known before it runs."""


def nothing_recalled(service: ServiceState, now: float) -> None:
    """No process before us has left word of it."""


@dataclass(frozen=True, slots=True)
class Outset:
    """What surrounds a beginning: the configuration, the time, this host's addresses (for
    ha_suspend), the answers that are known already (of files, BFD sessions), whether it is a
    fresh start, where the first failure decides, and what is remembered of a former process."""

    config: Config
    now: float
    present: AbstractSet[Address]
    known: Known
    fresh: bool
    recall: Recall = nothing_recalled


def start(
    config: Config,
    now: float,
    present: AbstractSet[Address] = frozenset(),
    known: Known = nothing_known,
    recall: Recall = nothing_recalled,
) -> tuple[list[ServiceState], list[Event]]:
    """Every virtual server before any check has run, in file order, and what that means.

    Servers without alpha are taken for alive. `present` are the addresses of this host, for
    ha_suspend; `known` gives the verdict of a check whose answer is there already; `recall`
    gives a virtual server what was known of it before a restart (`remembered.Memory.restore`).
    """
    outset = Outset(config, now, present, known, fresh=True, recall=recall)
    services: list[ServiceState] = []
    events: list[Event] = []
    for vs in config.virtual_servers:
        service = new_service(vs, outset)
        events += begin(service, config.global_defs, now, Reason.START)
        services.append(service)
    return services, events


def stop(services: Iterable[ServiceState], defs: GlobalDefs, now: float) -> list[Event]:
    """All leave the kernel, in file order. Only omega notifies; with lvs_flush_on_stop nothing is
    said of real servers."""
    one_by_one = defs.lvs_flush_on_stop is LvsFlushOnStop.NO
    return [event for service in services for event in _stop(service, now, one_by_one=one_by_one)]


def new_service(vs: VirtualServer, outset: Outset) -> ServiceState:
    """A virtual server without history."""
    service = ServiceState(vs, members_of(vs, outset.config), outset.now)
    service.put(new_server(service, rs, outset) for rs in vs.real_servers)
    outset.recall(service, outset.now)
    service.suspended = is_suspended(service, outset.present)
    return service


def new_server(service: ServiceState, rs: RealServer, outset: Outset) -> ServerState:
    server = ServerState(service, rs, outset.now)
    server.put(new_checker(rs, check, outset, up=not check.alpha) for check in rs.checks)
    return server


def new_checker(rs: RealServer, check: CheckConfig, outset: Outset, *, up: bool) -> CheckerState:
    checker = CheckerState(check, up=up, fresh=outset.fresh)
    verdict = outset.known(rs, check)
    if isinstance(verdict, Passed | Failed):
        checker.begin_with(verdict)
    return checker


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
        if server.serving
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
            inhibited=not server.serving,
            notify=server.serving,
        )
    ]


def _stop(service: ServiceState, now: float, *, one_by_one: bool) -> list[Event]:
    vs, reason = service.vs, Reason.STOP
    events: list[Event] = []
    for server in service.servers if one_by_one else ():
        inhibited = not server.serving and server.rs.inhibit_on_failure
        notify = vs.omega and server.serving
        events.append(
            ServerWithdrawn(at=now, reason=reason, vs=vs, rs=server.rs, inhibited=inhibited, notify=notify)
        )
    if vs.omega:
        events.append(ServiceWithdrawn(at=now, reason=reason, vs=vs))
    return events
