"""What speaks for a virtual address: its services as health and table have them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from keepalive_py.announcer.vips import Target, Vip
from keepalive_py.health.fitness import ServiceEvidence, Standing
from keepalive_py.health.service_state import ServiceState
from keepalive_py.plan.table import Table


class View(Protocol):
    """Who knows. `table_settled`: nothing is waiting to be written."""

    services: list[ServiceState]

    @property
    def now(self) -> float: ...

    @property
    def table(self) -> Table: ...

    @property
    def table_settled(self) -> bool: ...


class Witness:
    """Remembers since when a service has checks that have not run. `sorry_counts` and `warm_up` as in
    the block `bgp_announcer`. The services are those of now, also while a reload replaces them."""

    def __init__(self, view: View, *, sorry_counts: bool, warm_up: float) -> None:
        self.view = view
        self._services = view.services
        self.sorry_counts = sorry_counts
        self.warm_up = warm_up
        self._waiting: dict[int, float] = {}

    def services(self, vip: Vip) -> list[ServiceEvidence]:
        missing = [ServiceEvidence(f"{name} (not configured)", quorum=False) for name in vip.missing]
        return [*map(self._service, vip.targets), *missing]

    def next_deadline(self) -> float:
        """When the next service's time to warm up is over; inf: there is none that warms up."""
        over = (since + self.warm_up for since in self._waiting.values())
        return min((end for end in over if end > self.view.now), default=float("inf"))

    def _service(self, target: Target) -> ServiceEvidence:
        service = self.view.services[target.place]
        quorum = service.quorum_up or (self.sorry_counts and service.sorry_in_use)
        return ServiceEvidence(
            str(target.key), quorum, self._judged(target.place, service), self._in_table(target)
        )

    def _in_table(self, target: Target) -> bool | None:
        entry = self.view.table.get(target.held_as)
        if entry is not None and entry.destinations:
            return True
        return False if self.view.table_settled else None

    def _judged(self, place: int, service: ServiceState) -> bool:
        if all(checker.has_run for checker in service.checkers()):
            self._waiting.pop(place, None)
            return True
        since = self._waiting.setdefault(place, self.view.now)
        return self.view.now >= since + self.warm_up


SYSTEM_MODULES = Path("/sys/module")


def modules(
    names: Sequence[str], known: Callable[[str], Standing | None] = lambda _name: None
) -> dict[str, Standing]:
    """Whether each kernel module does its work, as far as somebody has `known` it (the `toa` block's
    are verified); else whether it is there, loaded or built in. UNKNOWN when that cannot be told."""
    found = {}
    for name in names:
        underscored = name.replace("-", "_")
        found[name] = known(underscored) or module(underscored)
    return found


def module(name: str) -> Standing:
    if (SYSTEM_MODULES / name).exists():
        return Standing.YES
    try:
        built_in = Path("/lib/modules", os.uname().release, "modules.builtin").read_text()
    except OSError:
        return Standing.UNKNOWN
    stems = {Path(line).name.split(".")[0].replace("-", "_") for line in built_in.splitlines()}
    return Standing.YES if name in stems else Standing.NO
