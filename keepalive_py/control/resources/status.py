"""`GET /v1/status`: a summary."""

from __future__ import annotations

from keepalive_py.control.resource import Answer, Call, Resource


async def status(call: Call) -> Answer:
    return call.host.status()


STATUS = Resource(
    method="GET",
    path="/v1/status",
    summary="A summary of the daemon: version, configuration, how many servers are up.",
    answer="Version, process, configuration, counts of services and servers.",
    handler=status,
)
