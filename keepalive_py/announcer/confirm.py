"""Does the routing daemon send what it should? Pure; time is passed in.

What was just moved may take a moment; what is still wrong after `patience` is a disagreement, told
once, and told again when it is over.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from keepalive_py.announcer.routing import Exports, Session
from keepalive_py.net import Address


class Wrong(enum.Enum):
    NOT_EXPORTED = "not_exported"
    STILL_EXPORTED = "still_exported"


@dataclass(frozen=True, slots=True)
class Disagreement:
    address: Address
    session: str
    wrong: Wrong

    def __str__(self) -> str:
        if self.wrong is Wrong.NOT_EXPORTED:
            return f"{self.address} is announced and not exported to {self.session}"
        return f"{self.address} is withdrawn and still exported to {self.session}"


def disagreements(
    announced: Mapping[Address, bool], sessions: Iterable[Session], exports: Exports
) -> frozenset[Disagreement]:
    """`announced`: each address of ours, and whether it should be exported. Only established
    sessions that carry its family count."""
    found = set()
    for session in sessions:
        if not session.established or session.name not in exports:
            continue
        sent = exports[session.name]
        for address, wanted in announced.items():
            if address.version in session.families and wanted is not (address in sent):
                wrong = Wrong.NOT_EXPORTED if wanted else Wrong.STILL_EXPORTED
                found.add(Disagreement(address, session.name, wrong))
    return frozenset(found)


class Confirmation:
    """`told` are the disagreements that stand."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.told: frozenset[Disagreement] = frozenset()
        self._since: dict[Disagreement, float] = {}

    def compare(
        self, found: frozenset[Disagreement], now: float
    ) -> tuple[Sequence[Disagreement], Sequence[Disagreement]]:
        """Those to tell now, and those that are over."""
        self._since = {each: self._since.get(each, now) for each in found}
        standing = frozenset(each for each, since in self._since.items() if now - since >= self.patience)
        fresh, over = standing - self.told, self.told - found
        self.told = (self.told & found) | standing
        return sorted(fresh, key=str), sorted(over, key=str)

    @property
    def pending(self) -> bool:
        """Something differs and it is not said yet."""
        return bool(self._since.keys() - self.told)
