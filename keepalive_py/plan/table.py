"""The IPVS table as values: what the kernel holds, or should hold. Pure.

A `Table` maps each service's key to the service and its destinations, in the order they
were (or are to be) added. Counters are not part of it, so tables compare by meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """A service with its destinations (by endpoint) and, for FULLNAT, its local addresses, which
    are sorted and without repetition however they were given: the kernel keeps no order."""

    service: Service
    destinations: dict[Endpoint, Destination] = field(default_factory=dict)
    local_addresses: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        if len(self.local_addresses) > 1:
            distinct = sorted(set(self.local_addresses), key=lambda address: (address.version, int(address)))
            object.__setattr__(self, "local_addresses", tuple(distinct))


Table = dict[ServiceKey, ServiceEntry]
