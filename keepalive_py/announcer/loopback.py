"""Addresses of ours on a few interfaces, each on one of them: virtual addresses on the three of
their positions, FULLNAT's local addresses on the interfaces that they are given.

A move is an addition and then a deletion, as the kernel tells of them: a routing daemon that hears of
the deletion first withdraws the route for a moment, unless it is one that wants it so (`gap`). What is
found different is put right the next time: an address that somebody took away comes back. An address
that is not ours is left where it is, and named.
"""

from __future__ import annotations

import enum
import errno
import os
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from keepalive_py.announcer.ownership import Ownership
from keepalive_py.announcer.rtnetlink import Request, Rtnetlink
from keepalive_py.net import Address
from keepalive_py.wire import rtnetlink as wire
from keepalive_py.wire.rtnetlink import InterfaceAddress

P = TypeVar("P", bound=Hashable)


class Position(enum.Enum):
    """Of a virtual address."""

    ANNOUNCE = "announce"
    DRAIN = "drain"
    HOLD = "hold"


@dataclass(slots=True)
class Outcome:
    """`repaired`: not where it was last put, and put back; `left`: the same, and not put back;
    `foreign`: somebody else's, on our interface."""

    moved: list[Address] = field(default_factory=list)
    repaired: list[Address] = field(default_factory=list)
    left: list[Address] = field(default_factory=list)
    foreign: list[tuple[Address, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Loopback(Generic[P]):
    """`interfaces`: the name of each position's interface. `mark`: what the kernel remembers our
    addresses by, where it can."""

    def __init__(
        self,
        kernel: Rtnetlink,
        ownership: Ownership,
        interfaces: Mapping[P, str],
        *,
        mark: wire.Mark = wire.VIRTUAL,
        gap: bool = False,
    ) -> None:
        self.kernel = kernel
        self.ownership = ownership
        self.interfaces = dict(interfaces)
        self.mark = mark
        self.gap = gap
        self.last: dict[Address, P] = {}

    def prepare(self) -> None:
        """Make the interfaces. Raises FeatureMissing, KernelRefused."""
        for name in self.interfaces.values():
            self.kernel.ensure_dummy(name)

    def mend(self) -> list[str]:
        """Make the interfaces again that somebody took away or set down; their names. Raises as
        `prepare`."""
        links = self.kernel.links()
        gone = [name for name in self.interfaces.values() if name not in links or not links[name].up]
        if gone:
            self.prepare()
        return gone

    def found(self) -> dict[Address, P | None]:
        """Where our addresses are now; of one in several places, the most visible."""
        ours, _, _ = self._read()
        return {address: self._position(names) for address, names in ours.items()}

    def place(self, wanted: Mapping[Address, P], *, repair: bool = True) -> Outcome:
        """Put every address there, and take away all of ours that are not in it. Without `repair`
        those that somebody else moved stay where they are, until they are to move. Raises
        KernelRefused, OSError."""
        ours, foreign, index = self._read()
        outcome = Outcome()
        steps: list[Step] = []
        for address in [*wanted, *(address for address in ours if address not in wanted)]:
            position = wanted.get(address)
            name = None if position is None else self.interfaces.get(position)
            here = ours.get(address, frozenset())
            if name is not None and name in foreign.get(address, ()):
                outcome.foreign.append((address, name))
            elif here == (frozenset() if name is None else frozenset((name,))):
                continue
            elif not repair and position is not None and self.last.get(address) == position:
                outcome.left.append(address)
            else:
                steps += _steps(address, here, name, self.mark)
                outcome.moved.append(address)
                if position is not None and self.last.get(address) == position:
                    outcome.repaired.append(address)
        outcome.refused += [f"{step}: there is no such interface" for step in steps if step.name not in index]
        self._run([step for step in steps if step.name in index], index, outcome)
        self.last = dict(wanted)
        return outcome

    def _run(self, steps: Sequence[Step], index: Mapping[str, int], outcome: Outcome) -> None:
        if steps:
            claimed = [(step.address, step.name) for step in steps if step.add]
            self._remember(lambda: self.ownership.claim(claimed), outcome)
            if self.gap:
                self._send(steps, index, outcome)
            else:
                removals = [step for step in steps if not step.add]
                moving = {step.address for step in removals}
                self._send([step for step in steps if step.add], index, outcome, moving)
                self._send(removals, index, outcome)
        ours, _, _ = self._read()
        self._remember(lambda: self.ownership.settle(ours), outcome)

    def _send(
        self,
        steps: Sequence[Step],
        index: Mapping[str, int],
        outcome: Outcome,
        moving: Collection[Address] = (),
    ) -> None:
        """Of those that are `moving`, everybody has heard in the end."""
        told = [
            (step.address, index[step.name])
            for step in steps
            if step.address in moving and step.address.version == 6  # of IPv4 the kernel tells at once
        ]
        failed = self.kernel.batch([step.request(index[step.name]) for step in steps], told=told)
        for place, number in failed.items():
            step = steps[place]
            if number != (errno.EEXIST if step.add else errno.EADDRNOTAVAIL):
                outcome.refused.append(f"{step}: {os.strerror(number)}")
                if step.address in outcome.repaired:
                    outcome.repaired.remove(step.address)

    def _remember(self, write: Callable[[], None], outcome: Outcome) -> None:
        """What cannot be written down is no reason to do nothing where the kernel remembers it."""
        try:
            write()
        except OSError as error:
            if not self.kernel.marks:
                raise
            outcome.refused.append(f"what is ours is not remembered: {error}")

    def _position(self, names: Iterable[str]) -> P | None:
        for position, name in self.interfaces.items():
            if name in names:
                return position
        return None

    def _read(self) -> tuple[dict[Address, frozenset[str]], dict[Address, frozenset[str]], dict[str, int]]:
        """Ours, others' on our interfaces, and the index of each interface."""
        index = {name: link.ifindex for name, link in self.kernel.links().items()}
        names = {number: name for name, number in index.items()}
        mine = frozenset(self.interfaces.values())
        ours: dict[Address, frozenset[str]] = {}
        foreign: dict[Address, frozenset[str]] = {}
        for entry in self.kernel.addresses():
            name = names.get(entry.ifindex, "")
            if entry.length != entry.address.max_prefixlen:
                continue
            if self._is_ours(entry, name, mine):
                ours[entry.address] = ours.get(entry.address, frozenset()) | {name}
            elif name in mine:
                foreign[entry.address] = foreign.get(entry.address, frozenset()) | {name}
        return ours, foreign, index

    def _is_ours(self, entry: InterfaceAddress, name: str, mine: frozenset[str]) -> bool:
        remembered = self.ownership.owns(entry.address, name)
        if self.kernel.marks:
            return entry.proto == self.mark.proto and (remembered or name in mine)
        return remembered


@dataclass(frozen=True, slots=True)
class Step:
    address: Address
    name: str
    add: bool
    mark: wire.Mark

    def request(self, index: int) -> Request:
        return (self.mark.add if self.add else wire.delete_address), (self.address, index)

    def __str__(self) -> str:
        return f"{'add' if self.add else 'remove'} {self.address} {'to' if self.add else 'from'} {self.name}"


def _steps(address: Address, here: Iterable[str], name: str | None, mark: wire.Mark) -> list[Step]:
    steps = [Step(address, old, False, mark) for old in sorted(here) if old != name]
    if name is not None and name not in here:
        steps.append(Step(address, name, True, mark))
    return steps
