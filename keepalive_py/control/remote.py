"""The API on TCP: TLS, tokens, and the limits of the gate. Follows the configuration's `control` block.

What is wrong with certificate or tokens is said, and the listener that ran goes on: a mistake at a
reload locks nobody out. Tokens and certificate are read again at each reload.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from keepalive_py.config.control import ControlApi
from keepalive_py.control.host import Host
from keepalive_py.control.listening import Complain, Say, load_server
from keepalive_py.control.tokens import BadTokens, Tokens, read_tokens

if TYPE_CHECKING:
    from keepalive_py.control.server import Server


class Remote:
    """At most one listener."""

    def __init__(self, host: Host, warn: Say, complain: Complain) -> None:
        self.host = host
        self.warn = warn
        self.complain = complain
        self.block: ControlApi | None = None
        self.server: Server | None = None
        self._turn = asyncio.Lock()

    async def follow(self, block: ControlApi | None) -> None:
        """From now on this one."""
        async with self._turn:
            try:
                await self.change(block)
            except (OSError, ssl.SSLError, BadTokens) as error:
                where = f" on {block.listen}" if block is not None else ""
                before = "; the one before goes on" if self.server is not None else ""
                self.warn(f"Control API{where} cannot be had: {words(error)}{before}")
            except Exception as error:  # the boundary: without an API the daemon still balances
                self.complain("the control API on TCP", error)

    async def change(self, block: ControlApi | None) -> None:
        """Raises OSError, ssl.SSLError, BadTokens."""
        if block is None:
            await self.end()
            return
        tokens, context = await asyncio.to_thread(credentials, block)
        if self.server is not None and self.block is not None and self.block.listen == block.listen:
            self.server.credentials(tokens, context, block.connections)
        else:
            await load_server()
            from keepalive_py.control.server import serve_tcp

            new = await serve_tcp(block, self.host, self.complain, tokens, context)
            await self.end()
            self.server = new
        self.block = block

    async def end(self) -> None:
        server, self.server, self.block = self.server, None, None
        if server is not None:
            await server.close()

    async def close(self) -> None:
        async with self._turn:
            await self.end()


def credentials(block: ControlApi) -> tuple[Tokens, ssl.SSLContext | None]:
    """From their files. Raises OSError, ssl.SSLError, BadTokens."""
    tokens = read_tokens(block.tokens)
    if not block.certificate:
        return tokens, None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(block.certificate, block.key or None)
    return tokens, context


def words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"certificate or key: {error.reason or error}"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
    return str(error)
