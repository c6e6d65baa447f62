"""`GET /v1/snapshot`: everything."""

from __future__ import annotations

from keepalive_py.control.resource import Answer, Call, Encoded, Resource


async def snapshot(call: Call) -> Answer:
    return Encoded(await call.host.listing("snapshot", {}))


SNAPSHOT = Resource(
    method="GET",
    path="/v1/snapshot",
    summary="The whole state of the daemon; what every other view is made from.",
    answer="Numbers, configuration, table, announcer, and every virtual server with all below it.",
    handler=snapshot,
)
