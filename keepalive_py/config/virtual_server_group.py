"""`virtual_server_group NAME { }` and our own `local_address_group NAME { }`: lists of
addresses. Pure.

A line of a group is `ADDRESS [PORT]`, where ADDRESS may be a range (`10.0.0.1-9`,
`10.0.0.1-10.0.0.9`, `10.0.0.0/28`, likewise for IPv6), or `fwmark N [inet|inet6]`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, Final

from keepalive_py.config.diagnostics import Span
from keepalive_py.config.kinds import UINT32, Integer, Lines, Report, Word, literal_address
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import BadValue, Kind, MissingValue
from keepalive_py.net import Address, AddressRange, Family

__all__ = [
    "GROUP_LINES",
    "GroupMember",
    "LOCAL_LINES",
    "LocalAddressGroup",
    "LocalSpan",
    "VirtualServerGroup",
]

FAMILIES: Final = {"inet": Family.INET, "inet6": Family.INET6}
PORT: Final = Integer(0, 65535)
FWMARK: Final = Integer(0, UINT32)
MOST_SERVICES: Final = 65536  # of one line; of an IPv6 range keepalived counts the last 16 bits only


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One line of a virtual_server_group: an address range with a port, or a fwmark."""

    addresses: AddressRange | None = None
    port: int = 0
    fwmark: int = 0
    family: Family | None = None  # of a fwmark line, when written
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class VirtualServerGroup:
    name: str
    members: tuple[GroupMember, ...]
    where: Span | None = field(default=None, compare=False)

    @property
    def only_fwmarks(self) -> bool:
        return all(member.addresses is None for member in self.members)

    @property
    def has_fwmark(self) -> bool:
        return any(member.addresses is None for member in self.members)


@dataclass(frozen=True, slots=True)
class LocalSpan(AddressRange):
    """A line with an interface: the addresses are put on it, by us or, with DPVS, by DPVS. Those of
    a line without are bound or routed to the node already."""

    interface: str = ""

    def __str__(self) -> str:
        return f"{AddressRange.__str__(self)} {self.interface}"


@dataclass(frozen=True, slots=True)
class LocalAddressGroup:
    """Our own: the addresses that FULLNAT connects from."""

    name: str
    addresses: tuple[AddressRange, ...]
    where: Span | None = field(default=None, compare=False)


def read_range(text: str, word: int = 0) -> AddressRange:
    """ADDRESS, ADDRESS-END or ADDRESS/PREFIX, or BadValue."""
    if "/" in text:
        return _read_prefix(text, word)
    first_text, dash, last_text = text.partition("-")
    first = literal_address(first_text, word)
    if not dash:
        return AddressRange(first, first)
    if re.search(r"[.:]", last_text):
        return _ordered(first, literal_address(last_text, word), text, word)
    return _read_short_range(first, last_text, text, word)


def _ordered(first: Address, last: Address, text: str, word: int) -> AddressRange:
    if first.version != last.version or int(last) < int(first):
        raise BadValue(f"`{text}` does not go from a lower to a higher address", word=word, code="bad-range")
    return AddressRange(first, last)


def _read_short_range(first: Address, end: str, text: str, word: int) -> AddressRange:
    """The end is the last byte of an IPv4 address, or the last 16 bits of an IPv6 one in hex."""
    base, most = (10, 0xFF) if isinstance(first, IPv4Address) else (16, 0xFFFF)
    digits = r"[0-9]{1,9}" if base == 10 else r"[0-9A-Fa-f]{1,9}"
    value = int(end, base) if re.fullmatch(digits, end) else -1
    if value > most:
        raise BadValue(f"the end of `{text}` is too large", word=word, code="bad-range")
    if value <= int(first) & most:
        raise BadValue(f"`{text}` must end above its start", word=word, code="bad-range")
    return AddressRange(first, type(first)((int(first) & ~most) | value))


