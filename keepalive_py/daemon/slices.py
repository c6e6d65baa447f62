"""Large configurations in parts, so that the loop serves probes between two of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Final

from keepalive_py.config.model import VirtualServer
from keepalive_py.health.reload import identity
from keepalive_py.health.service_state import ServiceState

SLICE: Final = 64  # virtual servers between two yields


def sliced(services: Sequence[ServiceState]) -> Iterator[Sequence[ServiceState]]:
    for start in range(0, len(services), SLICE):
        yield services[start : start + SLICE]


def reload_slices(
    old: Sequence[ServiceState], new: Sequence[VirtualServer], size: int = SLICE
) -> Iterator[tuple[list[ServiceState], list[int]]]:
    """Which old services and which new virtual servers (by their place) to reload together:
    first those that have no successor, then `size` at a time, twins never apart."""
    known: dict[Hashable, list[ServiceState]] = {}
    for service in old:
        known.setdefault(identity(service.vs), []).append(service)
    places: dict[Hashable, list[int]] = {}
    for place, vs in enumerate(new):
        places.setdefault(identity(vs), []).append(place)
    yield [service for key, services in known.items() if key not in places for service in services], []
    some: tuple[list[ServiceState], list[int]] = ([], [])
    for key, at in places.items():
        some[0].extend(known.get(key, ()))
        some[1].extend(at)
        if len(some[1]) >= size:
            yield some
            some = ([], [])
    yield some
