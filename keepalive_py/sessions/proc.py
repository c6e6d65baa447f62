"""/proc/net/ip_vs_conn as sessions: hexadecimal columns, one connection a line.

`Pro FromIP FPrt ToIP TPrt DestIP DPrt State Expires PEName PEData`; IPv6 addresses stand
there in full, with colons. Columns after Expires are ignored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import ip_address

from keepalive_py.net import Protocol
from keepalive_py.sessions.model import Session

_PROTOCOLS = {protocol.name: int(protocol) for protocol in Protocol}


@lru_cache(maxsize=65536)
def _address(text: str) -> bytes:
    return ip_address(text).packed if ":" in text else bytes.fromhex(text)


def parse(lines: Iterable[str]) -> Iterator[Session]:
    """Sessions of the lines after the heading; a line that is none is left out."""
    for line in lines:
        words = line.split()
        protocol = _PROTOCOLS.get(words[0]) if len(words) > 8 else None
        if protocol is None:
            continue
        with contextlib.suppress(ValueError):
            yield Session(
                protocol,
                _address(words[1]), int(words[2], 16),
                _address(words[3]), int(words[4], 16),
                b"", 0,
                _address(words[5]), int(words[6], 16),
                words[7], int(words[8]),
            )  # fmt: skip
