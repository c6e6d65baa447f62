"""FRR, asked over its daemons' vty sockets, in JSON. Membership of the group frrvty is enough.

It is what vtysh(1) does, without a process for each question: a command and a NUL byte are sent; the
answer ends with three NUL bytes and a status. bgpd is asked in its view mode, in which nothing
can be changed. bfdd shows its peers in enable mode only; it is never asked anything else.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from keepalive_py.announcer.routing import (
    LARGEST,
    PATIENCE,
    Exports,
    NoAnswer,
    Session,
    address_or_none,
    host_route,
    last_line,
    understood,
)
from keepalive_py.net import Address

RUN: Final = "/var/run/frr"
END: Final = b"\0\0\0"
DONE, WARNING = 0, 1  # a warning: the neighbour went away meanwhile
FAMILIES: Final = {"ipv4Unicast": 4, "ipv6Unicast": 6}


class Frr:
    """`place`: a pathspace (as in `vtysh -N`), or with a slash in it the directory of its sockets."""

    name = "frr"
    wants_gap = True

    def __init__(self, place: str = "") -> None:
        self.directory = Path(place) if "/" in place else Path(RUN, place)

    async def sessions(self) -> list[Session]:
        (summary,) = await self.ask("bgpd", "show bgp summary json")
        return await understood("FRR", read_sessions, summary, await self.bfd())

    async def bfd(self) -> dict[str, str]:
        """By peer; nothing when bfdd does not run."""
        if not (self.directory / "bfdd.vty").exists():
            return {}
        _, peers = await self.ask("bfdd", "enable", "show bfd peers json")
        return await understood("FRR", read_bfd, peers)

    async def exported(self, sessions: Sequence[Session]) -> Exports:
        asked = [(session.name, family) for session in sessions for family in sorted(session.families)]
        answers = await self.ask(
            "bgpd",
            *(
                f"show bgp ipv{family} unicast neighbors {name} advertised-routes json"
                for name, family in asked
            ),
        )
        return await understood("FRR", read_exports, [name for name, _ in asked], answers)

    async def ask(self, daemon: str, *commands: str) -> list[Any]:
        """The answer to each, None when it says nothing. Raises NoAnswer."""
        if not commands:
            return []
        socket = self.directory / f"{daemon}.vty"
        try:
            answers = await asyncio.wait_for(_ask(socket, commands), PATIENCE)
        except TimeoutError:
            raise NoAnswer(f"FRR at {socket} takes longer than {PATIENCE:g} s") from None
        except PermissionError:
            raise NoAnswer(f"FRR at {socket}: permission denied: join the group frrvty") from None
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise NoAnswer(f"FRR at {socket}: {getattr(error, 'strerror', None) or error}") from None
        return await understood(f"FRR at {socket}", read_json, answers)


async def _ask(socket: Path, commands: Sequence[str]) -> list[bytes]:
    reader, writer = await asyncio.open_unix_connection(socket, limit=LARGEST)
    try:
        answers = []
        for command in commands:
            writer.write(command.encode() + b"\0")
            answers.append(await _answer(reader))
        return answers
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """Raises EOFError, ValueError."""
    text = (await reader.readuntil(END))[: -len(END)]
    status = (await reader.readexactly(1))[0]
    if status not in (DONE, WARNING):
        raise ValueError(last_line(text))
    return text


def read_json(answers: Sequence[bytes]) -> list[Any]:
    return [json.loads(answer or b"null") for answer in answers]


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


def read_exports(names: Sequence[str], answers: Sequence[Any]) -> Exports:
    """A session that is asked for each of its families has the routes of all."""
    found: dict[str, frozenset[Address]] = {}
    for name, answer in zip(names, answers, strict=True):
        found[name] = found.get(name, frozenset()) | read_routes(answer)
    return found


def read_routes(found: Any) -> set[Address]:
    addresses = {host_route(prefix) for prefix in _part(found, "advertisedRoutes")}
    return {address for address in addresses if address is not None}


def _part(found: Any, title: str) -> dict[str, Any]:
    part = found.get(title) if isinstance(found, dict) else None
    return part if isinstance(part, dict) else {}