def _read_prefix(text: str, word: int) -> AddressRange:
    address_text, _, bits_text = text.partition("/")
    first = literal_address(address_text, word)
    bits = int(bits_text) if re.fullmatch(r"[0-9]{1,3}", bits_text) else 0
    if not 1 <= bits <= first.max_prefixlen:
        raise BadValue(f"`{text}` is not a prefix", word=word, code="bad-range")
    host_bits = (1 << (first.max_prefixlen - bits)) - 1
    if int(first) & host_bits:
        raise BadValue(f"`{text}` has host bits set", word=word, code="bad-range")
    return AddressRange(first, type(first)(int(first) | host_bits))


@dataclass(frozen=True, slots=True)
class MemberLine(Kind):
    """A line of a virtual_server_group."""

    name: str = "address [port] | fwmark N"

    def parse(self, line: LogicalLine) -> GroupMember:
        if line.words[0].text == "fwmark":
            return self._fwmark(line)
        addresses = read_range(line.words[0].text)
        port = line.text(1)
        number = PORT.read(port, 1) if port is not None else 0
        if int(addresses.last) - int(addresses.first) < MOST_SERVICES:
            return GroupMember(addresses, number, where=line.span)
        fewer = AddressRange(addresses.first, addresses.first + (MOST_SERVICES - 1))
        raise BadValue(
            f"{addresses} are more than {MOST_SERVICES} addresses",
            word=0,
            code="range-too-large",
            exit_class=None,
            used=GroupMember(fewer, number, where=line.span),
            notes=(f"{fewer} is used",),
        )

    def _fwmark(self, line: LogicalLine) -> GroupMember:
        mark = line.text(1)
        if mark is None:
            raise MissingValue("fwmark", "a number")
        family = line.text(2)
        if family is not None and family not in FAMILIES:
            raise BadValue(f"`{family}` is not a family", expected="inet or inet6", word=2)
        return GroupMember(
            fwmark=FWMARK.read(mark), family=FAMILIES[family] if family else None, where=line.span
        )

    def write(self, value: GroupMember) -> str:
        if value.addresses is not None:
            return f"{value.addresses} {value.port}" if value.port else str(value.addresses)
        family = "" if value.family is None else f" {value.family.name.lower()}"
        return f"fwmark {value.fwmark}{family}"


@dataclass(frozen=True, slots=True)
class LocalLine(Kind):
    """A line of a local_address_group."""

    name: str = "address, range or prefix [interface]"

    def parse(self, line: LogicalLine) -> AddressRange:
        span = read_range(line.words[0].text)
        if int(span.last) - int(span.first) >= MOST_SERVICES:
            raise BadValue(
                f"{span} are more than {MOST_SERVICES} addresses",
                expected="the addresses of this node, some tens at most",
                word=0,
                code="range-too-large",
            )
        interface = line.text(1)
        return LocalSpan(span.first, span.last, interface) if interface else span

    def write(self, value: AddressRange) -> str:
        return str(value)


def made_group(head: str, members: list[Any], report: Report) -> VirtualServerGroup | None:
    families = {member.addresses.family for member in members if member.addresses}
    if not members:
        report("empty-group", f"virtual_server_group {head} has no lines: it is removed")
        return None
    if len(families) > 1 and any(member.fwmark and not member.family for member in members):
        report(
            "mixed-group",
            f"virtual_server_group {head} mixes families and a fwmark without one: it is removed",
        )
        return None
    return VirtualServerGroup(head, tuple(members), members[0].where)


def made_local_group(head: str, ranges: list[Any], report: Report) -> LocalAddressGroup | None:
    if not ranges:
        report("empty-group", f"local_address_group {head} has no lines: it is removed")
        return None
    return LocalAddressGroup(head, tuple(ranges))


GROUP_LINES: Final = Lines(MemberLine(), made_group, head=Word(alone=True), keyed=True)
LOCAL_LINES: Final = Lines(LocalLine(), made_local_group, head=Word(alone=True), keyed=True)
