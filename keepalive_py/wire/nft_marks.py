"""nf_tables messages that give packets for a group's addresses their firewall mark. Pure.

A table of its own in each family, as keepalived 2.2.7 makes it (`nft list ruleset` beside it):

    table ip keepalived_ipvs {
        map tcp_map { type ipv4_addr . inet_service : mark; flags interval;
                      elements = { 192.0.2.0/28 . 80 : 1000, 192.0.2.64 . 0-65535 : 1001 } }
        chain in { type filter hook input priority -1;
                   meta mark set ip daddr . tcp dport map @tcp_map return }
    }

so tools that read one read the other, and one daemon can take over from the other. IPVS looks
at packets later in the same hook (its priority is 98), and finds their mark.

Standards: linux/netfilter/nf_tables.h. Sets of concatenated ranges need Linux 5.6, counters in
their elements 5.7.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from keepalive_py.errors import WireError
from keepalive_py.net import Address, Family, Protocol
from keepalive_py.plan.marks import MarkSettings
from keepalive_py.plan.table import MarkedRange
from keepalive_py.wire import nftables as nft
from keepalive_py.wire.netlink import attribute
from keepalive_py.wire.nftables import ACK, APPEND, CREATE, DUMP, REGISTER, attributes, nest, number, text

CHAIN: Final = "in"
MAPS: Final[Mapping[Protocol, str]] = {each: f"{each.name.lower()}_map" for each in Protocol}
PROTOCOLS: Final[Mapping[str, Protocol]] = {name: protocol for protocol, name in MAPS.items()}

SET_INTERVAL, SET_CONCAT = 0x4, 0x80
HOOK_INPUT = 1
ACCEPT = 1
RETURN = -5 & 0xFFFFFFFF
REGISTER_VERDICT = 0
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2
DESTINATION: Final = {Family.INET: 16, Family.INET6: 24}  # offset of the address in its header
MOST: Final = 400  # elements of one message: an attribute holds at most 64 KiB


class MarkElement(NamedTuple):
    """One element of a map: the range, and the mark that it leads to."""

    family: Family
    range: MarkedRange
    mark: int


# ------------------------------------------------------------------------ changing


def new_table(settings: MarkSettings, family: Family) -> list[bytes]:
    """An empty table with its chain, in the place of whatever is there: added, so that it can
    be deleted."""
    named = text(1, settings.table)
    make = nft.message(nft.NEW_TABLE, CREATE | ACK, named, nft.NFPROTO[family])
    hook = nest(4, number(1, HOOK_INPUT), attribute(2, struct.pack(">i", settings.priority)))
    body = named + text(3, CHAIN) + hook + number(5, ACCEPT) + text(7, "filter")
    chain = nft.message(nft.NEW_CHAIN, CREATE | ACK, body, nft.NFPROTO[family])
    return [make, delete_table(settings, family), make, chain]


def delete_table(settings: MarkSettings, family: Family) -> bytes:
    return nft.message(nft.DELETE_TABLE, ACK, text(1, settings.table), nft.NFPROTO[family])


def new_map(settings: MarkSettings, family: Family, protocol: Protocol) -> list[bytes]:
    """A protocol's map, and the rule that looks into it."""
    return [_new_set(settings, family, protocol), _new_rule(settings, family, protocol)]


def _new_set(settings: MarkSettings, family: Family, protocol: Protocol) -> bytes:
    length = nft.LENGTH[family]
    fields = (nest(1, number(1, size)) for size in (length, 2))
    host_order = attribute(13, struct.pack("=BBI", 1, 4, 1))  # of the marks, for those who list
    body = (
        text(1, settings.table) + text(2, MAPS[protocol])
        + number(3, SET_INTERVAL | nft.SET_MAP | SET_CONCAT)
        + number(4, nft.ADDRESS[family] << 6 | nft.PORT) + number(5, length + 4)
        + number(6, nft.MARK) + number(7, 4) + nest(9, nest(2, *fields))
        + number(10, protocol) + host_order
        + (nest(17, text(1, "counter")) if settings.counters else b"")
    )  # fmt: skip
    return nft.message(nft.NEW_SET, CREATE | ACK, body, nft.NFPROTO[family])


