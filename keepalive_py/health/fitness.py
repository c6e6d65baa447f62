"""May this virtual address be announced? Pure.

A three-valued question. A service is up (quorum, and in the kernel's table), down, or not known
yet (its checks have not all run, or the table is being written). Unknown never moves anything: an
address that is announced stays announced, one that is not stays off. So a start announces nothing
before the first round of checks, and a restart withdraws nothing before it either.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Evidence", "Fitness", "ServiceEvidence", "Standing", "Why", "fitness"]


class Standing(enum.Enum):
    """Yes, no, or cannot tell."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Why(enum.Enum):
    """What decided; the word of logs, status and events."""

    FIT = "fit"
    NO_SERVICE = "no_service"
    QUORUM = "quorum"
    TABLE = "table"
    UPLINKS = "uplinks"
    MODULE = "module"
    WARM_UP = "warm_up"


@dataclass(frozen=True, slots=True)
class ServiceEvidence:
    """One service. `judged`: all its checks have run. `in_table`: the kernel has it as wanted;
    None while that is being written."""

    name: str
    quorum: bool
    judged: bool = True
    in_table: bool | None = True

    def standing(self) -> tuple[Standing, Why]:
        if not self.judged:
            return Standing.UNKNOWN, Why.WARM_UP
        if not self.quorum:
            return Standing.NO, Why.QUORUM
        if self.in_table is None:
            return Standing.UNKNOWN, Why.TABLE
        return (Standing.YES, Why.FIT) if self.in_table else (Standing.NO, Why.TABLE)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that counts for one address. `at_least`: of its services, this many must be up (0: all).
    `uplinks`: whether each is up; none at all means that nobody asked. `modules`: required ones."""

    services: Sequence[ServiceEvidence]
    at_least: int = 0
    uplinks: Mapping[str, Standing] = field(default_factory=dict)
    modules: Mapping[str, Standing] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fitness:
    standing: Standing
    why: Why
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.why.value}: {self.detail}" if self.detail else self.why.value


def fitness(evidence: Evidence) -> Fitness:
    """A NO of any kind decides, then an UNKNOWN, in the order: services, modules, uplinks."""
    parts = [_services(evidence), _modules(evidence.modules), _uplinks(evidence.uplinks)]
    for wanted in (Standing.NO, Standing.UNKNOWN):
        for part in parts:
            if part.standing is wanted:
                return part
    return parts[0]


def _services(evidence: Evidence) -> Fitness:
    services = evidence.services
    if not services:
        return Fitness(Standing.NO, Why.NO_SERVICE)
    needed = evidence.at_least or len(services)
    found = [(service.name, *service.standing()) for service in services]
    up = sum(standing is Standing.YES for _, standing, _ in found)
    unknown = [(name, why) for name, standing, why in found if standing is Standing.UNKNOWN]
    if up >= needed:
        return Fitness(Standing.YES, Why.FIT, f"{up} of {len(services)} services")
    if up + len(unknown) >= needed:
        return Fitness(Standing.UNKNOWN, unknown[0][1], _names(name for name, _ in unknown))
    down = [(name, why) for name, standing, why in found if standing is Standing.NO]
    why = down[0][1] if down else Why.NO_SERVICE
    return Fitness(Standing.NO, why, _names(name for name, _ in down) or f"{len(services)} of {needed} exist")


def _modules(modules: Mapping[str, Standing]) -> Fitness:
    for wanted in (Standing.NO, Standing.UNKNOWN):
        names = [name for name, standing in modules.items() if standing is wanted]
        if names:
            return Fitness(wanted, Why.MODULE, _names(names))
    return Fitness(Standing.YES, Why.FIT)


def _uplinks(uplinks: Mapping[str, Standing]) -> Fitness:
    """One that is not surely down is enough."""
    if uplinks and all(standing is Standing.NO for standing in uplinks.values()):
        return Fitness(Standing.NO, Why.UPLINKS, "all are down")
    return Fitness(Standing.YES, Why.FIT)


MOST_NAMED = 3


def _names(names: Iterable[str]) -> str:
    named = list(names)
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    return ", ".join(named[:MOST_NAMED]) + more
