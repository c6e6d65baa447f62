"""GoBGP, asked through its command `gobgp -j`.

It announces what it is told and not what an interface holds: `feed` tells it. (That it takes connected
routes from zebra is no way: GoBGP 3.10 ends with a panic when it meets FRR 8.4's zebra.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from keepalive_py.announcer.routing import Exports, Session, address_or_none, host_route, run_json, understood
from keepalive_py.net import Address

ESTABLISHED: Final = 6  # SessionState of gobgp.proto
STATES: Final = ("unknown", "idle", "connect", "active", "opensent", "openconfirm", "established")
AFI: Final = {1: 4, 2: 6}


class Gobgp:
    """`place`: HOST:PORT of its API."""

    name = "gobgp"
    wants_gap = False

    def __init__(self, place: str = "") -> None:
        host, _, port = place.rpartition(":")
        self.command = ["gobgp", *(["-u", host, "-p", port] if host else []), "-j"]

    async def sessions(self) -> list[Session]:
        answer = await run_json([*self.command, "neighbor"])
        return await understood("GoBGP", read_sessions, answer)

    async def exported(self, sessions: Sequence[Session]) -> Exports:
        found: dict[str, frozenset[Address]] = {}
        for session in sessions:
            routes: set[Address] = set()
            for family in session.families:
                words = ["neighbor", session.name, "adj-out", "-a", f"ipv{family}"]
                answer = await run_json([*self.command, *words])
                routes |= await understood("GoBGP", read_routes, answer)
            found[session.name] = frozenset(routes)
        return found


def read_sessions(found: Any) -> list[Session]:
    peers = found if isinstance(found, list) else []
    return [_session(peer) for peer in peers if isinstance(peer, dict)]


def _session(peer: dict[str, Any]) -> Session:
    state = peer.get("state") or {}
    name = str(state.get("neighbor_address") or (peer.get("conf") or {}).get("neighbor_address", ""))
    number = state.get("session_state", 0)
    known = isinstance(number, int) and 0 <= number < len(STATES)
    word = STATES[number] if known else str(number).lower()
    return Session(name, address_or_none(name), word == STATES[ESTABLISHED], word, _families(peer))


def _families(peer: dict[str, Any]) -> frozenset[int]:
    pairs = [(each.get("config") or {}).get("family") or {} for each in peer.get("afi_safis") or ()]
    numbers = frozenset(AFI[pair["afi"]] for pair in pairs if pair.get("afi") in AFI)
    return numbers or frozenset((4,))


def read_routes(found: Any) -> set[Address]:
    """Of a table: `{"PREFIX": [...]}`."""
    prefixes = found if isinstance(found, dict) else {}
    addresses = {host_route(prefix) for prefix in prefixes}
    return {address for address in addresses if address is not None}
