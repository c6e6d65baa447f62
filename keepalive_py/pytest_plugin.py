"""The fixtures of keepalive_py.testing; pytest finds them by itself. docs/testing.md.

They need pytest-asyncio, in either of its modes; without it there are none. This file is read in
every run of pytest on a machine that has keepalive_py, so it imports nothing of it before somebody
asks.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from keepalive_py.testing import Daemon, Server, VirtualClock

with contextlib.suppress(ImportError):
    import pytest_asyncio

    @pytest_asyncio.fixture
    async def virtual_clock() -> AsyncIterator[VirtualClock]:
        """The time of the test's loop stands still until `advance`."""
        from keepalive_py.testing import VirtualClock

        clock = VirtualClock()
        yield clock
        clock.close()

    @pytest_asyncio.fixture
    async def mock_daemon(tmp_path: Path, virtual_clock: VirtualClock) -> AsyncIterator[Start]:
        """Starts daemons on the virtual clock whose checks use no sockets: `Daemon.say`."""
        async with contextlib.AsyncExitStack() as stack:
            yield starter(stack, tmp_path, sockets=False, clock=virtual_clock)

    @pytest_asyncio.fixture
    async def live_daemon(tmp_path: Path) -> AsyncIterator[Start]:
        """Starts daemons whose checks ask real sockets, in real time unless given a `clock`."""
        async with contextlib.AsyncExitStack() as stack:
            yield starter(stack, tmp_path, sockets=True)

    @pytest_asyncio.fixture
    async def scripted_server() -> AsyncIterator[MakeServer]:
        """Makes real servers on loopback that do as they are told; they serve at once."""
        from keepalive_py.testing import DatagramServer, Server

        made: list[Server] = []

        async def make(kind: str = "tcp", **more: Any) -> Server:
            server = (DatagramServer if kind in ("udp", "dns") else Server)(kind=kind, **more)
            made.append(server)
            await server.serve()
            return server

        yield make
        for server in made:
            await server.aclose()


class Start(Protocol):
    """`config` is text or a path; for the rest see keepalive_py.testing.running."""

    def __call__(self, config: str | Path, **more: Any) -> Awaitable[Daemon]: ...


class MakeServer(Protocol):
    """`kind`: tcp, http, smtp, udp, dns. The server serves already. `address`, `port`, `tls` and
    `name` as for keepalive_py.testing.Server."""

    def __call__(self, kind: str = "tcp", **more: Any) -> Awaitable[Server]: ...


def starter(stack: contextlib.AsyncExitStack, directory: Path, **usual: Any) -> Start:
    """Each daemon has a directory of its own, and is stopped with the test, the last one first."""
    from keepalive_py.testing import running

    count = 0

    async def start(config: str | Path, **more: Any) -> Daemon:
        nonlocal count
        count += 1
        home = directory / f"daemon-{count}"
        home.mkdir()
        return await stack.enter_async_context(running(config, **{"directory": home, **usual, **more}))

    return start
