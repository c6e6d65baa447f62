"""Going on under a new configuration. Pure.

Two halves, as keepalived has them: first every old virtual server in old order (it is gone, or
loses something), then every new one in new order (it is new, or gains something). The quorum is
weighed once, at the end of the second half: a reload that takes one server out and puts another
in does not pass through a loss that never was.

Identity: a virtual server by address, port and protocol, or mark and family, or group name, index
and protocol; a real server by address and port; a check by its own `identity()`. What is kept is
the same object before and after. keepalived keeps the same (2.4.3), but for the protocol of a group.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple, TypeVar

from keepalive_py.config.model import Config, GroupMember, RealServer, SorryServer, VirtualServer
from keepalive_py.health.checker_state import CheckerState
from keepalive_py.health.events import (
    Event,
    GroupMemberAdded,
    GroupMemberGone,
    ServerDown,
    ServerGone,
    ServerUp,
    SorryServerOut,
    WeightChanged,
)
from keepalive_py.health.lifecycle import (
    Known,
    Outset,
    begin,
    initial_notices,
    members_of,
    new_checker,
    new_server,
    new_service,
    nothing_known,
    remove,
    withdraw,
)
from keepalive_py.health.membership import fell, review
from keepalive_py.health.quorum import settle
from keepalive_py.health.service_state import ServerState, ServiceState
from keepalive_py.health.suspension import is_suspended
from keepalive_py.health.verdict import Reason
from keepalive_py.net import Address

T = TypeVar("T")


def reload(
    services: Sequence[ServiceState],
    config: Config,
    now: float,
    present: AbstractSet[Address] = frozenset(),
    known: Known = nothing_known,
) -> tuple[list[ServiceState], list[Event]]:
    """The state under `config`, in its order, and what the change means.

    Kept virtual servers, real servers and checks are changed in place. Verdicts that still arrive
    for removed checks are ignored. `present` and `known` are as for `start`.
    """
    outset = Outset(config, now, present, known, fresh=False)
    kept = paired(services, lambda service: identity(service.vs), map(identity, config.virtual_servers))
    successors = dict(zip(map(id, kept), config.virtual_servers, strict=True))
    events: list[Event] = []
    gains: dict[int, _Gains] = {}
    for service in services:
        vs = successors.get(id(service))
        if vs is None:
            events += remove(service, now)
        else:
            lost, gains[id(service)] = _lose_and_keep(service, vs, outset)
            events += lost
    after: list[ServiceState] = []
    for vs, partner in zip(config.virtual_servers, kept, strict=True):
        if partner is None:
            after.append(new_service(vs, outset))
            events += begin(after[-1], config.global_defs, now, Reason.RELOAD)
        else:
            after.append(partner)
            partner.suspended = is_suspended(partner, present)
            events += _gain(partner, gains[id(partner)], config, now)
    return after, events


def identity(vs: VirtualServer) -> Hashable:
    """What makes a virtual server the same after a reload."""
    if vs.group is not None:
        return ("group", vs.group, vs.group_index, vs.protocol)
    if vs.fwmark is not None:
        return ("fwmark", vs.fwmark, vs.family)
    return (vs.endpoint, vs.protocol)


def paired(old: Iterable[T], key: Callable[[T], Hashable], wanted: Iterable[Hashable]) -> list[T | None]:
    """For each wanted key an old value with that key, or None. Twins are paired in order."""
    known: dict[Hashable, list[T]] = {}
    for value in old:
        known.setdefault(key(value), []).append(value)
    return [known[name].pop(0) if known.get(name) else None for name in wanted]


class _Gains(NamedTuple):
    """What the first half leaves for the second: kept servers with their weight before, new
    servers, those that do not serve any more, new lines of the group, and whether the same sorry
    server was serving."""

    kept: list[tuple[ServerState, int]]
    added: list[ServerState]
    fallen: list[ServerState]
    members: list[GroupMember]
    sorry_in_use: bool


def _lose_and_keep(service: ServiceState, vs: VirtualServer, outset: Outset) -> tuple[list[Event], _Gains]:
    """First half for a virtual server that is kept."""
    now = outset.now
    members = members_of(vs, outset.config)
    events, added_members = _compare_members(service, members, now)
    sorry_out = _replaced_sorry(service, vs)
    gains = _Gains([], [], [], added_members, service.sorry_in_use and sorry_out is None)
    partners = paired(service.servers, _endpoint, (rs.endpoint for rs in vs.real_servers))
    events += _drop(service, partners, now)
    service.vs, service.members = vs, members
    events += _keep_and_add(service, partners, gains, outset)
    if sorry_out is not None:
        events.append(SorryServerOut(at=now, reason=Reason.RELOAD, vs=vs, sorry=sorry_out))
    return events, gains


def _gain(service: ServiceState, gains: _Gains, config: Config, now: float) -> list[Event]:
    """Second half for a virtual server that is kept."""
    vs, reason = service.vs, Reason.RELOAD
    events: list[Event] = [
        WeightChanged(
            at=now,
            reason=reason,
            vs=vs,
            rs=server.rs,
            before=before,
            after=server.weight,
            active=server.serving,
        )
        for server, before in gains.kept
        if server.weight != before
    ]
    if config.global_defs.rs_init_notifies:
        events += initial_notices(service, gains.added, now, reason)
    events += [GroupMemberAdded(at=now, reason=reason, vs=vs, member=member) for member in gains.members]
    for server in gains.fallen:
        events += fell(service, server, now, reason)
    events += review(service, now)
    return events + settle(service, now, reason, sorry_in_use=gains.sorry_in_use)


def _compare_members(
    service: ServiceState, members: tuple[GroupMember, ...], now: float
) -> tuple[list[Event], list[GroupMember]]:
    """Lines that left the group, as events, and new lines. Told once, by the group's first user."""
    if service.vs.group_index > 0:
        return [], []
    before, after = set(service.members), set(members)
    gone: list[Event] = [
        GroupMemberGone(at=now, reason=Reason.RELOAD, vs=service.vs, member=member)
        for member in service.members
        if member not in after
    ]
    return gone, [member for member in members if member not in before]


