"""`GET /v1/overview`: all virtual servers, each in a line."""

from __future__ import annotations

from keepalive_py.control.resource import Answer, Call, Encoded, Resource
from keepalive_py.control.resources.selection import SERVICE


async def overview(call: Call) -> Answer:
    return Encoded(await call.host.listing("overview", call.query))


OVERVIEW = Resource(
    method="GET",
    path="/v1/overview",
    summary="The virtual servers in short, for many of them at a time.",
    answer=(
        "The summary of `status`, what is announced, and each virtual server with its state and its real "
        "servers as arrays: ADDRESS:PORT, state, weight, connections, why it is down."
    ),
    query=(SERVICE,),
    handler=overview,
)
