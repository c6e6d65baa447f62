"""ExaBGP 4, asked through exabgpcli(1).

It sends what its API is told; it does not look at interfaces. `show adj-rib out` is then what it
was told to send, to each neighbour.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from keepalive_py.announcer.routing import Exports, Session, address_or_none, host_route, run
from keepalive_py.net import Address

SUMMARY: Final = re.compile(r"^\s*(?P<peer>[0-9A-Fa-f:.]+)\s+(?P<asn>\d+)\s+(?P<rest>.*)$")
ROUTE: Final = re.compile(r"neighbor (?P<peer>\S+).*? (?P<prefix>[0-9A-Fa-f:.]+/\d+) ")


class Exabgp:
    name = "exabgp"

    def __init__(self, place: str = "") -> None:
        self.command = ["exabgpcli", *(["--pipename", place] if place else [])]

    async def sessions(self) -> list[Session]:
        return read_sessions(await run([*self.command, "show", "neighbor", "summary"]))

    async def exported(self, sessions: Sequence[Session]) -> Exports:
        text = await run([*self.command, "show", "adj-rib", "out"])
        routes = read_routes(text)
        return {session.name: frozenset(routes.get(session.name, ())) for session in sessions}


def read_sessions(text: str) -> list[Session]:
    found = []
    for line in text.splitlines():
        match = SUMMARY.match(line)
        if match and (neighbour := address_or_none(match["peer"])) is not None:
            up = "established" in match["rest"].lower()
            state = "established" if up else "down"
            found.append(Session(match["peer"], neighbour, up, state, frozenset((neighbour.version,))))
    return found


def read_routes(text: str) -> dict[str, set[Address]]:
    routes: dict[str, set[Address]] = {}
    for line in text.splitlines():
        match = ROUTE.search(f"{line} ")
        address = host_route(match["prefix"]) if match else None
        if match and address is not None:
            routes.setdefault(match["peer"], set()).add(address)
    return routes
