"""Hypothesis strategies for tables, and short names for their values. Shared by the unit
tests of the codec, of the memory dataplane and by the tests on a real kernel."""

from __future__ import annotations

import string
from ipaddress import ip_address

from hypothesis import strategies as st

from keepalive_py.config.model import (
    Forwarding,
    LvsSyncDaemon,
    LvsTimeouts,
    SchedulerFlag,
    Tunnel,
    TunnelChecksum,
    TunnelType,
)
from keepalive_py.net import Endpoint, Family, Protocol
from keepalive_py.plan.table import Destination, Service, ServiceKey

UINT32 = 0xFFFFFFFF


def endpoint(text: str, port: int = 80) -> Endpoint:
    return Endpoint(ip_address(text), port)


def virtual(text: str = "192.0.2.1", port: int = 80, protocol: Protocol = Protocol.TCP) -> ServiceKey:
    where = endpoint(text, port)
    return ServiceKey(where.family, protocol, where)


def marked(mark: int, family: Family = Family.INET) -> ServiceKey:
    return ServiceKey(family, fwmark=mark)


def service(key: ServiceKey | None = None, **settings: object) -> Service:
    """A service with the netmask that means "each client alone" in its family."""
    key = key or virtual()
    settings.setdefault("netmask", 128 if key.family is Family.INET6 else UINT32)
    settings.setdefault("scheduler", "rr")
    return Service(key, **settings)  # type: ignore[arg-type]


families = st.sampled_from(Family)
ports = st.integers(0, 65535)


def addresses(family: Family) -> st.SearchStrategy[object]:
    return st.ip_addresses(v=4 if family is Family.INET else 6)


def endpoints(family: Family) -> st.SearchStrategy[Endpoint]:
    return st.builds(Endpoint, addresses(family), ports)


address_keys = families.flatmap(
    lambda family: st.builds(ServiceKey, st.just(family), st.sampled_from(Protocol), endpoints(family))
)
mark_keys = st.builds(ServiceKey, families, fwmark=st.integers(1, UINT32))
keys = address_keys | mark_keys
names = st.text(string.ascii_lowercase, min_size=1, max_size=15)
flags = st.integers(0, 63).map(lambda bits: SchedulerFlag(bits & ~0x2))


def _services(key: ServiceKey) -> st.SearchStrategy[Service]:
    return st.builds(
        Service,
        key=st.just(key),
        scheduler=names,
        flags=flags,
        persistence_timeout=st.just(0) | st.integers(1, UINT32),
        netmask=st.integers(1, 128) if key.family is Family.INET6 else st.integers(0, UINT32),
        persistence_engine=st.none() | names,
    )


services = keys.flatmap(_services)
tunnels = st.just(Tunnel()) | st.builds(
    Tunnel, st.sampled_from(TunnelType), ports, st.integers(0, 2).map(TunnelChecksum)
)
destinations = families.flatmap(endpoints).flatmap(
    lambda where: st.builds(
        Destination,
        endpoint=st.just(where),
        forwarding=st.sampled_from([Forwarding.NAT, Forwarding.DR, Forwarding.TUN]),
        weight=st.integers(-(1 << 31), (1 << 31) - 1),
        u_threshold=st.integers(0, UINT32),
        l_threshold=st.integers(0, UINT32),
        tunnel=tunnels,
    )
)
daemons = st.builds(
    LvsSyncDaemon,
    interface=names,
    syncid=st.integers(0, 255),
    maxlen=st.integers(0, 65507),
    port=ports,
    ttl=st.integers(0, 255),
    group=st.none() | families.flatmap(addresses),
)
timeouts = st.builds(LvsTimeouts, *[st.integers(0, 2678400)] * 3)
