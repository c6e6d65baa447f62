"""depool_threshold: the share of a pool that checks never take out. Pure.

When a server goes down and too few would be left, it is *held*: it stays in the pool with its
weight, counts for the quorum, and is shown as held in although down. So a broken check, a full
firewall table or an overload that spreads from server to server takes out a part, never all.

Counted are servers with a weight; the number that has to stay is rounded up. Only a server that
is in the pool can be held: one that is out comes back by its checks alone. When others recover,
those held longest go first.
"""

from __future__ import annotations

from keepalive_py.config.model import VirtualServer
from keepalive_py.health.service_state import ServerState, ServiceState

__all__ = ["must_stay", "needed", "staying", "surplus"]


def needed(vs: VirtualServer) -> int:
    """How many servers have to stay; 0 without a threshold."""
    if not vs.depool_threshold:
        return 0
    size = sum(rs.weight > 0 for rs in vs.real_servers)
    return -(-size * vs.depool_threshold // 100)


def staying(service: ServiceState) -> int:
    """How many serve and have a weight."""
    return sum(server.serving and server.weight > 0 for server in service.servers)


def must_stay(service: ServiceState, server: ServerState) -> bool:
    """Whether `server`, which is leaving the pool and does not serve any more, has to be held."""
    return bool(service.vs.depool_threshold) and server.weight > 0 and staying(service) < needed(service.vs)


def surplus(service: ServiceState) -> list[ServerState]:
    """The held ones that need not be any more, in the order in which they leave."""
    held = [server for server in service.servers if server.held]
    if not held:
        return []
    spare = staying(service) - needed(service.vs)
    leaving: list[ServerState] = []
    for server in sorted(held, key=lambda server: server.since):
        if server.weight == 0:
            leaving.append(server)
        elif spare > 0:
            leaving.append(server)
            spare -= 1
    return leaving
