"""The dataplane's interface: what every backend (`memory`, `ipvs`, …) offers.

All methods are coroutines and none may block the event loop for more than a few
milliseconds: a large batch is cut into chunks with a yield between them.

`apply` tries every step, in order, and returns only the refused ones, each tied to its
step; it raises only when the dataplane itself is gone. As keepalived does, a refusal is
left out when the table already is as wanted: EEXIST for an add whose entry then is edited
to the wanted values, ENOENT for a delete; an edit that finds nothing becomes an add.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from keepalive_py.config.model import LvsSyncDaemon, LvsTimeouts
from keepalive_py.net import Endpoint
from keepalive_py.plan.steps import Step
from keepalive_py.plan.table import ServiceKey, Table


@dataclass(frozen=True, slots=True)
class Refusal:
    """A step the kernel refused: its errno and what the operator can do."""

    step: Step
    errno: int
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Counters:
    """IPVS statistics of a service or destination since it was added."""

    connections: int = 0
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    active_connections: int = 0  # destinations only
    inactive_connections: int = 0
    persistent_connections: int = 0


@dataclass(frozen=True, slots=True)
class ServiceCounters:
    service: Counters
    destinations: Mapping[Endpoint, Counters] = field(default_factory=dict)


class Dataplane(Protocol):
    """Where services and real servers are put to work."""

    name: str

    @property
    def service_options(self) -> Collection[str]:
        """The names of the ServiceOptions that it can hold and reads back."""

    @property
    def serves_by_mark(self) -> bool:
        """Whether it takes SetMarked, so that groups may be served by mark."""

    async def open(self) -> None:
        """Make ready (load the module, open the socket). FeatureMissing says what is lacking."""

    async def close(self) -> None:
        """Let go of descriptors. The table stays as it is."""

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` when somebody else changed what is ours, where that is told. Before
        anything else but `open`."""

    async def read(self) -> Table:
        """The whole table as the kernel holds it now: services in any order, the
        destinations of each in the order in which they were added."""

    async def apply(self, steps: Sequence[Step]) -> list[Refusal]:
        """Run the steps; the refused ones come back."""

    async def flush(self) -> None:
        """Remove every service, ours or not."""

    async def counters(self) -> dict[ServiceKey, ServiceCounters]:
        """Statistics of everything in the table."""

    async def timeouts(self) -> LvsTimeouts:
        """The kernel's connection timeouts, in seconds."""

    async def set_timeouts(self, timeouts: LvsTimeouts) -> None:
        """Change them; a 0 leaves that one as it is."""

    async def start_sync_daemon(self, daemon: LvsSyncDaemon, *, master: bool) -> None:
        """Start one of the two connection-synchronisation threads."""

    async def stop_sync_daemon(self, daemon: LvsSyncDaemon, *, master: bool) -> None:
        """Stop it."""
