"""One listener of the API, from start to end."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from keepalive_py.config.control import ControlApi
from keepalive_py.control.application import Complain, Front
from keepalive_py.control.caller import NOBODY, Caller, peer_of
from keepalive_py.control.faults import Fault
from keepalive_py.control.gate import Gate
from keepalive_py.control.host import Host
from keepalive_py.control.listening import BACKLOG
from keepalive_py.control.resources import RESOURCES
from keepalive_py.control.tokens import Tokens
from keepalive_py.net import Family

KEEPALIVE: Final = 15.0  # seconds that a connection may rest between two requests
LONGEST_LINE: Final = 8190  # bytes of the request line, and of one header field
SHUTDOWN: Final = 0.2  # seconds for answers under way


class Server:
    """Serves the resources on a listening socket."""

    def __init__(
        self, runner: web.AppRunner, gate: Gate, listener: asyncio.Server, bearers: Bearers | None = None
    ) -> None:
        self.runner = runner
        self.gate = gate
        self.listener = listener
        self.bearers = bearers

    def credentials(self, tokens: Tokens, context: ssl.SSLContext | None, most: int) -> None:
        """From the next request and the next connection on."""
        if self.bearers is not None:
            self.bearers.tokens = tokens
        self.gate.tls = context
        self.gate.most = most

    async def close(self) -> None:
        self.listener.close()
        self.gate.close()
        await self.runner.cleanup()


async def serve_unix(channel: socket.socket, host: Host, complain: Complain) -> Server:
    front = Front(host, unix_caller, complain)
    runner, gate = await prepared(front)
    return Server(runner, gate, await accepting(gate, channel))


async def serve_tcp(
    block: ControlApi, host: Host, complain: Complain, tokens: Tokens, context: ssl.SSLContext | None
) -> Server:
    """Raises OSError."""
    bearers = Bearers(tokens)
    runner, gate = await prepared(Front(host, bearers.caller, complain))
    gate.tls, gate.most = context, block.connections
    family = socket.AF_INET6 if block.listen.family is Family.INET6 else socket.AF_INET
    try:
        channel = socket.create_server((str(block.listen.address), block.listen.port), family=family)
        channel.setblocking(False)
        listener = await accepting(gate, channel)
    except BaseException:
        await runner.cleanup()
        raise
    return Server(runner, gate, listener, bearers)


async def accepting(gate: Gate, channel: socket.socket) -> asyncio.Server:
    """Asyncio accepts as often in a row as the backlog that it is given, and when no descriptor is left,
    each of them fails, is told, and is tried again a second later: soon thousands a second. So it is
    given 1, and the kernel the real one."""
    listener = await asyncio.get_running_loop().create_server(gate.connection, sock=channel, backlog=1)
    channel.listen(BACKLOG)
    return listener


class Bearers:
    """Who presents which token. RFC 6750, section 2.1."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    def caller(self, request: web.Request) -> Caller:
        """Raises Fault for a token that is not known; without one it is nobody."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return NOBODY
        found = self.tokens.caller(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise Fault(401, "unauthorized", "the token is not known", "send Authorization: Bearer TOKEN")
        return found


async def prepared(front: Front) -> tuple[web.AppRunner, Gate]:
    runner = web.AppRunner(
        front.application(RESOURCES),
        access_log=None,
        keepalive_timeout=KEEPALIVE,
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_LINE,
        lingering_time=0.0,
        shutdown_timeout=SHUTDOWN,
        handler_cancellation=True,
        logger=complaints(front.complain),
    )
    await runner.setup()
    assert runner.server is not None
    gate = front.gate = Gate(runner.server)
    return runner, gate


class Complaints(logging.Handler):
    """What aiohttp has to say of its own mistakes, in our log."""

    def __init__(self, complain: Complain) -> None:
        super().__init__(logging.ERROR)
        self.complain = complain

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, (HttpProcessingError, web.RequestPayloadError)):
            return  # a mistake of the client's, who was told
        self.complain("aiohttp", error if isinstance(error, Exception) else RuntimeError(record.getMessage()))


def complaints(complain: Complain) -> logging.Logger:
    logger = logging.Logger("keepalive_py.control", logging.ERROR)  # nobody else's, and nobody's child
    logger.addHandler(Complaints(complain))
    return logger


def unix_caller(request: web.Request) -> Caller:
    channel = None if request.transport is None else request.transport.get_extra_info("socket")
    if channel is None:
        raise Fault(401, "unknown-caller", "the connection is gone")
    return peer_of(channel)
