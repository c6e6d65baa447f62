"""The resources as an aiohttp application."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from aiohttp import web

from keepalive_py.control.caller import Caller, Role
from keepalive_py.control.faults import Fault, bad
from keepalive_py.control.fields import checked_body, checked_query
from keepalive_py.control.gate import FOREVER, REQUEST, Gate, Place
from keepalive_py.control.host import Host
from keepalive_py.control.resource import JSON_TYPE, Answer, Call, Encoded, Resource, Stream, encoded

LARGEST_BODY: Final = 64 * 1024
BODY_PATIENCE: Final = 5.0  # seconds for the body of a request
PIECE_PATIENCE: Final = 10.0  # seconds for one piece of a lasting stream

Identify = Callable[[web.Request], Caller]
Complain = Callable[[str, Exception], None]
Served = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Front:
    """Between HTTP and the resources. `identify` says who asks, and raises Fault for strangers;
    `complain` hears of mistakes of ours."""

    def __init__(self, host: Host, identify: Identify, complain: Complain) -> None:
        self.host = host
        self.identify = identify
        self.complain = complain
        self.gate: Gate | None = None

    def application(self, resources: Sequence[Resource]) -> web.Application:
        made = web.Application(client_max_size=LARGEST_BODY, middlewares=[self.guarded()])
        for resource in resources:
            made.router.add_route(resource.method, resource.path, self.served(resource))
        return made

    def guarded(self) -> Any:
        @web.middleware
        async def middleware(request: web.Request, handler: Served) -> web.StreamResponse:
            self.place(request, Place.BUSY, REQUEST)
            try:
                return await handler(request)
            except Fault as fault:
                return fault_answer(fault)
            except web.HTTPException as error:
                return fault_answer(fault_of(error, request))
            except ConnectionError:  # nobody is there to read it
                return fault_answer(bad("gone", "the connection broke off"))
            except Exception as error:  # the boundary: a mistake of ours is one answer's trouble
                self.complain(f"{request.method} {request.path}", error)
                return fault_answer(Fault(500, "internal", "a mistake of ours; the log says more"))
            finally:
                self.place(request, Place.ANSWERED, REQUEST)

        return middleware

    def place(self, request: web.Request, place: Place, patience: float) -> None:
        if self.gate is not None:
            self.gate.place(request.transport, place, patience)

    def served(self, resource: Resource) -> Served:
        async def serve(request: web.Request) -> web.StreamResponse:
            caller = self.identify(request)
            if caller.role < resource.role and caller.role is Role.NOBODY:
                raise Fault(401, "unauthorized", "this needs a token", "send Authorization: Bearer TOKEN")
            if caller.role < resource.role:
                raise Fault(
                    403, "forbidden", f"{caller.name} may not do this: it needs role {resource.role.word}"
                )
            call = Call(
                host=self.host,
                caller=caller,
                path=dict(request.match_info),
                query=checked_query(resource.query, list(request.query.items())),
                body=await body_of(request, resource),
                header={name.lower(): value for name, value in request.headers.items()},
            )
            return await self.answered(request, await resource.handler(call))

        return serve

    async def answered(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        if isinstance(answer, Encoded):
            return await self.written(request, answer)
        if isinstance(answer, Stream):
            return await self.streamed(request, answer)
        return web.Response(body=encoded(answer), content_type=JSON_TYPE, headers=PLAIN)

    async def written(self, request: web.Request, answer: Encoded) -> web.StreamResponse:
        """One piece after the other, so that a large answer is never copied whole."""
        headers = {"Content-Type": answer.type, **PLAIN, **answer.headers}
        response = web.StreamResponse(status=answer.status, headers=headers)
        response.content_length = sum(map(len, answer.pieces))
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # who leaves before the end is missing nothing
            for piece in answer.pieces:
                await response.write(piece)
        return response

    async def streamed(self, request: web.Request, stream: Stream) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": stream.type, **PLAIN})
        if stream.lasting:
            self.place(request, Place.BUSY, FOREVER)
        await response.prepare(request)
        try:
            async with contextlib.aclosing(stream.pieces) as pieces:
                async for piece in pieces:
                    await asyncio.wait_for(response.write(piece), PIECE_PATIENCE)
        except ConnectionError:
            pass
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        return response


PLAIN: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


async def body_of(request: web.Request, resource: Resource) -> dict[str, Any]:
    """Raises Fault, and aiohttp's error of a body that is too large."""
    try:
        async with asyncio.timeout(BODY_PATIENCE):
            text = await request.read()
    except TimeoutError:
        raise Fault(408, "slow-body", f"the body did not come within {BODY_PATIENCE:g} s") from None
    if resource.body is None:
        if text:
            raise bad("unexpected-body", f"{resource.method} {resource.path} takes no body")
        return {}
    if not text:
        return checked_body(resource.body, {})
    return checked_body(resource.body, parsed(text))


def parsed(text: bytes) -> object:
    """Raises Fault."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise bad("bad-json", f"the body is not JSON: {error.msg} at {place}") from None
    except (UnicodeDecodeError, RecursionError, ValueError):
        raise bad("bad-json", "the body is not JSON in UTF-8") from None


def fault_of(error: web.HTTPException, request: web.Request) -> Fault:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return Fault(
            405, "method-not-allowed", f"{request.path} has no {request.method}", f"it has {allowed}"
        )
    if isinstance(error, web.HTTPNotFound):
        return Fault(
            404, "no-such-resource", f"there is no resource {request.path}", "GET /v1/openapi.json lists them"
        )
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return Fault(413, "too-large", f"a body may have at most {LARGEST_BODY} bytes")
    return Fault(error.status, "http", error.reason or "cannot be done")


def fault_answer(fault: Fault) -> web.Response:
    headers = {**PLAIN, **({"WWW-Authenticate": "Bearer"} if fault.status == 401 else {})}
    return web.Response(
        body=encoded(fault.as_json()), status=fault.status, content_type=JSON_TYPE, headers=headers
    )
