"""Real servers that do as they are told, and count.

A server speaks HTTP when asked for it (`http`, `tls`), or SMTP (`smtp`), otherwise it echoes
(`tcp`). Over UDP it answers what it is told to (`udp`), or DNS (`dns`).
Behaviours, changed while it runs:

    serve    as it should
    fail     it answers, and the answer is bad: HTTP 503, SMTP 421, DNS SERVFAIL; tcp: reset;
             udp: nothing
    refuse   nothing listens: connections are refused
    deaf     the kernel drops every SYN: connections time out
    hang     connections are accepted, nothing is ever said
    reset    connections are accepted and reset
    slow     every answer `delay` seconds late
    flap     serves and resets in turn
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import subprocess
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

NO_LINGER: Final = struct.pack("ii", 1, 0)  # close() sends a reset
REASONS: Final = {
    200: "OK",
    204: "No Content",
    301: "Moved",
    404: "Not Found",
    500: "Error",
    503: "Unavailable",
}
SERVFAIL: Final = 2
SILENT: Final = ("refuse", "deaf")

ALIVE: Final[weakref.WeakSet[Server]] = weakref.WeakSet()


@dataclass(frozen=True)
class Answer:
    """An HTTP response; `raw` replaces all of it."""

    status: int = 200
    body: bytes = b"ok\n"
    raw: bytes | None = None

    def encode(self) -> bytes:
        if self.raw is not None:
            return self.raw
        head = f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Other')}\r\n"
        head += f"Content-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
        return head.encode() + self.body


class Server:
    """One scripted server over TCP. `answers` maps a path to its Answer; "" stands for every
    other. `hits` counts connections, `requests` keeps what was asked. Port 0: a free one.

    It refuses until it is told otherwise.
    """

    BEHAVIOURS: tuple[str, ...] = ("serve", "fail", "refuse", "deaf", "hang", "reset", "slow", "flap")

    def __init__(
        self,
        address: str = "127.0.0.1",
        port: int = 0,
        *,
        kind: str = "tcp",
        tls: ssl.SSLContext | None = None,
        name: str = "",
    ) -> None:
        self.address = address
        self.kind = kind
        self.hits = 0
        self.requests: list[bytes] = []
        self.behaviour = "refuse"
        self.delay = 0.0
        self._tls = tls
        self._listener: asyncio.Server | None = None
        self._sockets: list[socket.socket] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._held: set[Any] = set()
        self._reserved: socket.socket | None = None
        self.port = port or self._reserve()
        self.name = name or f"{address}:{port}"
        self.answers = {"": Answer(body=self.name.encode())}
        ALIVE.add(self)

    def __str__(self) -> str:
        """`ADDRESS PORT`, as after `real_server` in a configuration."""
        return f"{self.address} {self.port}"

    @property
    def endpoint(self) -> str:
        """`ADDRESS:PORT`, as in a table."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    # What it is told.

    async def serve(self) -> None:
        await self.become("serve")

    async def fail(self) -> None:
        await self.become("fail")

    async def refuse(self) -> None:
        await self.become("refuse")

    async def hang(self) -> None:
        await self.become("hang")

    async def deaf(self) -> None:
        await self.become("deaf")

    async def reset(self) -> None:
        await self.become("reset")

    async def flap(self) -> None:
        await self.become("flap")

    async def slow(self, delay: float) -> None:
        """`delay` in seconds of the loop's clock."""
        await self.become("slow", delay)

    async def become(self, behaviour: str, delay: float = 0.0) -> None:
        """Behave so from now on. Connections that are open stay open, except on `refuse`.
        ValueError: it cannot."""
        if behaviour not in self.BEHAVIOURS:
            raise ValueError(f"this server cannot {behaviour!r}, only {', '.join(self.BEHAVIOURS)}")
        was, self.behaviour, self.delay = self.behaviour, behaviour, delay
        if behaviour in SILENT or was in SILENT:
            self._stop_listening()
        if behaviour == "deaf":
            self._plug()
        elif behaviour != "refuse" and self._listener is None:
            await self._listen()

    async def aclose(self) -> None:
        """Refuse, and let go of the port."""
        await self.become("refuse")
        if self._reserved is not None:
            self._reserved.close()

    def holds(self, peer: Any, target: tuple[str, int]) -> bool:
        """Whether a client at `peer` that spoke to `target` has no answer to expect from us before
        time passes."""
        if target != (self.address, self.port):
            return False
        return self.behaviour == "deaf" or tuple(peer[:2]) in self._held

    # Listening.

    async def _listen(self) -> None:
        listener = self._socket()
        self._sockets = [listener]
        self._listener = await asyncio.start_server(self._serve, sock=listener, backlog=1024, ssl=self._tls)

    def _socket(self, kind: int = socket.SOCK_STREAM) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((self.address, getattr(self, "port", 0)))
        return listener

    def _reserve(self) -> int:
        """A free port that stays ours: bound, and not listened to, it refuses."""
        self._reserved = self._socket()
        return int(self._reserved.getsockname()[1])

    def _stop_listening(self) -> None:
        for one in self._sockets:
            # A child that is just being forked may hold a copy: close() alone is not enough.
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        if self._listener:
            self._listener.close()
            self._listener = None
        for one in self._sockets:
            one.close()
        self._sockets = []
        for writer in self._open:
            writer.transport.abort()

    def _plug(self) -> None:
        """A backlog that is full and never accepted from."""
        listener = self._socket()
        listener.listen(0)
        fillers = [socket.socket(listener.family, socket.SOCK_STREAM) for _ in range(2)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex((self.address, self.port))
        self._sockets = [listener, *fillers]

    # Talking.

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hits += 1
        self._open.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._talk(reader, writer)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behaviour = self._behaviour_now()
        if behaviour == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            writer.transport.abort()
        elif behaviour == "hang":
            with self._holding(writer):
                await reader.read(-1)
        else:
            if behaviour == "slow":
                with self._holding(writer):
                    await asyncio.sleep(self.delay)
            dialogues: dict[str, Callable[..., Awaitable[None]]] = {"tcp": self._echo, "smtp": self._smtp}
            await dialogues.get(self.kind, self._http)(reader, writer)

    def _behaviour_now(self) -> str:
        if self.behaviour == "flap":
            return "serve" if self.hits % 2 else "reset"
        if self.behaviour == "fail" and self.kind == "tcp":
            return "reset"
        return self.behaviour

    @contextlib.contextmanager
    def _holding(self, writer: asyncio.StreamWriter) -> Any:
        peer = tuple(writer.get_extra_info("peername")[:2])
        self._held.add(peer)
        try:
            yield
        finally:
            self._held.discard(peer)

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.read(1)
        if not request.isalpha():  # a TLS hello, say
            writer.write(Answer(400, b"not HTTP\n").encode())
            return
        request += await reader.readuntil(b"\r\n\r\n")
        self.requests.append(request)
        path = request.split(b" ", 2)[1].decode(errors="replace")
        answer = self.answers.get(path, self.answers[""])
        if self.behaviour == "fail":
            answer = Answer(503, b"told to fail\n")
        writer.write(answer.encode())
        await writer.drain()

    async def _smtp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """`answers` by command: "/GREETING", "/HELO", …. Mails are kept in `requests`."""
        if self.behaviour == "fail":
            writer.write(b"421 told to fail\r\n")
            return
        writer.write(self._said("GREETING", b"220 here\r\n"))
        while line := await reader.readline():
            word = line[:4].decode(errors="replace").upper()
            writer.write(self._said(word, {"DATA": b"354 go on\r\n"}.get(word, b"250 fine\r\n")))
            if word == "DATA":
                self.requests.append(self._kept(await reader.readuntil(b"\r\n.\r\n")))
                writer.write(b"250 taken\r\n")
            elif word == "QUIT":
                break
            else:
                self.requests.append(line)
        await writer.drain()

    def _kept(self, mail: bytes) -> bytes:
        return mail

    def _said(self, word: str, usual: bytes) -> bytes:
        answer = self.answers.get(f"/{word}")
        if answer is None:
            return usual
        return answer.raw or b"%d %s\r\n" % (answer.status, answer.body.strip())


class DatagramServer(Server):
    """Over UDP. Of the behaviours it knows `serve`, `fail`, `refuse` and `hang`; `hits` counts
    datagrams. As `dns` it answers with the code `status`; a body of `wrong` sends one with another
    identifier before."""

    BEHAVIOURS = ("serve", "fail", "refuse", "hang")
    _transport: asyncio.DatagramTransport | None = None

    def _reserve(self) -> int:
        with self._socket(socket.SOCK_DGRAM) as free:
            return int(free.getsockname()[1])

    async def become(self, behaviour: str, delay: float = 0.0) -> None:
        if behaviour not in self.BEHAVIOURS:
            raise ValueError(f"this server cannot {behaviour!r}, only {', '.join(self.BEHAVIOURS)}")
        self.behaviour = behaviour
        if behaviour == "refuse":
            if self._transport is not None:
                self._transport.close()
                self._transport = None
        elif self._transport is None:
            loop = asyncio.get_running_loop()
            where = (self.address, self.port)
            self._transport, _ = await loop.create_datagram_endpoint(lambda: Ear(self), where)

    def heard(self, data: bytes, sender: tuple[str, int]) -> None:
        self.hits += 1
        if self.kind == "udp":
            self.requests.append(data)
        else:
            self.requests.append(data[2:])  # after the identifier, which is random
        replies = self._replies(data) if self._transport is not None else []
        for reply in replies:
            self._transport.sendto(reply, sender)  # type: ignore[union-attr]
        (self._held.discard if replies else self._held.add)(tuple(sender[:2]))

    def _replies(self, data: bytes) -> list[bytes]:
        answer = self.answers[""]
        if self.behaviour not in ("serve", "fail") or (self.kind, self.behaviour) == ("udp", "fail"):
            return []
        if self.kind == "udp":
            return [answer.body if answer.raw is None else answer.raw]
        code = answer.status if answer.status < 16 else 0
        if self.behaviour == "fail":
            code = SERVFAIL
        reply = struct.pack("!H", 0x8180 | code) + data[4:]
        wrong = [bytes(2) + reply] if answer.body.strip() == b"wrong" else []
        return [*wrong, data[:2] + reply]


class Ear(asyncio.DatagramProtocol):
    def __init__(self, server: DatagramServer) -> None:
        self.server = server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.server.heard(data, addr)


def self_signed(directory: Path) -> ssl.SSLContext:
    """A server context with a fresh certificate for `localhost`; needs the program openssl."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    argv = [*command.split(), "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
