"""From a port on loopback to the control socket, for a browser.

Whoever can reach the port (every user of this host, and whoever tunnels to it) must show a token. The
one in the link works once: the page exchanges it for another, keeps that in the tab's memory and
sends it in a header. There is no cookie, so no other site's page can act in this one's name; and a
request that names another host than loopback, as after DNS rebinding, is refused.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector, web

LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "::1"))
OPEN: Final = ("/", "/page/")  # the page itself holds nothing
PASSED_ON: Final = ("Content-Type", "Last-Event-ID")
PASSED_BACK: Final = (
    "Content-Type",
    "Cache-Control",
    "Content-Security-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
)
CHUNK: Final = 65536


class Proxy:
    """`used` is called with a fresh link's token when the last one was used up."""

    def __init__(self, control: str, used: Callable[[str], None] = lambda once: None) -> None:
        self.control = control
        self.used = used
        self.once = secrets.token_urlsafe(24)
        self.sessions: set[str] = set()

    def application(self) -> web.Application:
        made = web.Application(client_max_size=65536)
        made.router.add_post("/session", self.exchange)
        made.router.add_route("*", "/{rest:.*}", self.forward)
        made.cleanup_ctx.append(self.connected)
        return made

    async def connected(self, _application: web.Application):  # type: ignore[no-untyped-def]
        connector = UnixConnector(self.control, limit=32)
        async with ClientSession(connector=connector, timeout=ClientTimeout(total=None)) as self.daemon:
            yield

    async def exchange(self, request: web.Request) -> web.StreamResponse:
        check_origin(request)
        try:
            given = (await request.json()).get("once", "")
        except (ValueError, AttributeError):
            return refused(400, "bad-body", "the body must be a JSON object with `once`", "")
        if not (isinstance(given, str) and hmac.compare_digest(given.encode(), self.once.encode())):
            return refused(
                401, "used-link", "this link was used already", "there is a new one in the terminal"
            )
        self.once = secrets.token_urlsafe(24)
        self.used(self.once)
        session = secrets.token_urlsafe(32)
        self.sessions.add(session)
        return web.json_response({"token": session}, headers={"Cache-Control": "no-store"})

    async def forward(self, request: web.Request) -> web.StreamResponse:
        check_origin(request)
        is_page = request.path == OPEN[0] or request.path.startswith(OPEN[1])
        if not is_page and not self.is_known(request.headers.get("Authorization", "")):
            return refused(
                401, "unknown-caller", "a token is needed", "open the link that keepalive-ctl printed"
            )
        try:
            return await self.passed(request)
        except (ClientError, ConnectionError):
            return refused(
                502, "no-daemon", f"no daemon answers at {self.control}", "is keepalive-py running?"
            )

    def is_known(self, authorization: str) -> bool:
        given = authorization.removeprefix("Bearer ").encode()
        return any(hmac.compare_digest(given, each.encode()) for each in self.sessions)

    async def passed(self, request: web.Request) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        body = await request.read()
        async with self.daemon.request(
            request.method, f"http://daemon{request.raw_path}", data=body or None, headers=headers
        ) as answer:
            back = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
            response = web.StreamResponse(status=answer.status, headers=back)
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            return response


def check_origin(request: web.Request) -> None:
    """Only this very page may ask, and only by a name of loopback."""
    host = urlsplit(f"//{request.headers.get('Host', '')}").hostname
    origin = request.headers.get("Origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("Host")
    if (
        host not in LOOPBACK
        or foreign
        or request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    ):
        raise web.HTTPForbidden(text="this is for a browser on this host, or at the end of a tunnel")


def refused(status: int, code: str, message: str, hint: str) -> web.Response:
    return web.json_response(
        {"error": {"code": code, "message": message, "hint": hint}},
        status=status,
        headers={"Cache-Control": "no-store"},
    )
