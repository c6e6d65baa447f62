"""`GET /v1/openapi.json`: this API described by itself."""

from __future__ import annotations

from keepalive_py.control.resource import Answer, Call, Resource


async def openapi(call: Call) -> Answer:
    from keepalive_py.control.openapi import document  # it describes us, too
    from keepalive_py.control.resources import RESOURCES

    return document(RESOURCES)


OPENAPI = Resource(
    method="GET",
    path="/v1/openapi.json",
    summary="This document.",
    answer="OpenAPI 3.1.",
    handler=openapi,
)
