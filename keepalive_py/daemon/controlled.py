"""The daemon as the control room sees it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from keepalive_py import __version__
from keepalive_py.control.host import Json
from keepalive_py.daemon import dump
from keepalive_py.health.service_state import ServiceState

if TYPE_CHECKING:
    from keepalive_py.daemon.life import Life


class Controlled:
    """Implements `control.host.Host` for one life of the daemon."""

    def __init__(self, life: Life) -> None:
        self.life = life

    def status(self) -> Json:
        supervisor = self.life.supervisor
        services = [] if supervisor is None else supervisor.services
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started": round(self.life.born, 3),
            "uptime": round(time.time() - self.life.born, 3),
            "resident_kilobytes": dump.resident_kilobytes(),
            "reloads": 0 if supervisor is None else supervisor.reloads,
            **counts(services),
        }


def counts(services: list[ServiceState]) -> Json:
    """How many there are, and how many of them serve."""
    servers = [server for service in services for server in service.servers]
    return {
        "services": {
            "total": len(services),
            "with_quorum": sum(service.quorum_up for service in services),
            "suspended": sum(service.suspended for service in services),
        },
        "servers": {"total": len(servers), "alive": sum(server.alive for server in servers)},
    }
