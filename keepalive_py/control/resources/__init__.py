"""The registry: every resource of the API, one file each, one line here."""

from __future__ import annotations

from typing import Final

from keepalive_py.control.resource import Resource
from keepalive_py.control.resources import (
    alive,
    checks,
    config,
    events,
    metrics,
    openapi,
    overrides,
    overview,
    page,
    servers,
    services,
    snapshot,
    status,
)

RESOURCES: Final[tuple[Resource, ...]] = (
    status.STATUS,
    snapshot.SNAPSHOT,
    overview.OVERVIEW,
    services.SERVICES,
    servers.SERVERS,
    checks.CHECKS,
    checks.RUN,
    *config.RESOURCES,
    events.EVENTS,
    overrides.SHOW,
    overrides.GIVE,
    overrides.LIFT,
    metrics.METRICS,
    metrics.USUAL,
    alive.LIVE,
    alive.READY,
    openapi.OPENAPI,
    page.PAGE,
    page.PART,
    page.CALLER,
)
