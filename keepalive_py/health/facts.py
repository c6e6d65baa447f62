"""An event as plain words, for logs, streams and metrics. Pure."""

from __future__ import annotations

import re
from functools import cache

from keepalive_py.health.events import CheckEvent, Event, ServerEvent
from keepalive_py.health.names import rs_name, vs_name


def fields(event: Event) -> dict[str, str]:
    """Which kind of event, why, and whom it concerns."""
    about = {"kind": kind(type(event).__name__), "reason": event.reason.value, "vs": vs_name(event.vs)}
    if isinstance(event, ServerEvent):
        about["rs"] = rs_name(event.vs, event.rs.endpoint)
    if isinstance(event, CheckEvent):
        about["check"] = event.check.KIND
    return about


@cache
def kind(class_name: str) -> str:
    """ServerUp -> server_up."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_name).lower()
