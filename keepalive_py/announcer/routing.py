"""What a routing daemon can be asked, whichever it is."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Final, Protocol, TypeVar

from keepalive_py import running
from keepalive_py.errors import KeepaliveError
from keepalive_py.net import Address

PATIENCE: Final = 3.0  # seconds that a routing daemon may take to answer
LARGEST: Final = 1 << 24  # bytes of an answer
SHOWN: Final = 200  # characters of what it says of itself
LONGEST_LINE: Final = 1 << 16  # bytes, where there are lines
BLOCK: Final = 1 << 16  # bytes that are taken at once

T = TypeVar("T")
Exports = Mapping[str, frozenset[Address]]  # by session, the host routes that are sent to the peer


class NoAnswer(KeepaliveError):
    """The routing daemon is not there, or says something that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Session:
    """A BGP session. `name` is the daemon's own; `state` its own word; `families` are 4 and 6, those
    whose routes it carries."""

    name: str
    neighbour: Address | None
    established: bool
    state: str = ""
    families: frozenset[int] = frozenset((4, 6))
    bfd: str = ""


class Routing(Protocol):
    """A routing daemon that is only ever read. Both raise NoAnswer.

    `wants_gap`: it takes note of an address that moves between interfaces only if it leaves the old
    one first. FRR 8.4 goes on announcing an address as the first interface has it when it comes to
    another one and then leaves the first; when it leaves first, its peers see no gap all the same."""

    name: str
    wants_gap: bool

    async def sessions(self) -> list[Session]: ...

    async def exported(self, sessions: Sequence[Session]) -> Exports:
        """What is sent over each of these sessions, all established."""


async def understood(who: str, read: Callable[..., T], *answers: Any) -> T:
    """What `read` makes of them, in a thread: there may be a hundred thousand lines. What has another
    shape than we know is no answer. Raises NoAnswer."""
    try:
        return await asyncio.to_thread(read, *answers)
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise NoAnswer(f"{who}: the answer is not what we know: {type(error).__name__}") from None


async def answer_up_to(end: re.Pattern[bytes], reader: asyncio.StreamReader) -> bytes:
    """What comes, to the end of the first match, which is a whole line. Not line by line: a million of
    them would be a million objects. Raises EOFError, ValueError when there is no end of it."""
    said, line = bytearray(), 0  # where the last one begins
    while (found := end.search(said, line)) is None:
        line = max(line, said.rfind(b"\n", line) + 1)
        if len(said) - line > LONGEST_LINE or len(said) > LARGEST:
            raise ValueError("an answer without end")
        some = await reader.read(BLOCK)
        if not some:
            raise EOFError("the connection ended")
        said += some
    return bytes(said[: found.end()])


async def run(argv: Sequence[str]) -> str:
    """What a command prints. NoAnswer when it fails or takes too long."""
    try:
        done = await running.run(argv, PATIENCE)
    except TimeoutError:  # before OSError, of which it is one
        raise NoAnswer(f"{argv[0]} takes longer than {PATIENCE:g} s") from None
    except OSError as error:
        raise NoAnswer(f"{argv[0]}: {error.strerror}") from None
    if done.status:
        raise NoAnswer(f"{argv[0]}: {last_line(done.err or done.out)}")
    return done.out.decode(errors="replace")


async def run_json(argv: Sequence[str]) -> Any:
    """Raises NoAnswer."""
    return await understood(argv[0], json.loads, await run(argv) or "null")


def last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1][:SHOWN] if lines else "it failed without a word"


def host_route(text: str) -> Address | None:
    """The address of a host route; None for other networks, and for what is no network."""
    try:
        network = ip_network(text)
    except ValueError:
        return None
    return network.network_address if network.prefixlen == network.max_prefixlen else None


def address_or_none(text: object) -> Address | None:
    try:
        return ip_address(str(text))
    except ValueError:
        return None
