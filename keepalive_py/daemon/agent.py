"""What a real server answers by HTTP, for balancers, monitoring and operators.

| path | answer |
|---|---|
| /health | 200 `ok`, or `unknown` while nothing is proven; 503 when a required module does not work |
| /modules | each module as JSON |
| /metrics | Prometheus's text format |
| /peer | the address of whoever asks, as this application got it: from accept(2) and getpeername(2) |

It only tells, to whoever may reach the address it listens on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from aiohttp import web

from keepalive_py.control.metrics import Exposition, module_metrics
from keepalive_py.daemon import voice
from keepalive_py.daemon.modules import Modules
from keepalive_py.health.fitness import Standing
from keepalive_py.net import Endpoint

__all__ = ["Agent"]

WORDS: Final = {Standing.YES: "ok", Standing.UNKNOWN: "unknown", Standing.NO: "failed"}
LARGEST: Final = 1024  # bytes of a request's body
IDLE: Final = 15.0  # seconds a connection may be kept


class Agent:
    """Listens where it is told. A place that cannot be had is said, and tried again at `listen`."""

    def __init__(self, modules: Modules) -> None:
        self.modules = modules
        self._sites: dict[Endpoint, web.TCPSite] = {}
        application = web.Application(client_max_size=LARGEST)
        for path, answer in ANSWERS.items():
            application.router.add_get(path, self._answering(answer))
        self._runner = web.AppRunner(application, access_log=None, keepalive_timeout=IDLE)

    def _answering(self, answer: Callable[[Modules, web.Request], web.Response]) -> Any:
        async def handle(request: web.Request) -> web.Response:
            return answer(self.modules, request)

        return handle

    async def listen(self, places: Iterable[Endpoint]) -> None:
        """Here and nowhere else."""
        wanted = set(places)
        if self._runner.server is None:
            await self._runner.setup()
        for place in self._sites.keys() - wanted:
            await self._sites.pop(place).stop()
        for place in sorted(wanted - self._sites.keys(), key=str):
            site = web.TCPSite(self._runner, str(place.address), place.port)
            try:
                await site.start()
            except OSError as error:
                voice.warn(f"Cannot listen on {place}: {error.strerror or error}")
            else:
                self._sites[place] = site

    async def close(self) -> None:
        await self._runner.cleanup()


def health(modules: Modules, _request: web.Request) -> web.Response:
    standing = modules.health()
    lines = [WORDS[standing], *(f"{each.name}: {each.word()}" for each in modules.states.values())]
    return web.Response(text="\n".join(lines) + "\n", status=503 if standing is Standing.NO else 200)


def as_json(modules: Modules, _request: web.Request) -> web.Response:
    return _json(modules.rows())


def as_metrics(modules: Modules, _request: web.Request) -> web.Response:
    out = Exposition()
    module_metrics(out, modules.rows())
    return web.Response(body=b"".join(out.pieces()), content_type="text/plain", charset="utf-8")


def peer(_modules: Modules, request: web.Request) -> web.Response:
    """Asyncio keeps what accept(2) gave; the socket is asked again."""
    transport = request.transport
    accepted = transport.get_extra_info("peername") if transport is not None else None
    channel = transport.get_extra_info("socket") if transport is not None else None
    asked = channel.getpeername() if channel is not None else None
    return _json({"accept": _end(accepted), "getpeername": _end(asked)})


def _end(name: Any) -> dict[str, Any] | None:
    return None if name is None else {"address": name[0], "port": name[1]}


def _json(value: Any) -> web.Response:
    return web.Response(text=json.dumps(value, indent=1) + "\n", content_type="application/json")


ANSWERS: Final = {"/health": health, "/modules": as_json, "/metrics": as_metrics, "/peer": peer}