def _replaced_sorry(service: ServiceState, vs: VirtualServer) -> SorryServer | None:
    """The sorry server that was serving and that `vs` does not have any more."""
    before, after = service.vs.sorry_server, vs.sorry_server
    if before is None or not service.sorry_in_use:
        return None
    return None if after is not None and after.endpoint == before.endpoint else before


def _drop(service: ServiceState, partners: Iterable[ServerState | None], now: float) -> list[Event]:
    kept = {id(server) for server in partners}
    events: list[Event] = []
    for server in service.servers:
        if id(server) not in kept:
            events.append(ServerGone(at=now, reason=Reason.RELOAD, vs=service.vs, rs=server.rs))
            events += withdraw(service, server, now)
            server.service = None
    return events


def _keep_and_add(
    service: ServiceState, partners: Iterable[ServerState | None], gains: _Gains, outset: Outset
) -> list[Event]:
    events: list[Event] = []
    servers: list[ServerState] = []
    for rs, server in zip(service.vs.real_servers, partners, strict=True):
        if server is None:
            server = new_server(service, rs, outset)
            gains.added.append(server)
        else:
            events += _keep(service, server, rs, gains, outset)
        servers.append(server)
    service.put(servers)
    return events


def _keep(
    service: ServiceState, server: ServerState, rs: RealServer, gains: _Gains, outset: Outset
) -> list[Event]:
    """A server is up at once when its failing checks are not configured any more, and down at
    once when a new check is known to fail."""
    if rs is server.rs:
        return []
    was_alive, was_serving, weight = server.alive, server.serving, server.weight
    _adopt(server, rs, outset)
    gains.kept.append((server, weight))
    if server.alive == was_alive:
        return []
    now, reason, vs = outset.now, Reason.RELOAD, service.vs
    server.since = now
    server.held = False
    if server.serving == was_serving:
        return []
    if server.serving:
        return [ServerUp(at=now, reason=reason, vs=vs, rs=rs, weight=server.weight)]
    if service.vs.depool_threshold:  # whether it must stay is known when all servers are
        gains.fallen.append(server)
        return []
    return [ServerDown(at=now, reason=reason, vs=vs, rs=rs)]


def _adopt(server: ServerState, rs: RealServer, outset: Outset) -> None:
    """Known checks go on; a new alpha check holds down a server that is down, but takes none out."""
    was_alive = server.alive
    partners = paired(server.checkers, _identity, (check.identity() for check in rs.checks))
    for checker in server.checkers:
        checker.server = None
    checkers: list[CheckerState] = []
    for check, known in zip(rs.checks, partners, strict=True):
        if known is None:
            checkers.append(new_checker(rs, check, outset, up=was_alive or not check.alpha))
        else:
            known.adopt(check)
            checkers.append(known)
    server.rs = rs
    server.put(checkers)


def _endpoint(server: ServerState) -> Hashable:
    return server.rs.endpoint


def _identity(checker: CheckerState) -> Hashable:
    return checker.config.identity()
