"""Addresses, ports and the few enumerations that every room shares. Pure."""

from __future__ import annotations

import enum
import socket
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address


class Family(enum.IntEnum):
    """Address family; the values are the kernel's AF_* numbers."""

    INET = socket.AF_INET
    INET6 = socket.AF_INET6


class Protocol(enum.IntEnum):
    """Transport of a virtual server; the values are IANA protocol numbers."""

    TCP = socket.IPPROTO_TCP
    UDP = socket.IPPROTO_UDP
    SCTP = socket.IPPROTO_SCTP


@lru_cache(maxsize=65536)
def parse_address(text: str) -> Address:
    """`text` as an IP literal; raises ValueError. Results are shared, so ten thousand
    servers that repeat an address hold it once."""
    return ip_address(text)


def family_of(address: Address) -> Family:
    return Family.INET if address.version == 4 else Family.INET6


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """An address and a port (0: any port)."""

    address: Address
    port: int

    @property
    def family(self) -> Family:
        return family_of(self.address)

    def __str__(self) -> str:
        if self.address.version == 6:
            return f"[{self.address}]:{self.port}"
        return f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Every address from `first` to `last`, both included, of one family."""

    first: Address
    last: Address

    @property
    def family(self) -> Family:
        return family_of(self.first)

    def __len__(self) -> int:
        return int(self.last) - int(self.first) + 1

    def __contains__(self, address: object) -> bool:
        if not isinstance(address, (IPv4Address, IPv6Address)):
            return False
        return address.version == self.first.version and int(self.first) <= int(address) <= int(self.last)

    def addresses(self) -> list[Address]:
        return [self.first + offset for offset in range(len(self))]

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
