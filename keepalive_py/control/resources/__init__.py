"""The registry: every resource of the API, one file each, one line here."""

from __future__ import annotations

from typing import Final

from keepalive_py.control.resource import Resource
from keepalive_py.control.resources import checks, overrides, servers, services, snapshot, status

RESOURCES: Final[tuple[Resource, ...]] = (
    status.STATUS,
    snapshot.SNAPSHOT,
    services.SERVICES,
    servers.SERVERS,
    checks.CHECKS,
    checks.RUN,
    overrides.SHOW,
    overrides.GIVE,
    overrides.LIFT,
)
