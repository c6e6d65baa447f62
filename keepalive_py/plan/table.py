"""The IPVS table as values: what the kernel holds, or should hold. Pure.

A `Table` maps each service's key to the service and its destinations, in the order they
were (or are to be) added. Counters are not part of it, so tables compare by meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from keepalive_py.config.model import Forwarding, SchedulerFlag, Tunnel
from keepalive_py.net import Address, Endpoint, Family, Protocol


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """Identity in the kernel: protocol, address and port; or family and firewall mark.

    For a firewall mark `protocol` is None and `endpoint` is None.
    """

    family: Family
    protocol: Protocol | None = None
    endpoint: Endpoint | None = None
    fwmark: int = 0

    def __str__(self) -> str:
        if self.endpoint is None or self.protocol is None:
            return f"FWM {self.fwmark}" + (" IPv6" if self.family is Family.INET6 else "")
        return f"{self.protocol.name} {self.endpoint}"


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What only some dataplanes know; the names are those of a virtual server's fields. Which of
    them one can hold, and so may be asked of it, its `service_options` says.

    `established_timeout` in seconds, 0: the dataplane's own. `bps` and `limit_proportion` as DPVS
    takes them, 0: no limit. `proxy_protocol`: v1, v2, v1-insecure, v2-insecure or "".
    """

    syn_proxy: bool = False
    established_timeout: int = 0
    bps: int = 0
    limit_proportion: int = 0
    proxy_protocol: str = ""
    quic: bool = False
    expire_quiescent_conn: bool = False


NO_OPTIONS: Final = ServiceOptions()
OPTION_NAMES: Final = frozenset(each.name for each in fields(ServiceOptions))


@dataclass(frozen=True, slots=True)
class Service:
    """Settings of a service. `persistence_timeout` in seconds, 0: not persistent.
    `netmask` groups clients for persistence: for v4 the mask as a 32-bit int (0xFFFFFFFF:
    each client alone), for v6 a prefix length (128: each client alone). The flag
    PERSISTENT is set exactly when there is a timeout, however the service was made."""

    key: ServiceKey
    scheduler: str = "wlc"
    flags: SchedulerFlag = SchedulerFlag.NONE
    persistence_timeout: int = 0
    netmask: int = 0xFFFFFFFF
    persistence_engine: str | None = None
    options: ServiceOptions = NO_OPTIONS

    def __post_init__(self) -> None:
        persistent = self.persistence_timeout > 0
        if persistent != (SchedulerFlag.PERSISTENT in self.flags):
            object.__setattr__(self, "flags", self.flags ^ SchedulerFlag.PERSISTENT)


@dataclass(frozen=True, slots=True)
class Destination:
    """A real server inside one service. Its identity is `endpoint`."""

    endpoint: Endpoint
    forwarding: Forwarding = Forwarding.NAT
    weight: int = 1
    u_threshold: int = 0
    l_threshold: int = 0
    tunnel: Tunnel = Tunnel()


@dataclass(frozen=True, slots=True, order=True)
class MarkedRange:
    """Packets for one of these addresses and ports, both ends included, get a service's mark."""

    protocol: Protocol
    first: Address
    last: Address
    first_port: int
    last_port: int

    def __str__(self) -> str:
        addresses = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        if self.first_port == self.last_port:
            return f"{self.protocol.name} {addresses} port {self.first_port}"
        return f"{self.protocol.name} {addresses} ports {self.first_port}-{self.last_port}"

    def overlaps(self, other: MarkedRange) -> bool:
        """Of two ranges of one family."""
        return (
            self.protocol is other.protocol
            and int(self.first) <= int(other.last)
            and int(other.first) <= int(self.last)
            and self.first_port <= other.last_port
            and other.first_port <= self.last_port
        )


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """A service with its destinations (by endpoint) and, for FULLNAT, its local addresses, which
    are sorted and without repetition however they were given: the kernel keeps no order.
    `interfaces` has those of local addresses that have one; it is not compared. `marked`, of a
    service by mark: what gets that mark (see `plan.marks`), sorted and disjoint."""

    service: Service
    destinations: dict[Endpoint, Destination] = field(default_factory=dict)
    local_addresses: tuple[Address, ...] = ()
    interfaces: Mapping[Address, str] = field(default_factory=dict, compare=False)
    marked: tuple[MarkedRange, ...] = ()

    def __post_init__(self) -> None:
        if len(self.local_addresses) > 1:
            distinct = sorted(set(self.local_addresses), key=lambda address: (address.version, int(address)))
            object.__setattr__(self, "local_addresses", tuple(distinct))


Table = dict[ServiceKey, ServiceEntry]
