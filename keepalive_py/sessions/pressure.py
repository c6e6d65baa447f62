"""How near local addresses are to having no port left, and whether one was missing already. Pure.

A local address has PORTS ports towards each real server's address and port, per protocol: the
kernel's source NAT takes a port from 1024 up when the client's own is in use. So what counts is
the busiest real server of each local address, not its sum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from keepalive_py.errors import WireError
from keepalive_py.net import Address, Protocol
from keepalive_py.sessions.model import Session, show_end
from keepalive_py.sessions.proc import Services

PORTS: Final = 65536 - 1024
WARN: Final = 0.8  # of the ports towards one real server
CALM: Final = 0.7  # below it a warning is over
FULL: Final = 0.9  # of the entries that conntrack may have
# Columns of /proc/net/stat/nf_conntrack that tell of sessions that could not be: no free port or a
# full table (drop, early_drop, insert_failed), and of searches that had to be done again.
FAILURES: Final = ("insert_failed", "drop", "early_drop", "search_restart", "clash_resolve")


@dataclass(frozen=True, slots=True)
class Pressure:
    """One local address. `busiest` is the real server with most of its sessions."""

    address: Address
    services: int
    sessions: int
    busiest: str
    busiest_sessions: int

    @property
    def share(self) -> float:
        """Of the ports towards the busiest real server, 0 to 1."""
        return self.busiest_sessions / PORTS


def is_crowded(services: Services) -> bool:
    """Whether an address can be near WARN at all: only then is it worth looking at all sessions."""
    return any(many >= WARN * PORTS / 2 for many in services.connections.values())


def of_sessions(sessions: Iterable[Session]) -> list[Pressure]:
    """Every local address that has sessions, the fullest first."""
    servers: dict[bytes, dict[tuple[int, bytes, int], int]] = defaultdict(lambda: defaultdict(int))
    services: dict[bytes, set[tuple[int, bytes, int]]] = defaultdict(set)
    for one in sessions:
        if one.local:
            servers[one.local][one.protocol, one.server, one.server_port] += 1
            services[one.local].add((one.protocol, one.virtual, one.virtual_port))
    found = [_pressure(local, counts, len(services[local])) for local, counts in servers.items()]
    return sorted(found, key=lambda each: (-each.busiest_sessions, each.address.packed))


def _pressure(local: bytes, counts: dict[tuple[int, bytes, int], int], services: int) -> Pressure:
    (protocol, server, port), most = max(counts.items(), key=lambda pair: pair[1])
    busiest = f"{Protocol(protocol).name} {show_end(server, port)}"
    return Pressure(ip_address(local), services, sum(counts.values()), busiest, most)


def failures(text: str) -> dict[str, int]:
    """FAILURES of /proc/net/stat/nf_conntrack, summed over the processors; a kernel does not have
    all of them. WireError when it is no such table."""
    heading, *rows = [line.split() for line in text.splitlines() if line.strip()] or [[]]
    try:
        return {
            name: sum(int(row[heading.index(name)], 16) for row in rows)
            for name in FAILURES
            if name in heading
        }
    except (ValueError, IndexError):
        raise WireError("the statistics of conntrack are no table of numbers") from None
