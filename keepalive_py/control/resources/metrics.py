"""`GET /v1/metrics`, and `/metrics` for whom it is the usual name."""

from __future__ import annotations

import dataclasses
from typing import Final

from keepalive_py.control.resource import Answer, Call, Encoded, Resource

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


async def metrics(call: Call) -> Answer:
    return Encoded(await call.host.metrics(), TEXT)


METRICS = Resource(
    method="GET",
    path="/v1/metrics",
    summary="Metrics for Prometheus.",
    answer="Prometheus's text format.",
    type=TEXT,
    handler=metrics,
)
USUAL = dataclasses.replace(METRICS, path="/metrics")
