"""`GET /v1/live` and `GET /v1/ready`: for whoever watches over the process. They need no token."""

from __future__ import annotations

from keepalive_py.control.caller import Role
from keepalive_py.control.faults import Fault
from keepalive_py.control.resource import Answer, Call, Resource


async def live(call: Call) -> Answer:
    """That this is answered says that the loop turns."""
    return {"live": True}


async def ready(call: Call) -> Answer:
    lacks = call.host.lacks()
    if lacks:
        raise Fault(503, "not-ready", "; ".join(lacks))
    return {"ready": True}


LIVE = Resource(
    method="GET",
    path="/v1/live",
    summary="Whether the process works.",
    answer="`live` is true.",
    role=Role.NOBODY,
    handler=live,
)
READY = Resource(
    method="GET",
    path="/v1/ready",
    summary="Whether the table is as wanted and checks run; 503 and why while not.",
    answer="`ready` is true.",
    role=Role.NOBODY,
    handler=ready,
    faults=(503,),
)
