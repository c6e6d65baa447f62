"""Hypothesis strategies for IPVS tables, shared by all tests that need one.

Addresses, ports and marks come from small sets, so that two tables have much in common and the
differences between them are of every sort.
"""

from __future__ import annotations

from hypothesis import strategies as st

from keepalive_py.config.model import Forwarding, SchedulerFlag, Tunnel, TunnelChecksum, TunnelType
from keepalive_py.net import Endpoint, Family, Protocol, parse_address
from keepalive_py.plan.table import Destination, Service, ServiceEntry, ServiceKey, Table

VIPS = {
    Family.INET: [parse_address(f"192.0.2.{host}") for host in (1, 2)],
    Family.INET6: [parse_address(f"2001:db8::{host}") for host in (1, 2)],
}
SERVERS = {
    Family.INET: [parse_address(f"10.0.0.{host}") for host in range(1, 5)],
    Family.INET6: [parse_address(f"fd00::{host}") for host in range(1, 5)],
}
LOCALS = {
    Family.INET: [parse_address(f"10.1.0.{host}") for host in range(1, 5)],
    Family.INET6: [parse_address(f"fd01::{host}") for host in range(1, 5)],
}
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sh", "mh")

families = st.sampled_from(list(Family))


@st.composite
def service_keys(draw: st.DrawFn) -> ServiceKey:
    family = draw(families)
    if draw(st.booleans()):
        return ServiceKey(family, fwmark=draw(st.integers(1, 3)))
    address, port = draw(st.sampled_from(VIPS[family])), draw(st.sampled_from([80, 443]))
    return ServiceKey(family, draw(st.sampled_from(list(Protocol))), Endpoint(address, port))


@st.composite
def services(draw: st.DrawFn, key: ServiceKey | None = None) -> Service:
    """Settings that a stock kernel accepts; port 0 and one-packet scheduling are left out."""
    key = draw(service_keys()) if key is None else key
    netmasks = [0xFFFFFFFF, 0xFFFFFF00] if key.family is Family.INET else [128, 64]
    flags = [SchedulerFlag.SCHED1, SchedulerFlag.SCHED2, SchedulerFlag.SCHED3]
    chosen = SchedulerFlag.NONE
    for flag in draw(st.sets(st.sampled_from(flags))):
        chosen |= flag
    return Service(
        key=key,
        scheduler=draw(st.sampled_from(SCHEDULERS)),
        flags=chosen,
        persistence_timeout=draw(st.sampled_from([0, 0, 60, 360])),
        netmask=draw(st.sampled_from(netmasks)),
    )


tunnels = st.one_of(
    st.just(Tunnel()),
    st.builds(
        Tunnel, st.just(TunnelType.GUE), st.integers(6080, 6081), st.sampled_from(list(TunnelChecksum))
    ),
    st.builds(Tunnel, st.just(TunnelType.GRE), st.just(0), st.just(TunnelChecksum.CSUM)),
)


@st.composite
def destinations(draw: st.DrawFn, family: Family, forwarding: st.SearchStrategy[Forwarding]) -> Destination:
    method = draw(forwarding)
    upper = draw(st.sampled_from([0, 0, 100]))
    return Destination(
        endpoint=Endpoint(draw(st.sampled_from(SERVERS[family])), draw(st.sampled_from([80, 8080]))),
        forwarding=method,
        weight=draw(st.integers(0, 3)),
        u_threshold=upper,
        l_threshold=draw(st.integers(0, upper)),
        tunnel=draw(tunnels) if method is Forwarding.TUN else Tunnel(),
    )


@st.composite
def entries(draw: st.DrawFn, key: ServiceKey, forwarding: st.SearchStrategy[Forwarding]) -> ServiceEntry:
    pool = draw(st.lists(destinations(key.family, forwarding), max_size=5))
    local = draw(st.sets(st.sampled_from(LOCALS[key.family]), max_size=3))
    fnat = any(destination.forwarding is Forwarding.FNAT for destination in pool)
    return ServiceEntry(
        service=draw(services(key)),
        destinations={destination.endpoint: destination for destination in pool},
        local_addresses=tuple(local) if fnat else (),
    )


@st.composite
def tables(
    draw: st.DrawFn, *, max_services: int = 4, forwarding: st.SearchStrategy[Forwarding] | None = None
) -> Table:
    """A table as a kernel could hold it. `forwarding` limits the methods (a stock kernel has no FNAT)."""
    methods = st.sampled_from(list(Forwarding)) if forwarding is None else forwarding
    keys = draw(st.lists(service_keys(), max_size=max_services, unique=True))
    return {key: draw(entries(key, methods)) for key in keys}


def usable(entry: ServiceEntry | None) -> bool:
    """Whether new connections have somewhere to go."""
    return entry is not None and any(to.weight > 0 for to in entry.destinations.values())
