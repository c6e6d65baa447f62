"""Real servers that do as they are told, and count.

A server speaks HTTP when asked for it (`http`, `tls`), or SMTP (`smtp`), otherwise it echoes
(`tcp`). Over UDP it answers what it is told to (`udp`), or DNS (`dns`).
Behaviours, changed while it runs:

    serve    as it should
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
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from lab.namespace import Namespace

NO_LINGER = struct.pack("ii", 1, 0)  # close() sends a reset
REASONS = {200: "OK", 204: "No Content", 301: "Moved", 404: "Not Found", 500: "Error", 503: "Unavailable"}


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


VARYING = (b"date:", b"message-id:")  # headers of a mail


def unvaried(mail: bytes) -> bytes:
    """Without what differs from one mail to the next."""
    lines = mail.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(VARYING))


class Server:
    """One scripted server. `answers` maps a path to its Answer; "" stands for every other."""

    def __init__(
        self,
        namespace: Namespace,
        address: str,
        port: int,
        *,
        kind: str = "tcp",
        tls: ssl.SSLContext | None = None,
        name: str = "",
    ) -> None:
        self.namespace = namespace
        self.address = address
        self.port = port
        self.kind = kind
        self.name = name or f"{address}:{port}"
        self.answers = {"": Answer(body=self.name.encode())}
        self.hits = 0
        self.requests: list[bytes] = []
        self.behaviour = "refuse"
        self.delay = 0.0
        self._tls = tls
        self._listener: asyncio.Server | None = None
        self._sockets: list[socket.socket] = []
        self._open: set[asyncio.StreamWriter] = set()

    def be(self, behaviour: str, delay: float = 0.0) -> None:
        """Behave so from now on. Connections that are open stay open, except on `refuse`."""
        self.namespace.run(self._become(behaviour, delay))

    def close(self) -> None:
        """What is not gone with the namespace."""

    async def _become(self, behaviour: str, delay: float) -> None:
        was, self.behaviour, self.delay = self.behaviour, behaviour, delay
        silent = ("refuse", "deaf")
        if behaviour in silent or was in silent:
            self._stop_listening()
        if behaviour == "deaf":
            self._plug()
        elif behaviour != "refuse" and self._listener is None:
            await self._listen()

    async def _listen(self) -> None:
        listener = self._socket()
        self._sockets = [listener]
        self._listener = await asyncio.start_server(self._serve, sock=listener, backlog=1024, ssl=self._tls)

    def _socket(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((self.address, self.port))
        return listener

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
        behaviour = self.behaviour
        if behaviour == "flap":
            behaviour = "serve" if self.hits % 2 else "reset"
        if behaviour == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            writer.transport.abort()
        elif behaviour == "hang":
            await reader.read(-1)
        else:
            await asyncio.sleep(self.delay if behaviour == "slow" else 0)
            dialogues: dict[str, Callable[..., Awaitable[None]]] = {"tcp": self._echo, "smtp": self._smtp}
            await dialogues.get(self.kind, self._http)(reader, writer)

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
        writer.write(self.answers.get(path, self.answers[""]).encode())
        await writer.drain()

    async def _smtp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """`answers` by command: "/GREETING", "/HELO", …. Mails are kept in `requests`."""
        writer.write(self._said("GREETING", b"220 here\r\n"))
        while line := await reader.readline():
            word = line[:4].decode(errors="replace").upper()
            writer.write(self._said(word, {"DATA": b"354 go on\r\n"}.get(word, b"250 fine\r\n")))
            if word == "DATA":
                self.requests.append(unvaried(await reader.readuntil(b"\r\n.\r\n")))
                writer.write(b"250 taken\r\n")
            elif word == "QUIT":
                break
            else:
                self.requests.append(line)
        await writer.drain()

    def _said(self, word: str, usual: bytes) -> bytes:
        answer = self.answers.get(f"/{word}")
        if answer is None:
            return usual
        return answer.raw or b"%d %s\r\n" % (answer.status, answer.body.strip())


class DatagramServer(Server):
    """Over UDP. Of the behaviours it knows `serve`, `refuse` and `hang`. As `dns` it answers
    with the code `status`; a body of `wrong` sends one with another identifier before."""

    _transport: asyncio.DatagramTransport | None = None

    def be(self, behaviour: str, delay: float = 0.0) -> None:
        self.behaviour = behaviour
        self.namespace.run(self._open_or_close())

    async def _open_or_close(self) -> None:
        if self.behaviour == "refuse":
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
        if self.behaviour == "serve" and self._transport is not None:
            for reply in self._replies(data):
                self._transport.sendto(reply, sender)

    def _replies(self, data: bytes) -> list[bytes]:
        answer = self.answers[""]
        if self.kind == "udp":
            return [answer.body if answer.raw is None else answer.raw]
        code = answer.status if answer.status < 16 else 0
        reply = struct.pack("!H", 0x8180 | code) + data[4:]
        wrong = [bytes(2) + reply] if answer.body.strip() == b"wrong" else []
        return [*wrong, data[:2] + reply]


class Ear(asyncio.DatagramProtocol):
    def __init__(self, server: DatagramServer) -> None:
        self.server = server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.server.heard(data, addr)


def self_signed(directory: Path) -> ssl.SSLContext:
    """A server context with a fresh certificate for `localhost`."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    argv = [*command.split(), "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
