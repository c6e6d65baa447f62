"""slow_start: a server that comes back gets its weight in steps. Pure.

From a tenth of its weight to all of it in ten equal steps over `slow_start` seconds. The quorum
counts the whole weight from the start. A server that comes back to an empty pool gets all of it
at once: there is nobody to take the rest. A weight below ten has fewer steps, a weight of 1 none.
"""

from __future__ import annotations

from typing import Final

from keepalive_py.health.service_state import FULL, ServerState, ServiceState

__all__ = ["STEPS", "advance", "begin", "end"]

STEPS: Final = 10


def begin(service: ServiceState, server: ServerState, now: float) -> bool:
    """`server` joins the pool. Whether it does so slowly."""
    alone = not any(other.serving and other.weight for other in service.servers if other is not server)
    if not service.vs.slow_start or alone:
        return False
    server.ramp_since = now
    advance(service, server, now)
    return True


def advance(service: ServiceState, server: ServerState, now: float) -> bool:
    """Take the share that is due at `now`. Whether it is another one."""
    if server.ramp_since is None:
        return False
    before, duration = server.share, service.vs.slow_start
    step = STEPS if duration <= 0 else 1 + int((now - server.ramp_since) / duration * STEPS)
    if step < STEPS:
        server.share = step * FULL // STEPS
    else:
        end(server)
    return server.share != before


def end(server: ServerState) -> None:
    server.share = FULL
    server.ramp_since = None
