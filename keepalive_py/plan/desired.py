"""The table that model and health ask for. Pure.

A virtual server by address or mark is one service; a group is one per address of each of its lines
and one per mark. Destinations are the real servers of the pool, then the sorry server.

| virtual server | forwarding | destination port |
|---|---|---|
| address, mark | any | as in the model |
| line of a group | NAT, FNAT | as in the model |
| line of a group | DR, TUN | the line's (0 for a mark) |

With `nftables_ipvs` a group's addresses are one service by mark: see `plan.marks`.

Several virtual servers may ask for the same service (one group used twice, or twins). The first
decides its settings; a destination is there while any of them wants it, and its settings are those
of the first that wants it with a weight above 0, or else of the first at all. So is a sorry server
that is one of the real servers.

A destination of another family than its service is left out unless it is tunnelled: the kernel
knows no other way (ip_vs since Linux 3.18), and would refuse it at every comparison. So is a local
address of another family than its service; only FULLNAT has local addresses. Of a service's options
those are asked for that the dataplane can hold, since it could never be seen to have the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from keepalive_py.config.model import Config, Forwarding, GroupMember, VirtualServer
from keepalive_py.net import Address, Endpoint, Family, family_of
from keepalive_py.plan.marks import NO_MARKS, Marks
from keepalive_py.plan.table import (
    NO_OPTIONS,
    OPTION_NAMES,
    Destination,
    MarkedRange,
    Service,
    ServiceEntry,
    ServiceKey,
    ServiceOptions,
    Table,
)

HOST_NETMASK: Final = MappingProxyType({Family.INET: 0xFFFFFFFF, Family.INET6: 128})
OWN_PORT: Final = frozenset({Forwarding.NAT, Forwarding.FNAT})

LocalAddresses = dict[Address, str]  # each with its interface, or ""

# Per index of a virtual server, per endpoint of a real server: the weight to use while it is in
# the pool, whatever its own (0 drains it; None takes it out).
Overrides = Mapping[int, Mapping[Endpoint, int | None]]
NO_OVERRIDES: Final[Overrides] = MappingProxyType({})


class Pool(Protocol):
    """Who serves for one virtual server, as health sees it. None: not in the pool."""

    def weights(self) -> Sequence[int | None]:
        """For each of its real servers, in the order of the model."""

    def sorry_weight(self) -> int | None:
        """For its sorry server."""


class Slot(NamedTuple):
    """A service of a virtual server; `port` replaces a DR or TUN destination's (None: does not)."""

    service: Service
    port: int | None


def desired(
    config: Config,
    pools: Sequence[Pool],
    *,
    only: Iterable[int] | None = None,
    overrides: Overrides = NO_OVERRIDES,
    holds: Collection[str] = (),
    marks: Marks = NO_MARKS,
) -> Table:
    """The whole table, or the part of the virtual servers `only`. `pools` are parallel to
    `config.virtual_servers`. For a part to be complete, take `only` from `sharing`. `holds`: the
    `service_options` of the dataplane. `marks`: of groups that are served by mark."""
    table: Table = {}
    for index in range(len(pools)) if only is None else only:
        vs = config.virtual_servers[index]
        destinations = list(_destinations(vs, pools[index], overrides.get(index, {})))
        local = local_addresses(vs, config)
        options = _options(vs, holds)
        for slot in slots(vs, config, marks):
            service = slot.service if options is NO_OPTIONS else replace(slot.service, options=options)
            entry = _entry(table, service, local, marks.ranges.get(service.key, ()))
            for destination in destinations:
                _merge(entry, _placed(destination, slot))
    return table


def sharing(config: Config, marks: Marks = NO_MARKS) -> tuple[tuple[int, ...], ...]:
    """For each virtual server the indexes of all (itself too) that ask for one of its services."""
    keys = [[slot.service.key for slot in slots(vs, config, marks)] for vs in config.virtual_servers]
    users: dict[ServiceKey, list[int]] = {}
    for index, wanted in enumerate(keys):
        for key in wanted:
            users.setdefault(key, []).append(index)
    return tuple(tuple(sorted({user for key in wanted for user in users[key]})) for wanted in keys)


def slots(vs: VirtualServer, config: Config, marks: Marks = NO_MARKS) -> Iterator[Slot]:
    """The services of one virtual server, in kernel order: addresses in file order, then marks.
    Without `marks` those that its addresses would be by themselves."""
    if vs.endpoint is not None:
        yield Slot(_by_address(vs, vs.endpoint), None)
    elif vs.fwmark is not None:
        yield Slot(_by_mark(vs, vs.fwmark, vs.family), None)
    elif vs.group is not None:
        by_mark = marks.of_group(vs.group, vs.protocol)
        if by_mark:
            yield from (Slot(_service(vs, key), 0) for key in by_mark)
        else:
            yield from _group_slots(vs, config.groups[vs.group].members)


