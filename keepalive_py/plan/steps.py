"""The steps that turn one table into another. Pure.

Each step is one command to the dataplane. The order of a list of steps is part of its
meaning: `plan.diff` promises that a pool which has a usable server before and after is
never empty in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from keepalive_py.net import Address, Endpoint
from keepalive_py.plan.table import Destination, MarkedRange, Service, ServiceKey


@dataclass(frozen=True, slots=True)
class AddService:
    service: Service

    def __str__(self) -> str:
        return f"add service {self.service.key} scheduler {self.service.scheduler}"


@dataclass(frozen=True, slots=True)
class EditService:
    service: Service

    def __str__(self) -> str:
        return f"edit service {self.service.key} scheduler {self.service.scheduler}"


@dataclass(frozen=True, slots=True)
class DeleteService:
    key: ServiceKey

    def __str__(self) -> str:
        return f"delete service {self.key}"


@dataclass(frozen=True, slots=True)
class AddDestination:
    key: ServiceKey
    destination: Destination

    def __str__(self) -> str:
        to = self.destination
        return f"add {to.endpoint} {to.forwarding.value} weight {to.weight} to {self.key}"


@dataclass(frozen=True, slots=True)
class EditDestination:
    key: ServiceKey
    destination: Destination

    def __str__(self) -> str:
        to = self.destination
        return f"edit {to.endpoint} {to.forwarding.value} weight {to.weight} of {self.key}"


@dataclass(frozen=True, slots=True)
class DeleteDestination:
    key: ServiceKey
    endpoint: Endpoint

    def __str__(self) -> str:
        return f"delete {self.endpoint} from {self.key}"


@dataclass(frozen=True, slots=True)
class AddLocalAddress:
    """`interface`: where DPVS puts it, "" where nothing is said."""

    key: ServiceKey
    address: Address
    interface: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"add local address {self.address} to {self.key}"


@dataclass(frozen=True, slots=True)
class DeleteLocalAddress:
    key: ServiceKey
    address: Address
    interface: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"delete local address {self.address} from {self.key}"


@dataclass(frozen=True, slots=True)
class SetMarked:
    """Give the service's mark to packets for these ranges, and to no others."""

    key: ServiceKey
    ranges: tuple[MarkedRange, ...]

    def __str__(self) -> str:
        if not self.ranges:
            return f"mark nothing for {self.key}"
        more = f" and {len(self.ranges) - 1} more" if len(self.ranges) > 1 else ""
        return f"mark {self.ranges[0]}{more} for {self.key}"


Step = (
    AddService
    | EditService
    | DeleteService
    | AddDestination
    | EditDestination
    | DeleteDestination
    | AddLocalAddress
    | DeleteLocalAddress
    | SetMarked
)
