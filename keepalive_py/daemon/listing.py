"""Long lists as JSON, without ever keeping the loop long: in small turns, shared by all who ask at
the same time, and kept for a moment so that nobody can make us do it again and again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Final

from keepalive_py.control.resource import encoded

TURN: Final = 0.003  # seconds of work between two yields
KEPT: Final = 0.5  # seconds that a list is kept, at least
SHARE: Final = 10  # and so many times what it took to make
MOST_KEPT: Final = 8  # different lists
PIECE: Final = 64 * 1024  # bytes: what is written at a time

Json = dict[str, Any]
Rows = Iterable[Json]


async def joined(head: Mapping[str, object], name: str, rows: Rows) -> list[bytes]:
    """`{…head, "name": [rows]}` in pieces, with yields."""
    start = encoded(head)[:-1]
    pieces, part = list[bytes](), [start + (b"," if head else b"") + encoded(name) + b":["]
    size, began, comma = 0, time.perf_counter(), b""
    for row in rows:
        text = encoded(row)
        part += (comma, text)
        comma, size = b",", size + len(text)
        if size > PIECE:
            pieces.append(b"".join(part))
            part, size = [], 0
        if time.perf_counter() - began > TURN:
            await asyncio.sleep(0)
            began = time.perf_counter()
    part.append(b"]}")
    return [*pieces, b"".join(part)]


class Kept:
    """Answers, in pieces, that are made at most once at a time and kept for a moment."""

    def __init__(self) -> None:
        self.done: dict[Hashable, tuple[float, list[bytes]]] = {}  # until when
        self.under_way: dict[Hashable, asyncio.Task[list[bytes]]] = {}

    async def get(self, key: Hashable, make: Callable[[], Any]) -> list[bytes]:
        """`make` is a coroutine function; whoever comes while it runs waits for the same answer."""
        until, found = self.done.get(key, (0.0, []))
        if time.perf_counter() < until:
            return found
        task = self.under_way.get(key)
        if task is None:
            task = self.under_way[key] = asyncio.get_running_loop().create_task(self.made(key, make))
        return await asyncio.shield(task)

    async def made(self, key: Hashable, make: Callable[[], Any]) -> list[bytes]:
        began = time.perf_counter()
        try:
            found: list[bytes] = await make()
        finally:
            del self.under_way[key]
        now = time.perf_counter()
        self.done = {each: kept for each, kept in self.done.items() if kept[0] > now}
        while len(self.done) >= MOST_KEPT:
            del self.done[next(iter(self.done))]
        life = max(KEPT, SHARE * (now - began))
        self.done[key] = (now + life, found)
        asyncio.get_running_loop().call_later(life, self.forget)
        return found

    def forget(self) -> None:
        """What is old is many megabytes of a large balancer."""
        now = time.perf_counter()
        self.done = {each: kept for each, kept in self.done.items() if kept[0] > now}
