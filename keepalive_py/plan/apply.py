"""What a table holds after some steps. Pure.

Lenient where every dataplane is (see `dataplane.port`): an add of what is there changes it, an
edit of what is not there adds it, a delete of what is not there does nothing. A step inside a
service that is not there is a mistake of the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from keepalive_py.plan.steps import (
    AddDestination,
    AddLocalAddress,
    AddService,
    DeleteDestination,
    DeleteLocalAddress,
    DeleteService,
    EditDestination,
    EditService,
    SetMarked,
    Step,
)
from keepalive_py.plan.table import ServiceEntry, ServiceKey, Table


def apply(steps: Iterable[Step], table: Table) -> Table:
    """The table after `steps`; `table` stays as it is. What no step touches is shared by both.
    KeyError for a step inside a service that is not there."""
    draft = _Draft(table)
    for step in steps:
        APPLY[type(step)](draft, step)
    return draft.table


class _Draft:
    """A table under change: each entry is copied at its first change."""

    __slots__ = ("copied", "table")

    def __init__(self, table: Table) -> None:
        self.table: Table = dict(table)
        self.copied: set[ServiceKey] = set()

    def entry(self, key: ServiceKey) -> ServiceEntry:
        entry = self.table[key]
        if key not in self.copied:
            self.copied.add(key)
            entry = replace(entry, destinations=dict(entry.destinations))
            self.table[key] = entry
        return entry

    def put_service(self, step: AddService | EditService) -> None:
        service = step.service
        if service.key in self.table:
            self.table[service.key] = replace(self.entry(service.key), service=service)
        else:
            self.copied.add(service.key)
            self.table[service.key] = ServiceEntry(service)

    def delete_service(self, step: DeleteService) -> None:
        self.table.pop(step.key, None)
        self.copied.discard(step.key)

    def put_destination(self, step: AddDestination | EditDestination) -> None:
        self.entry(step.key).destinations[step.destination.endpoint] = step.destination

    def delete_destination(self, step: DeleteDestination) -> None:
        self.entry(step.key).destinations.pop(step.endpoint, None)

    def add_local_address(self, step: AddLocalAddress) -> None:
        entry = self.entry(step.key)
        if step.address not in entry.local_addresses:
            entry = replace(entry, local_addresses=(*entry.local_addresses, step.address))
            if step.interface:
                entry = replace(entry, interfaces={**entry.interfaces, step.address: step.interface})
            self.table[step.key] = entry

    def delete_local_address(self, step: DeleteLocalAddress) -> None:
        entry = self.entry(step.key)
        rest = tuple(address for address in entry.local_addresses if address != step.address)
        self.table[step.key] = replace(entry, local_addresses=rest)

    def set_marked(self, step: SetMarked) -> None:
        self.table[step.key] = replace(self.entry(step.key), marked=step.ranges)


APPLY: Final[Mapping[type[Step], Callable[[_Draft, Any], None]]] = {
    AddService: _Draft.put_service,
    EditService: _Draft.put_service,
    DeleteService: _Draft.delete_service,
    AddDestination: _Draft.put_destination,
    EditDestination: _Draft.put_destination,
    DeleteDestination: _Draft.delete_destination,
    AddLocalAddress: _Draft.add_local_address,
    DeleteLocalAddress: _Draft.delete_local_address,
    SetMarked: _Draft.set_marked,
}
