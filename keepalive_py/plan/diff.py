"""From the table as it is to the table as it should be, in a safe order. Pure.

Service by service: the service itself, its local addresses, new destinations, changed ones that
will be usable, changed ones that will not (weight 0), then what leaves, and at last what is led to
it by its mark. Services that leave
altogether come last, and need no deletes of their own destinations: the kernel drops these with
the service.

So between a table with a usable server (weight > 0) in a pool and another such table, the pool is
never without one: nothing that serves is taken away before all that shall serve is there.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from keepalive_py.net import Address, Endpoint
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
from keepalive_py.plan.table import Destination, MarkedRange, ServiceEntry, ServiceKey, Table


def diff(want: Table, have: Table, *, owned: AbstractSet[ServiceKey] | None = None) -> list[Step]:
    """The steps from `have` to `want`. Services that only `have` knows are deleted if they are
    in `owned` (None: all of them), in the order of `have`; others are left alone."""
    steps: list[Step] = []
    for key, entry in want.items():
        present = have.get(key)
        if present is None:
            steps += _new(entry)
        elif present is not entry:
            steps += _changed(present, entry)
    steps += [DeleteService(key) for key in have if key not in want and (owned is None or key in owned)]
    return steps


def _new(entry: ServiceEntry) -> list[Step]:
    key = entry.service.key
    return [
        AddService(entry.service),
        *_local(AddLocalAddress, entry, ()),
        *(AddDestination(key, destination) for destination in entry.destinations.values()),
        *_marked(entry, ()),
    ]


def _changed(have: ServiceEntry, want: ServiceEntry) -> list[Step]:
    key = want.service.key
    steps: list[Step] = []
    if have.service != want.service:
        steps.append(EditService(want.service))
    steps += _local(AddLocalAddress, want, have.local_addresses)
    if have.destinations is not want.destinations:
        steps += _destinations(key, have.destinations, want.destinations)
    steps += _local(DeleteLocalAddress, have, want.local_addresses)
    steps += _marked(want, have.marked)
    return steps


def _marked(entry: ServiceEntry, before: tuple[MarkedRange, ...]) -> list[Step]:
    return [] if entry.marked == before else [SetMarked(entry.service.key, entry.marked)]


def _local(
    step: type[AddLocalAddress | DeleteLocalAddress], entry: ServiceEntry, others: tuple[Address, ...]
) -> list[Step]:
    """A step for each local address that is not one of `others`."""
    if entry.local_addresses == others:
        return []
    known = frozenset(others)
    return [
        step(entry.service.key, address, entry.interfaces.get(address, ""))
        for address in entry.local_addresses
        if address not in known
    ]


def _destinations(
    key: ServiceKey, have: dict[Endpoint, Destination], want: dict[Endpoint, Destination]
) -> list[Step]:
    adds: list[Step] = []
    usable: list[Step] = []
    idle: list[Step] = []
    for endpoint, destination in want.items():
        present = have.get(endpoint)
        if present is None:
            adds.append(AddDestination(key, destination))
        elif present is not destination and present != destination:
            edits = usable if destination.weight else idle
            edits.append(EditDestination(key, destination))
    deletes = [DeleteDestination(key, endpoint) for endpoint in have if endpoint not in want]
    return [*adds, *usable, *idle, *deletes]
