"""A real server: it answers every HTTP request with its name, and remembers who asked."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from keepalive_py.lab.namespace import Namespace

HEAD = "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}"
MOST_REMEMBERED = 100_000


class WebServer:
    """On port 80 of every IPv4 address of its namespace. `askers` are address and port of each request."""

    def __init__(self, home: Namespace, name: str) -> None:
        self.home = home
        self.name = name
        self.askers: list[tuple[str, int]] = []
        self._listener: asyncio.Server | None = None

    def start(self) -> None:
        self.home.run(self._start())

    def stop(self) -> None:
        """Connections are refused from now on."""
        self.home.run(self._stop())

    async def _start(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(
                self._serve, "0.0.0.0", 80, family=socket.AF_INET, backlog=1024, reuse_address=True
            )

    async def _stop(self) -> None:
        if self._listener is not None:
            for each in self._listener.sockets:
                # A child that is just being forked may hold a copy: close() alone is not enough.
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                if len(self.askers) < MOST_REMEMBERED:
                    self.askers.append(writer.get_extra_info("peername")[:2])
                writer.write(HEAD.format(len(self.name), self.name).encode())
                await writer.drain()
        except asyncio.CancelledError:  # the lab is being taken down
            pass
        finally:
            writer.close()
