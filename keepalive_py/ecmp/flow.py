"""A flow, and a next hop. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from keepalive_py.net import Address, Protocol


@dataclass(frozen=True, slots=True)
class Flow:
    source: Address
    destination: Address
    protocol: Protocol = Protocol.TCP
    source_port: int = 0
    destination_port: int = 0

    def __str__(self) -> str:
        protocol = self.protocol.name.lower()
        return f"{protocol} {self.source} {self.source_port} -> {self.destination} {self.destination_port}"


@dataclass(frozen=True, slots=True)
class NextHop:
    """`weight` as in `ip route … nexthop … weight N`."""

    name: str
    weight: int = 1
