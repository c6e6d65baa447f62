"""BIRD 2, asked over its control socket, after `restrict`: nothing can be changed by it.

A reply is lines of a four-digit code, then `-` (more follow) or a blank (the last); a line that
begins with a blank goes on with the code before. 0... ends well, 8... and 9... are refusals. BIRD
User's Guide, "Remote control".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Final

from keepalive_py.announcer.routing import (
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

SOCKET: Final = "/run/bird/bird.ctl"
END: Final = re.compile(rb"^[0-9]{4} .*\n", re.MULTILINE)

Line = tuple[int, str]  # code and text


class Bird:
    name = "bird"
    wants_gap = False

    def __init__(self, place: str = "") -> None:
        self.socket = place or SOCKET

    async def sessions(self) -> list[Session]:
        answers = await self.ask("show protocols all", "show bfd sessions")
        return await understood("BIRD", lambda: list(read_sessions(answers[0], dict(read_bfd(answers[1])))))

    async def exported(self, sessions: Sequence[Session]) -> Exports:
        answers = await self.ask(*(f"show route export {session.name}" for session in sessions))
        return await understood("BIRD", read_exports, sessions, answers)

    async def ask(self, *commands: str) -> list[list[Line]]:
        """The reply to each. Raises NoAnswer."""
        if not commands:
            return []
        try:
            return await asyncio.wait_for(self._ask(commands), PATIENCE)
        except TimeoutError:
            raise NoAnswer(f"BIRD at {self.socket} takes longer than {PATIENCE:g} s") from None
        except (OSError, EOFError, ValueError) as error:
            raise NoAnswer(f"BIRD at {self.socket}: {getattr(error, 'strerror', None) or error}") from None

    async def _ask(self, commands: Sequence[str]) -> list[list[Line]]:
        reader, writer = await asyncio.open_unix_connection(self.socket)
        try:
            await reply(reader)  # its greeting
            answers = []
            for command in ("restrict", *commands):
                writer.write(command.encode() + b"\n")
                answers.append(await reply(reader))
            if answers[0][-1][0] != 16:
                raise NoAnswer(f"BIRD at {self.socket} does not restrict access")
            return answers[1:]
        finally:
            writer.close()


async def reply(reader: asyncio.StreamReader) -> list[Line]:
    return await understood("BIRD", read_lines, await answer_up_to(END, reader))


def read_lines(answer: bytes) -> list[Line]:
    lines: list[Line] = []
    code = 0
    for text in answer.decode(errors="replace").removesuffix("\n").split("\n"):
        if text[:4].isdigit() and text[4:5] in ("-", " "):
            code = int(text[:4])
            lines.append((code, text[5:]))
        else:
            lines.append((code, text[1:]))
    return lines


HEAD: Final = 1002


def read_sessions(lines: Sequence[Line], bfd: dict[Address, str]) -> Iterator[Session]:
    """Of `show protocols all`, those that are BGP."""
    name = ""
    facts: dict[str, str] = {}
    families: set[int] = set()
    for code, text in [*lines, (HEAD, "")]:
        if code == HEAD:
            if name:
                yield _session(name, facts, families, bfd)
            words = text.split()
            name = words[0] if words[1:2] == ["BGP"] else ""
            facts, families = {}, set()
        elif text.strip().startswith("Channel ipv"):
            families.add(int(text.strip()[len("Channel ipv")]))
        elif ":" in text:
            key, _, value = text.partition(":")
            facts.setdefault(key.strip(), value.strip())


def _session(name: str, facts: dict[str, str], families: set[int], bfd: dict[Address, str]) -> Session:
    neighbour = address_or_none(facts.get("Neighbor address", "").split("%")[0])
    state = facts.get("BGP state", "")
    told = bfd.get(neighbour, "") if neighbour is not None else ""
    return Session(name, neighbour, state == "Established", state, frozenset(families), told)


def read_bfd(lines: Sequence[Line]) -> Iterator[tuple[Address, str]]:
    """Address and state of each line of `show bfd sessions`."""
    for _, text in lines:
        words = text.split()
        address = address_or_none(words[0].split("%")[0]) if len(words) > 2 else None
        if address is not None:
            yield address, words[2]


def read_exports(sessions: Sequence[Session], answers: Sequence[Sequence[Line]]) -> Exports:
    return {
        session.name: frozenset(read_routes(answer))
        for session, answer in zip(sessions, answers, strict=True)
        if not any(code >= 8000 for code, _ in answer)  # it went down meanwhile
    }


def read_routes(lines: Sequence[Line]) -> Iterator[Address]:
    for code, text in lines:
        words = text.split()
        address = host_route(words[0]) if code == 1007 and words and "/" in words[0] else None
        if address is not None:
            yield address