def _new_rule(settings: MarkSettings, family: Family, protocol: Protocol) -> bytes:
    length = nft.LENGTH[family]
    verdict = nest(2, nest(2, number(1, RETURN)))
    zero = struct.pack(">Q", 0)
    expressions = [
        *nft.equals(nft.META_L4PROTO, protocol),
        _payload(NETWORK_HEADER, DESTINATION[family], length, REGISTER),
        _payload(TRANSPORT_HEADER, 2, 2, REGISTER + length // 4),
        nft.expression("lookup", text(1, MAPS[protocol]), number(2, REGISTER), number(3, REGISTER)),
        nft.expression("meta", number(2, nft.META_MARK), number(3, REGISTER)),
        *([nft.expression("counter", attribute(1, zero), attribute(2, zero))] if settings.counters else []),
        nft.expression("immediate", number(1, REGISTER_VERDICT), verdict),
    ]
    body = text(1, settings.table) + text(2, CHAIN) + nest(4, *expressions)
    return nft.message(nft.NEW_RULE, CREATE | APPEND | ACK, body, nft.NFPROTO[family])


def _payload(base: int, offset: int, length: int, register: int) -> bytes:
    return nft.expression(
        "payload", number(1, register), number(2, base), number(3, offset), number(4, length)
    )


def change_elements(kind: int, settings: MarkSettings, elements: Sequence[MarkElement]) -> Iterator[bytes]:
    """Messages that add (NEW_ELEMENT) or remove (DELETE_ELEMENT) elements, of any maps."""
    flags = CREATE | ACK if kind == nft.NEW_ELEMENT else ACK
    by_map: dict[tuple[Family, Protocol], list[bytes]] = {}
    for one in elements:
        by_map.setdefault((one.family, one.range.protocol), []).append(_element(one))
    for (family, protocol), items in by_map.items():
        head = text(1, settings.table) + text(2, MAPS[protocol])
        for start in range(0, len(items), MOST):
            body = head + nest(3, *items[start : start + MOST])
            yield nft.message(kind, flags, body, nft.NFPROTO[family])


def _element(one: MarkElement) -> bytes:
    first = one.range.first.packed + struct.pack(">H2x", one.range.first_port)
    last = one.range.last.packed + struct.pack(">H2x", one.range.last_port)
    mark = attribute(1, struct.pack("=I", one.mark))
    return nest(1, nest(1, attribute(1, first)), nest(10, attribute(1, last)), nest(2, mark))


# ------------------------------------------------------------------------- reading


def dump_chains(family: Family) -> bytes:
    """Of every table of the family: the kernel knows no other way."""
    return nft.message(nft.GET_CHAIN, DUMP, b"", nft.NFPROTO[family])


def dump_rules(settings: MarkSettings, family: Family) -> bytes:
    return nft.message(nft.GET_RULE, DUMP, text(1, settings.table), nft.NFPROTO[family])


def dump_elements(settings: MarkSettings, family: Family, name: str) -> bytes:
    body = text(1, settings.table) + text(2, name)
    return nft.message(nft.GET_ELEMENT, DUMP, body, nft.NFPROTO[family])


def decode_chain(body: bytes) -> tuple[str, str]:
    """The table and the name of a chain."""
    top = dict(attributes(body))
    return nft.text_of(top.get(1, b"")), nft.text_of(top.get(3, b""))


def decode_elements(body: bytes, family: Family, protocol: Protocol) -> list[MarkElement]:
    """The elements in one reply to `dump_elements`; `body` starts after the nfgenmsg."""
    top = dict(attributes(body))
    return [_decode(item, family, protocol) for _, item in attributes(top.get(3, b""))]


def _decode(raw: bytes, family: Family, protocol: Protocol) -> MarkElement:
    parts = dict(attributes(raw))
    first, first_port = _end(parts.get(1, b""), family)
    # Of a single value the kernel need not tell the end.
    last, last_port = _end(parts[10], family) if 10 in parts else (first, first_port)
    mark = dict(attributes(parts.get(2, b""))).get(1, b"")
    if len(mark) != 4:
        raise WireError(f"a mark of {len(mark)} bytes")
    marked = MarkedRange(protocol, first, last, first_port, last_port)
    return MarkElement(family, marked, struct.unpack("=I", mark)[0])


def _end(raw: bytes, family: Family) -> tuple[Address, int]:
    value = dict(attributes(raw)).get(1, b"")
    length = nft.LENGTH[family]
    if len(value) != length + 4:
        raise WireError(f"a key of {len(value)} bytes")
    address = IPv4Address(value[:4]) if family is Family.INET else IPv6Address(value[:16])
    return address, int(struct.unpack_from(">H", value, length)[0])