def _group_slots(vs: VirtualServer, members: Sequence[GroupMember]) -> Iterator[Slot]:
    for member in members:
        if member.addresses is not None:
            for address in member.addresses.addresses():
                yield Slot(_by_address(vs, Endpoint(address, member.port)), member.port)
    for member in members:
        if member.addresses is None:
            yield Slot(_by_mark(vs, member.fwmark, member.family or vs.family), 0)


def _by_address(vs: VirtualServer, endpoint: Endpoint) -> Service:
    return _service(vs, ServiceKey(endpoint.family, vs.protocol, endpoint))


def _by_mark(vs: VirtualServer, mark: int, family: Family) -> Service:
    return _service(vs, ServiceKey(family, fwmark=mark))


def _service(vs: VirtualServer, key: ServiceKey) -> Service:
    return Service(
        key=key,
        scheduler=vs.scheduler,
        flags=vs.scheduler_flags,
        persistence_timeout=vs.persistence_timeout,
        netmask=_netmask(vs, key.family),
        persistence_engine=vs.persistence_engine if vs.persistence_timeout else None,
    )


def _netmask(vs: VirtualServer, family: Family) -> int:
    """The granularity, if it is one of this family: a mask for v4, a prefix length for v6."""
    mask = vs.persistence_netmask
    if isinstance(mask, IPv4Address):
        return int(mask) if family is Family.INET else HOST_NETMASK[family]
    return mask if mask is not None and family is Family.INET6 else HOST_NETMASK[family]


def _destinations(
    vs: VirtualServer, pool: Pool, override: Mapping[Endpoint, int | None]
) -> Iterator[Destination]:
    """The pool's real servers and sorry server, with their ports as in the model."""
    for rs, weight in zip(vs.real_servers, pool.weights(), strict=True):
        if weight is not None and override:
            weight = override.get(rs.endpoint, weight)
        if weight is not None:
            yield Destination(
                endpoint=rs.endpoint,
                forwarding=rs.forwarding,
                weight=weight,
                u_threshold=rs.uthreshold,
                l_threshold=rs.lthreshold,
                tunnel=rs.tunnel,
            )
    sorry, weight = vs.sorry_server, pool.sorry_weight()
    if sorry is not None and weight is not None:
        yield Destination(sorry.endpoint, sorry.forwarding, weight, tunnel=sorry.tunnel)


def _placed(destination: Destination, slot: Slot) -> Destination | None:
    """The destination as that service has it; None: the kernel cannot."""
    endpoint = place_in(slot, destination.endpoint, destination.forwarding)
    if endpoint is None or endpoint is destination.endpoint:
        return None if endpoint is None else destination
    return Destination(
        endpoint=endpoint,
        forwarding=destination.forwarding,
        weight=destination.weight,
        u_threshold=destination.u_threshold,
        l_threshold=destination.l_threshold,
        tunnel=destination.tunnel,
    )


def place_in(slot: Slot, endpoint: Endpoint, forwarding: Forwarding) -> Endpoint | None:
    """Where a real server of the model is in that service; None: the kernel cannot have it there."""
    if forwarding is not Forwarding.TUN and family_of(endpoint.address) is not slot.service.key.family:
        return None
    if slot.port is None or forwarding in OWN_PORT or slot.port == endpoint.port:
        return endpoint
    return Endpoint(endpoint.address, slot.port)


def _options(vs: VirtualServer, holds: Collection[str]) -> ServiceOptions:
    if not holds:
        return NO_OPTIONS
    options = ServiceOptions(**{name: getattr(vs, name) for name in OPTION_NAMES.intersection(holds)})
    return NO_OPTIONS if options == NO_OPTIONS else options


def local_addresses(vs: VirtualServer, config: Config) -> LocalAddresses:
    """What FULLNAT connects from: every address of its local_address_group, and the interface
    of those that have one."""
    if vs.local_address_group is None or all(rs.forwarding is not Forwarding.FNAT for rs in vs.real_servers):
        return {}
    ranges = config.local_address_groups[vs.local_address_group].addresses
    return {address: getattr(span, "interface", "") for span in ranges for address in span.addresses()}


def _entry(
    table: Table, service: Service, local: LocalAddresses, marked: tuple[MarkedRange, ...]
) -> ServiceEntry:
    """The service's entry in `table`, with the local addresses of its family added."""
    entry = table.setdefault(service.key, ServiceEntry(service, marked=marked))
    fitting = [address for address in local if family_of(address) is service.key.family]
    if fitting:
        interfaces = {address: local[address] for address in fitting if local[address]}
        entry = table[service.key] = replace(
            entry,
            local_addresses=(*entry.local_addresses, *fitting),
            interfaces={**entry.interfaces, **interfaces},
        )
    return entry


def _merge(entry: ServiceEntry, destination: Destination | None) -> None:
    if destination is None:
        return
    present = entry.destinations.setdefault(destination.endpoint, destination)
    if present.weight == 0 and destination.weight > 0:
        entry.destinations[destination.endpoint] = destination
