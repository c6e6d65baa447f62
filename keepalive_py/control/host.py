"""What the daemon offers to the control room. `daemon.controlled` fills it in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from keepalive_py.control.journal import Journal

Json = dict[str, Any]


class Host(Protocol):
    """Everything here is called on the event loop, and either returns at once or yields to it. Each
    may raise Fault, `unavailable` while the daemon starts."""

    @property
    def journal(self) -> Journal:
        """What happened lately."""

    def lacks(self) -> list[str]:
        """What is not yet as it should be for service; [] when all is."""

    def status(self) -> Json:
        """A summary of what there is and how it is."""

    async def listing(self, what: str, wanted: Mapping[str, Any]) -> list[bytes]:
        """`what` is snapshot, overview, services, servers or checks, as JSON in pieces; of those
        that are `wanted`: by service, server, state (see `daemon.selection`)."""

    def run_checks(self, service: str, server: str) -> int:
        """Start the checks of these servers now. How many were started."""

    def names(self) -> list[str]:
        """Of all virtual servers."""

    async def orders(self, wanted: Mapping[str, Any]) -> Json:
        """What operators want of servers and addresses, and how many connections are left."""

    async def give_order(self, wanted: Mapping[str, Any], by: str) -> Json:
        """Drain, disable, or give a weight to: a server, an address, the node."""

    async def lift_order(self, wanted: Mapping[str, Any], by: str) -> Json:
        """Take such a thing back."""

    async def metrics(self) -> list[bytes]:
        """Everything that can be counted, in Prometheus's text format, in pieces."""

    def configuring(self) -> Configurations:
        """What configuration runs, and which others there are."""


class Configurations(Protocol):
    """`status` returns at once. The others may wait, for the disk or for a reload."""

    def status(self) -> Json:
        """What runs, where it came from, what was refused or is held back."""

    async def history(self) -> list[Json]:
        """The generations that are kept, the newest first."""

    async def texts(self, number: int) -> Json | None:
        """A generation and the files it was read from; None: it is not kept."""

    async def preview(self) -> Json:
        """What a reload would do now."""

    async def apply(self, *, confirm: bool) -> Json:
        """Reload. The status after it, and whether it has finished."""

    async def go_back(self, number: int) -> Json:
        """Reload with an older generation in place of the files."""
