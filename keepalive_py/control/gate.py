"""How many connections there may be, and how long each may take.

aiohttp has no limit on the time in which a request must arrive, nor on that in which an answer must
be taken; both are here. A connection stands in one of these places:

| place | may last | becomes |
|---|---|---|
| WAITING for a request, or in the middle of its head | `HEAD` s | BUSY when the head is whole |
| BUSY with it | `REQUEST` s; a lasting stream: for ever, its pieces are timed | ANSWERED |
| ANSWERED, and perhaps the reader is slow | `REQUEST` s | WAITING with the next request |

Whoever overstays is cut off: no answer is owed to somebody who does not finish asking.
"""

from __future__ import annotations

import asyncio
import enum
import ssl
from collections.abc import Callable
from typing import Final

HEAD: Final = 5.0  # seconds
REQUEST: Final = 30.0
SWEEP: Final = 1.0  # seconds between looks at the connections
MOST_CONNECTIONS: Final = 128  # of one listener
FOREVER: Final = float("inf")

Factory = Callable[[], asyncio.Protocol]


class Place(enum.Enum):
    WAITING = "waiting for a request"
    BUSY = "busy with one"
    ANSWERED = "answered"


class Gate:
    """In front of one listener's connections. With `tls` each begins with a handshake; `most_each` are
    allowed from one address."""

    def __init__(
        self, factory: Factory, most: int = MOST_CONNECTIONS, tls: ssl.SSLContext | None = None
    ) -> None:
        self.factory = factory
        self.most = most
        self.most_each = max(1, most // 4)
        self.tls = tls
        self.inside: dict[asyncio.BaseTransport, Connection] = {}
        self.refused = 0
        self.cut_off = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection(self) -> Connection:
        """For `loop.create_server`."""
        return Connection(self)

    def place(self, transport: asyncio.BaseTransport | None, place: Place, patience: float) -> None:
        """The connection is there now, and may be for `patience` seconds."""
        found = None if transport is None else self.inside.get(transport)
        if found is not None:
            found.move(place, patience)

    def enter(self, transport: asyncio.BaseTransport, connection: Connection) -> bool:
        if len(self.inside) >= self.most or self.from_there(connection.address) >= self.most_each:
            self.refused += 1
            return False
        self.inside[transport] = connection
        if self._timer is None:
            self._timer = connection.loop.call_later(SWEEP, self.sweep)
        return True

    def from_there(self, address: str) -> int:
        """How many come from there; the clients of a unix socket are nowhere."""
        return sum(each.address == address for each in self.inside.values()) if address else 0

    def secured(self, before: asyncio.BaseTransport, after: asyncio.BaseTransport) -> None:
        """The connection goes on inside TLS."""
        self.inside[after] = self.inside.pop(before)

    def sweep(self) -> None:
        """Cut off who overstays."""
        self._timer = None
        for transport, connection in list(self.inside.items()):
            now = connection.loop.time()
            if connection.until < now and isinstance(transport, asyncio.WriteTransport):
                self.cut_off += 1
                transport.abort()
        if self.inside:
            self._timer = asyncio.get_running_loop().call_later(SWEEP, self.sweep)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for transport in list(self.inside):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()


class Connection(asyncio.Protocol):
    """One connection: counted, timed, and otherwise aiohttp's."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.loop = asyncio.get_running_loop()
        self.inner: asyncio.Protocol | None = None
        self.transport: asyncio.BaseTransport | None = None
        self.address = ""
        self.now_in = Place.WAITING
        self.until = self.loop.time() + HEAD
        self.early = b""
        self.handshake: asyncio.Task[None] | None = None

    def move(self, place: Place, patience: float) -> None:
        self.now_in = place
        self.until = self.loop.time() + patience

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self.gate.enter(transport, self):
            transport.abort()
        elif self.gate.tls is None:
            self.begin(transport)
        else:
            transport.pause_reading()
            self.handshake = self.loop.create_task(self.secure(transport, self.gate.tls))

    async def secure(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        try:
            inside = await self.loop.start_tls(
                transport, self, context, server_side=True, ssl_handshake_timeout=HEAD
            )
        except (OSError, ssl.SSLError):
            inside = None
        if inside is None:
            transport.abort()
            self.gate.inside.pop(transport, None)
            return
        self.gate.secured(transport, inside)
        self.transport = inside
        self.begin(inside)

    def begin(self, transport: asyncio.BaseTransport) -> None:
        self.move(Place.WAITING, HEAD)
        self.inner = self.gate.factory()
        self.inner.connection_made(transport)
        early, self.early = self.early, b""
        if early:
            self.inner.data_received(early)

    def data_received(self, data: bytes) -> None:
        if self.inner is None:
            self.early += data  # it came with the end of the handshake; a turn later we know of that
        else:
            if self.now_in is Place.ANSWERED:
                self.move(Place.WAITING, HEAD)
            self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self.inner is None else self.inner.eof_received()

    def pause_writing(self) -> None:
        if self.inner is not None:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        if self.inner is not None:
            self.inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.transport is not None:
            self.gate.inside.pop(self.transport, None)
        if self.inner is not None:
            self.inner.connection_lost(exc)
