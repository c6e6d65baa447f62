"""Firewall marks for the addresses of groups (`nftables_ipvs`). Pure.

With `nftables_ipvs` a virtual_server_group is not one IPVS service per address but one per
family, known by a mark of our choosing; a table of nf_tables gives that mark to every packet
for one of the addresses. So persistence holds across the addresses of a group, and a /16 is
one service. As keepalived 2.2.7 does (seen by running it):

- each group, protocol and family has its mark, counted up from `nftables_ipvs_start_fwmark`
  in the order of the virtual servers; virtual servers of one group and protocol share it;
- a group with a `fwmark` line of its own stays as it is without nftables;
- a mark stays with its group across reloads and is not given to another.

Where it differs: a mark that the configuration uses itself is passed over; a line without
a port means every port (keepalived asks for port 0, which no packet has); of lines that
overlap the first one counts, and a line with a port before one without (keepalived's whole
transaction is refused by the kernel); a daemon that is started again finds the marks of
the last one in the table, so connections stay where they are.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from keepalive_py.config.model import Config, GlobalDefs
from keepalive_py.net import Address, AddressRange, Family, Protocol
from keepalive_py.plan.table import MarkedRange, ServiceKey, Table

LAST_PORT: Final = 65535
UINT32: Final = 0xFFFFFFFF
ADDRESS: Final[Mapping[Family, Callable[[int], Address]]] = {
    Family.INET: IPv4Address,
    Family.INET6: IPv6Address,
}


@dataclass(frozen=True, slots=True)
class MarkSettings:
    """The table of nf_tables as the configuration wants it; fixed while the daemon runs."""

    table: str
    priority: int = -1
    counters: bool = False

    @classmethod
    def of(cls, defs: GlobalDefs) -> MarkSettings | None:
        """None: groups are not served by marks."""
        if defs.nftables_ipvs is None:
            return None
        return cls(defs.nftables_ipvs, defs.nftables_ipvs_priority, defs.nftables_counters)


class GroupUse(NamedTuple):
    """What gets a mark: a group, as the virtual servers of one protocol use it, in one family."""

    group: str
    protocol: Protocol
    family: Family


@dataclass(frozen=True, slots=True)
class Marks:
    """The mark of each use of a group, and what is led to each service by mark."""

    given: Mapping[GroupUse, int] = field(default_factory=dict)
    ranges: Mapping[ServiceKey, tuple[MarkedRange, ...]] = field(default_factory=dict)

    def of_group(self, group: str, protocol: Protocol) -> list[ServiceKey]:
        """The services that stand for its addresses; none: its addresses are services themselves."""
        uses = (GroupUse(group, protocol, family) for family in Family)
        return [ServiceKey(use.family, fwmark=self.given[use]) for use in uses if use in self.given]


NO_MARKS: Final = Marks()


def allocate(config: Config, before: Marks, present: Table) -> Marks:
    """A mark for every use of a group: the one it has (`before`), or had before a restart
    (`present`, the kernel's table), or else the next that is free. None without `nftables_ipvs`."""
    if config.global_defs.nftables_ipvs is None:
        return NO_MARKS
    uses = _uses(config)
    ranges = _disjoint(uses)
    written = _written(config)
    given = {use: mark for use in uses if (mark := before.given.get(use, 0)) and mark not in written}
    known = _marks_of(present)
    taken = {*written, *before.given.values()}
    for use in uses:
        old = next((known[start] for each in ranges[use] if (start := _start(use, each)) in known), 0)
        if use not in given and old and old not in taken:
            given[use] = old
            taken.add(old)
    taken.update(key.fwmark for key in present)
    free = (mark for mark in _upward(config.global_defs.nftables_ipvs_start_fwmark) if mark not in taken)
    given = {use: given.get(use) or next(free) for use in uses}
    return Marks(given, {ServiceKey(use.family, fwmark=mark): ranges[use] for use, mark in given.items()})


def _uses(config: Config) -> dict[GroupUse, list[tuple[AddressRange, int]]]:
    """The lines of each use, in the order of the virtual servers and of the group."""
    uses: dict[GroupUse, list[tuple[AddressRange, int]]] = {}
    for vs in config.virtual_servers:
        group = config.groups.get(vs.group) if vs.group is not None else None
        if group is None or group.has_fwmark:
            continue
        lines: dict[GroupUse, list[tuple[AddressRange, int]]] = {}
        for member in group.members:
            assert member.addresses is not None
            use = GroupUse(group.name, vs.protocol, member.addresses.family)
            lines.setdefault(use, []).append((member.addresses, member.port))
        for use, its_lines in lines.items():
            uses.setdefault(use, its_lines)
    return uses


def _written(config: Config) -> set[int]:
    """Marks that the configuration itself names."""
    marks = {vs.fwmark or 0 for vs in config.virtual_servers}
    return marks.union(member.fwmark for group in config.groups.values() for member in group.members)


def _marks_of(present: Table) -> dict[tuple[Family, Protocol, Address, int], int]:
    return {
        (key.family, each.protocol, each.first, each.first_port): key.fwmark
        for key, entry in present.items()
        for each in entry.marked
    }


def _start(use: GroupUse, each: MarkedRange) -> tuple[Family, Protocol, Address, int]:
    return use.family, each.protocol, each.first, each.first_port


def _upward(start: int) -> Iterator[int]:
    return itertools.chain(range(start, UINT32 + 1), range(1, start))


# ------------------------------------------------------------------ lines that overlap


class _Piece(NamedTuple):
    """Addresses as numbers, and whose they are."""

    first: int
    last: int
    use: GroupUse


def _disjoint(
    uses: Mapping[GroupUse, Sequence[tuple[AddressRange, int]]],
) -> dict[GroupUse, tuple[MarkedRange, ...]]:
    """For each use the ranges that are its own: nf_tables takes none that overlap."""
    by_port: dict[tuple[Family, Protocol], dict[int, list[_Piece]]] = {}
    for use, lines in uses.items():
        ports = by_port.setdefault((use.family, use.protocol), {})
        for addresses, port in lines:
            kept = ports.setdefault(port, [])
            whole = _Piece(int(addresses.first), int(addresses.last), use)
            for piece in list(_uncovered(whole, kept)):
                kept.insert(bisect_right(kept, piece.first, key=_first_of), piece)
    found: dict[GroupUse, list[tuple[int, int, int, int]]] = {use: [] for use in uses}
    for ports in by_port.values():
        any_port = ports.pop(0, [])
        for port, pieces in ports.items():
            for piece in pieces:
                found[piece.use].append((piece.first, piece.last, port, port))
        for piece, first, last in _other_ports(any_port, ports) if any_port else ():
            found[piece.use].append((piece.first, piece.last, first, last))
    return {use: _ranges(use, several) for use, several in found.items()}


def _ranges(use: GroupUse, several: list[tuple[int, int, int, int]]) -> tuple[MarkedRange, ...]:
    """First and last address, first and last port, as ranges in their order."""
    make = ADDRESS[use.family]
    return tuple(
        MarkedRange(use.protocol, make(first), make(last), first_port, last_port)
        for first, last, first_port, last_port in sorted(several)
    )


def _first_of(piece: _Piece) -> int:
    return piece.first


def _uncovered(piece: _Piece, kept: Sequence[_Piece]) -> Iterator[_Piece]:
    """What `kept` (sorted, disjoint) leaves of a piece."""
    first = piece.first
    at = max(bisect_right(kept, first, key=_first_of) - 1, 0)
    while at < len(kept) and (other := kept[at]).first <= piece.last:
        at += 1
        if other.last < first:
            continue
        if first < other.first:
            yield piece._replace(first=first, last=other.first - 1)
        first = other.last + 1
    if first <= piece.last:
        yield piece._replace(first=first)


def _other_ports(
    any_port: Iterable[_Piece], ports: Mapping[int, Sequence[_Piece]]
) -> Iterator[tuple[_Piece, int, int]]:
    """Lines without a port, as ranges of the ports that no line with a port has there."""
    borders, busy = _busy_ports(ports)
    for piece in any_port:
        first = piece.first
        inside = borders[bisect_right(borders, first) : bisect_right(borders, piece.last)]
        for following in (*inside, piece.last + 1):
            part = piece._replace(first=first, last=following - 1)
            for lowest, highest in _gaps(busy[bisect_right(borders, first)]):
                yield part, lowest, highest
            first = following


def _busy_ports(ports: Mapping[int, Sequence[_Piece]]) -> tuple[list[int], list[tuple[int, ...]]]:
    """The addresses at which the set of ports with a line of their own changes, and that set
    before the first of them, and from each of them on."""
    starts: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for port, pieces in ports.items():
        for piece in pieces:
            starts.setdefault(piece.first, []).append(port)
            ends.setdefault(piece.last + 1, []).append(port)
    borders = sorted({*starts, *ends})
    busy: set[int] = set()
    states: list[tuple[int, ...]] = [()]
    for border in borders:
        busy.difference_update(ends.get(border, ()))
        busy.update(starts.get(border, ()))
        states.append(tuple(sorted(busy)))
    return borders, states


def _gaps(busy: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = 0
    for port in busy:
        if first < port:
            yield first, port - 1
        first = port + 1
    if first <= LAST_PORT:
        yield first, LAST_PORT


class Coverage:
    """Ranges of one family, asked for overlaps: by address first, so that ten thousand cost little."""

    def __init__(self, ranges: Iterable[MarkedRange]) -> None:
        self._starts: list[int] = []
        self._runs: list[tuple[int, list[MarkedRange]]] = []  # last address; those within
        for each in sorted(ranges, key=lambda each: int(each.first)):
            first, last = int(each.first), int(each.last)
            if self._runs and first <= self._runs[-1][0]:
                self._runs[-1][1].append(each)
                self._runs[-1] = max(last, self._runs[-1][0]), self._runs[-1][1]
            else:
                self._starts.append(first)
                self._runs.append((last, [each]))

    def reaches(self, first: int, last: int) -> bool:
        """Whether any of them has an address of these."""
        at = bisect_right(self._starts, last) - 1
        return at >= 0 and self._runs[at][0] >= first

    def overlaps(self, one: MarkedRange) -> bool:
        for at in range(bisect_right(self._starts, int(one.last)) - 1, -1, -1):
            last, members = self._runs[at]
            if last < int(one.first):
                return False
            if any(map(one.overlaps, members)):
                return True
        return False
