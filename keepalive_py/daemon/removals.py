"""How much of what runs a new configuration would take away. Pure.

Counted is what clients would miss: services of the kernel's table, so each address of a group is
one, and real servers of a service.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from keepalive_py.config.diff import service_name
from keepalive_py.config.model import Config

__all__ = ["Removals", "removals"]


@dataclass(frozen=True, slots=True)
class Removals:
    """How many of how many would go."""

    services: int
    of_services: int
    servers: int
    of_servers: int

    @property
    def share(self) -> float:
        """The larger of the two shares, in percent."""
        return max(_share(self.services, self.of_services), _share(self.servers, self.of_servers))

    def __str__(self) -> str:
        return (
            f"{self.services} of {self.of_services} services"
            f" and {self.servers} of {self.of_servers} real servers would be removed"
        )


def _share(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0


def removals(old: Config, new: Config) -> Removals:
    old_services, old_servers = _inventory(old)
    new_services, new_servers = _inventory(new)
    return Removals(
        len(old_services - new_services), len(old_services),
        len(old_servers - new_servers), len(old_servers),
    )  # fmt: skip


def _inventory(config: Config) -> tuple[set[Hashable], set[Hashable]]:
    services: set[Hashable] = set()
    servers: set[Hashable] = set()
    for vs in config.virtual_servers:
        name = service_name(vs)
        members = config.groups[vs.group].members if vs.group is not None else (None,)
        services.update((name, member) for member in members)
        servers.update((name, rs.endpoint) for rs in vs.real_servers)
    return services, servers
