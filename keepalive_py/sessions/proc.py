"""IPVS's files in /proc/net as values. Pure: text in, values out.

`ip_vs_conn`, one connection a line, hexadecimal: `Pro FromIP FPrt ToIP TPrt DestIP DPrt State
Expires PEName PEData`; IPv6 addresses stand there in full, with colons. FULLNAT kernels have
`LocalIP LPrt` before DestIP.

`ip_vs`, services and under each its real servers: `TCP  0A630001:0050 rr`, `FWM  0000004D rr`,
`  -> 0A02000B:0050 Masq 1 0 0`.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address

from keepalive_py.net import Protocol
from keepalive_py.sessions.model import Session

_PROTOCOLS = {protocol.name: int(protocol) for protocol in Protocol}


@lru_cache(maxsize=65536)
def _address(text: str) -> bytes:
    return ip_address(text.strip("[]")).packed if ":" in text else bytes.fromhex(text)


def parse(lines: Iterable[str]) -> Iterator[Session]:
    """Sessions of the lines of `ip_vs_conn`; a line that is none is left out."""
    with_local = False
    for line in lines:
        words = line.split()
        protocol = _PROTOCOLS.get(words[0]) if len(words) > 8 else None
        if protocol is None:
            with_local = with_local or "LocalIP" in words
            continue
        local, words = (words[5:7], words[:5] + words[7:]) if with_local else ([], words)
        with contextlib.suppress(ValueError, IndexError):
            yield Session(
                protocol,
                _address(words[1]), int(words[2], 16),
                _address(words[3]), int(words[4], 16),
                *((_address(local[0]), int(local[1], 16)) if local else (b"", 0)),
                _address(words[5]), int(words[6], 16),
                words[7], int(words[8]),
            )  # fmt: skip


@dataclass(slots=True)
class Services:
    """What `ip_vs` says of who is balanced. Ports may be 0: any.

    `only_nat`: every real server has NAT or FULLNAT, so all sessions are tracked connections.
    `connections`: how many each real server has, over all services."""

    virtual: set[tuple[int, bytes, int]] = field(default_factory=set)
    servers_of_marks: set[tuple[bytes, int]] = field(default_factory=set)
    only_nat: bool = True
    connections: Counter[tuple[bytes, int]] = field(default_factory=Counter)

    def has(self, one: Session) -> bool:
        """Whether a tracked connection is one of theirs."""
        return (
            (one[0], one[3], one[4]) in self.virtual
            or (one[0], one[3], 0) in self.virtual
            or one[7:9] in self.servers_of_marks
            or (one[7], 0) in self.servers_of_marks
        )


def parse_services(lines: Iterable[str]) -> Services:
    """A line that is none is left out."""
    found = Services()
    marked = False
    for line in lines:
        words = line.split()
        with contextlib.suppress(ValueError):
            if len(words) > 2 and words[0] == "->":
                server = _end(words[1])
                found.only_nat &= words[2] == "Masq"
                found.connections[server] += sum(map(int, words[4:6]))
                if marked:
                    found.servers_of_marks.add(server)
            elif len(words) > 1:
                marked = words[0] == "FWM"
                if words[0] in _PROTOCOLS:
                    found.virtual.add((_PROTOCOLS[words[0]], *_end(words[1])))
    return found


def _end(text: str) -> tuple[bytes, int]:
    address, _, port = text.rpartition(":")
    return _address(address), int(port, 16)
