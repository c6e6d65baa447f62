"""`GET /v1/services`: virtual servers."""

from __future__ import annotations

from keepalive_py.control.resource import Answer, Call, Encoded, Resource
from keepalive_py.control.resources.selection import SERVICE


async def services(call: Call) -> Answer:
    return Encoded(await call.host.listing("services", call.query))


SERVICES = Resource(
    method="GET",
    path="/v1/services",
    summary="The virtual servers.",
    answer="Each with its quorum, real servers, checks, counters and latest changes.",
    query=(SERVICE,),
    handler=services,
)
