"""ExaBGP 4, asked over its named pipes, as exabgpcli(1) does, without a process for each question.

It sends what its API is told; it does not look at interfaces (`feed` tells it what they hold). `show adj-rib
out` is what it was told to send, to each neighbour. A line is written to NAME.in; the answer is lines in
NAME.out, up to one that says `done` (exabgp.api.ack, on by default).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from keepalive_py.announcer.routing import (
    BLOCK,
    PATIENCE,
    Exports,
    NoAnswer,
    Session,
    address_or_none,
    answer_up_to,
    host_route,
    understood,
)
from keepalive_py.net import Address

RUN: Final = "/run/exabgp"
NAME: Final = "exabgp"
LARGEST_PIPE: Final = 1 << 20  # bytes; fs.pipe-max-size, pipe(7)
DONE: Final = "done"
END: Final = re.compile(rb"^(done|error|shutdown)\n", re.MULTILINE)

SUMMARY: Final = re.compile(r"^\s*(?P<peer>[0-9A-Fa-f:.]+)\s+(?P<asn>\d+)\s+(?P<rest>.*)$")
ROUTE: Final = re.compile(r"neighbor (?P<peer>\S+).*? (?P<prefix>[0-9A-Fa-f:.]+/\d+) ")


class Exabgp:
    """`place`: the name of its pipes (exabgp.api.pipename), with their directory if it is not the usual."""

    name = "exabgp"
    wants_gap = False

    def __init__(self, place: str = "") -> None:
        self.pipes = str(Path(RUN, place or NAME))
        self._turn = asyncio.Lock()  # there is one pipe for all answers

    async def sessions(self) -> list[Session]:
        return await understood("ExaBGP", read_sessions, await self.ask("show neighbor summary"))

    async def exported(self, sessions: Sequence[Session]) -> Exports:
        answer = await self.ask("show adj-rib out") if sessions else ""
        routes = await understood("ExaBGP", read_routes, answer)
        return {session.name: frozenset(routes.get(session.name, ())) for session in sessions}

    async def ask(self, command: str) -> str:
        """Raises NoAnswer."""
        try:
            async with self._turn:
                return await asyncio.wait_for(_ask(self.pipes, command), PATIENCE)
        except TimeoutError:
            raise NoAnswer(f"ExaBGP at {self.pipes} takes longer than {PATIENCE:g} s") from None
        except OSError as error:
            why = "it does not run" if error.errno == errno.ENXIO else error.strerror
            raise NoAnswer(f"ExaBGP at {self.pipes}.in: {why}") from None
        except (EOFError, ValueError) as error:
            raise NoAnswer(f"ExaBGP at {self.pipes}: {error}") from None


async def _ask(pipes: str, command: str) -> str:
    # For writing too, or there is an end of file whenever ExaBGP closes its end.
    descriptor = os.open(f"{pipes}.out", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    reader = asyncio.StreamReader()
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        _clear(descriptor)
        _send(f"{pipes}.in", f"{command}\n".encode())
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), file
        )
        try:
            return await _answer(reader)
        finally:
            transport.close()


def _clear(descriptor: int) -> None:
    """Of what somebody else's question left there."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(LARGEST_PIPE // BLOCK):  # not for as long as somebody writes
            os.read(descriptor, BLOCK)


def _send(path: str, line: bytes) -> None:
    """Raises OSError; ENXIO when nobody reads."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


async def _answer(reader: asyncio.StreamReader) -> str:
    """Raises EOFError, ValueError."""
    answer = (await answer_up_to(END, reader)).decode(errors="replace")
    head, _, last = answer.removesuffix("\n").rpartition("\n")
    if last != DONE:
        raise ValueError(f"it answers {last}")
    return f"{head}\n"


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
