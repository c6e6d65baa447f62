"""FRR, asked through vtysh(1), whose answers are JSON. Membership of the group frrvty is enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from keepalive_py.announcer.routing import Exports, Session, address_or_none, host_route, run_json
from keepalive_py.net import Address

FAMILIES: Final = {"ipv4Unicast": 4, "ipv6Unicast": 6}


class Frr:
    """`place`: a pathspace (`vtysh -N`), or with a slash in it the directory of its sockets."""

    name = "frr"

    def __init__(self, place: str = "") -> None:
        option = [] if not place else ["--vty_socket", place] if "/" in place else ["-N", place]
        self.command = ["vtysh", *option, "-c"]

    async def sessions(self) -> list[Session]:
        summary = await run_json([*self.command, "show bgp summary json"])
        bfd = await run_json([*self.command, "show bfd peers json"])
        return read_sessions(summary, read_bfd(bfd))

    async def exported(self, sessions: Sequence[Session]) -> Exports:
        found: dict[str, frozenset[Address]] = {}
        for session in sessions:
            routes: set[Address] = set()
            for family in session.families:
                question = f"show bgp ipv{family} unicast neighbors {session.name} advertised-routes json"
                routes |= read_routes(await run_json([*self.command, question]))
            found[session.name] = frozenset(routes)
        return found


def read_sessions(summary: Any, bfd: dict[str, str]) -> list[Session]:
    """Of `show bgp summary json`; a neighbour of several families is one session."""
    families: dict[str, set[int]] = {}
    states: dict[str, str] = {}
    for title, number in FAMILIES.items():
        for name, peer in (_part(summary, title).get("peers") or {}).items():
            families.setdefault(name, set()).add(number)
            states[name] = str(peer.get("state", ""))
    return [
        Session(
            name,
            address_or_none(name),
            states[name] == "Established",
            states[name],
            frozenset(numbers),
            bfd.get(name, ""),
        )
        for name, numbers in families.items()
    ]


def read_bfd(found: Any) -> dict[str, str]:
    peers = found if isinstance(found, list) else []
    return {str(each.get("peer")): str(each.get("status", "")) for each in peers if isinstance(each, dict)}


def read_routes(found: Any) -> set[Address]:
    addresses = {host_route(prefix) for prefix in _part(found, "advertisedRoutes")}
    return {address for address in addresses if address is not None}


def _part(found: Any, title: str) -> dict[str, Any]:
    part = found.get(title) if isinstance(found, dict) else None
    return part if isinstance(part, dict) else {}
