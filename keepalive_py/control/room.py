"""All of the control room that the daemon has to do with: opened once, follows configurations, closed."""

from __future__ import annotations

from collections.abc import Mapping

from keepalive_py.config.control import ControlApi, Webhook
from keepalive_py.control.host import Host
from keepalive_py.control.journal import Journal
from keepalive_py.control.listening import Complain, ControlSocket, Say
from keepalive_py.control.remote import Remote
from keepalive_py.control.webhooks import Webhooks

Extensions = Mapping[str, tuple[object, ...]]


class ControlRoom:
    """The unix socket, the listener on TCP, and the webhooks."""

    def __init__(self, host: Host, warn: Say, complain: Complain) -> None:
        self.socket = ControlSocket(host, warn, complain)
        self.remote = Remote(host, warn, complain)
        self.webhooks = Webhooks(warn)

    def open(self, path: str | None) -> None:
        """The unix socket; None: there is none."""
        if path is not None:
            self.socket.open(path)

    async def follow(self, extensions: Extensions, journal: Journal) -> None:
        """From now on this configuration's blocks."""
        await self.socket.renew()
        blocks = [block for block in extensions.get("control", ()) if isinstance(block, ControlApi)]
        await self.remote.follow(blocks[0] if blocks else None)
        hooks = [block for block in extensions.get("webhook", ()) if isinstance(block, Webhook)]
        await self.webhooks.follow(hooks, journal)

    async def close(self) -> None:
        """Nobody is served from now on."""
        await self.socket.close()
        await self.remote.close()

    async def last_words(self) -> None:
        """After all that is to be told has happened."""
        await self.webhooks.close()
