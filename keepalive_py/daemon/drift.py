"""What somebody else changed in our part of the kernel: told once, counted by reason.

A difference is one step that would undo it; its reason says what was found. The same difference
that is found again (since it is not to be repaired, or cannot be) is no news.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
from keepalive_py.plan.table import ServiceKey

__all__ = ["VIP_MOVED", "Drift", "reason_of", "service_of"]

MOST_SAID: Final = 10  # differences named in the log
MOST_SHOWN: Final = 100  # and in a snapshot

REASONS: Final[Mapping[type[Step], str]] = {
    AddService: "service-missing",
    EditService: "service-changed",
    DeleteService: "service-extra",
    AddDestination: "destination-missing",
    EditDestination: "destination-changed",
    DeleteDestination: "destination-extra",
    AddLocalAddress: "local-address-missing",  # of FULLNAT: in IPVS, or in nf_tables
    DeleteLocalAddress: "local-address-extra",
    SetMarked: "marks-changed",  # of a group that is served by mark, in nf_tables
}
VIP_MOVED: Final = "vip-moved"
FOREIGN: Final = "foreign-service"

# (reason, text, service)
Told = Callable[[str, str, str], None]


def reason_of(step: Step) -> str:
    return REASONS[type(step)]


def service_of(step: Step) -> ServiceKey:
    return step.service.key if isinstance(step, AddService | EditService) else step.key


class Drift:
    """`standing` are the differences of the last reading, `counts` all since the start, by reason,
    `repaired` how many of them were put right."""

    def __init__(self, warn: Callable[[str], None], told: Told) -> None:
        self.warn = warn
        self.told = told
        self.standing: dict[str, Step] = {}
        self.known: frozenset[str] = frozenset()  # told, and not repaired
        self.counts: Counter[str] = Counter()
        self.repaired = 0

    def found(self, steps: Sequence[Step], *, repairing: bool) -> None:
        """The steps that would undo what a reading found."""
        gone = {step.service.key for step in steps if isinstance(step, AddService)}
        steps = [step for step in steps if isinstance(step, AddService) or service_of(step) not in gone]
        self.standing = {str(step): step for step in steps}
        before, self.known = self.known, frozenset() if repairing else frozenset(self.standing)
        news = [step for text, step in self.standing.items() if text not in before]
        if news:
            self.say(news, repairing=repairing)
        elif before and not steps:
            self.warn("IPVS table is as it should be again")
        self.repaired += len(steps) if repairing else 0

    def say(self, news: Sequence[Step], *, repairing: bool) -> None:
        doing = "repairing" if repairing else "not repairing"
        self.warn(f"IPVS table was changed by somebody else; {doing} {len(news)} difference(s)")
        for number, step in enumerate(news):
            reason = reason_of(step)
            self.counts[reason] += 1
            if number < MOST_SAID:
                self.warn(f"  {reason}: {step}")
            text = f"{reason}: {step}" if repairing else f"{reason}: {step} (not repaired)"
            self.told(reason, text, str(service_of(step)))

    def foreign(self, keys: Sequence[ServiceKey]) -> None:
        """Services that are not ours, and that are to be removed."""
        for key in keys:
            self.warn(f"Removing IPVS service {key}: it is not in the configuration")
            self.also(FOREIGN, f"{FOREIGN}: {key} is removed")

    def also(self, reason: str, text: str) -> None:
        """Of another kind, told by whoever found it."""
        self.counts[reason] += 1
        self.told(reason, text, "")

    def as_json(self) -> dict[str, Any]:
        return {
            "standing": [
                {"reason": reason_of(step), "service": str(service_of(step)), "step": text}
                for text, step in list(self.standing.items())[:MOST_SHOWN]
            ],
            "counts": dict(self.counts),
            "repaired": self.repaired,
        }
