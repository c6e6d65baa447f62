"""`GET /v1/servers`: real servers."""

from __future__ import annotations

from keepalive_py.control.resource import Answer, Call, Encoded, Resource
from keepalive_py.control.resources.selection import SERVER, SERVICE, STATE


async def servers(call: Call) -> Answer:
    return Encoded(await call.host.listing("servers", call.query))


SERVERS = Resource(
    method="GET",
    path="/v1/servers",
    summary="The real servers of all virtual servers.",
    answer="Each with its virtual server's name, weights, checks, counters and latest changes.",
    query=(SERVICE, SERVER, STATE),
    handler=servers,
)
