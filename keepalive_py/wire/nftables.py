"""nf_tables messages for FULLNAT's source addresses: bytes <-> values. Pure.

One table of ours, `inet keepalive_py`, and no rule that grows with the services. A
connection that IPVS has just given to a real server passes `postrouting`; conntrack's
original tuple still names the service there. One look-up leads it to its pool's chain:

    map tcp4 { 192.0.2.1 . 80 : goto pool4_9c6af206 }       (udp4, sctp4, …; mark4 for firewall marks)
    chain pool4_9c6af206 { snat ip to numgen random mod 2 map { 0 : 10.200.0.1, 1 : 10.200.0.3 } }

The address is drawn anew for every connection, so one busy client spreads over the whole
pool. A pool is named by its addresses and never changes: a service that gets other
addresses is moved to another pool, in one transaction. `nft list table inet keepalive_py`
shows all of it, and what it
shows can be loaded again by `nft -f`, as boot scripts that save the rule set do.

Standards: linux/netfilter/nf_tables.h, nfnetlink.h. Integers in attributes are big endian.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from keepalive_py.errors import WireError
from keepalive_py.net import Address, Endpoint, Family, Protocol
from keepalive_py.plan.table import ServiceKey
from keepalive_py.wire.netlink import attribute

TABLE = "keepalive_py"
SOURCE = "source"  # the chain at postrouting

GROUP = 7  # NFNLGRP_NFTABLES: who listens to it is told of every change
NFPROTO_INET = 1
NFPROTO = {Family.INET: 2, Family.INET6: 10}
SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
BATCH_BEGIN, BATCH_END = 0x10, 0x11

# enum nf_tables_msg_types
NEW_TABLE, GET_TABLE, DELETE_TABLE, NEW_CHAIN, GET_CHAIN, DELETE_CHAIN = range(6)
NEW_RULE, GET_RULE, _DELETE_RULE, NEW_SET, GET_SET, DELETE_SET = range(6, 12)
NEW_ELEMENT, GET_ELEMENT, DELETE_ELEMENT = range(12, 15)

REQUEST, ACK, CREATE, APPEND, DUMP = 0x1, 0x4, 0x400, 0x800, 0x300

REGISTER = 8  # NFT_REG32_00, the first of four bytes
GOTO = -4 & 0xFFFFFFFF
VERDICT = 0xFFFFFF00  # NFT_DATA_VERDICT
SET_ANONYMOUS, SET_CONSTANT, SET_MAP = 0x1, 0x2, 0x8
HOOK_POSTROUTING, PRIORITY_SRCNAT = 4, 100
CT_PROTO_DST, CT_DST_IP, CT_DST_IP6 = 12, 20, 22
META_MARK, META_NFPROTO, META_L4PROTO = 3, 15, 16
NUMGEN_RANDOM = 1

# nft's own numbers of data types, six bits for each part of a key; only for people who list.
_INTEGER, _ADDRESS4, _ADDRESS6, PORT, MARK = 4, 7, 8, 13, 19
ADDRESS = {Family.INET: _ADDRESS4, Family.INET6: _ADDRESS6}
LENGTH = {Family.INET: 4, Family.INET6: 16}
DIGIT = {Family.INET: "4", Family.INET6: "6"}


# ---------------------------------------------------------------- values of the maps


def pool_name(addresses: Sequence[Address], family: Family) -> str:
    """A pool's name follows from its addresses, so a restarted daemon finds it again."""
    digest = hashlib.sha256(b"".join(address.packed for address in addresses)).hexdigest()
    return f"pool{DIGIT[family]}_{digest[:16]}"


def is_pool(name: str) -> bool:
    return name.startswith(("pool4_", "pool6_"))


def map_name(key: ServiceKey) -> str:
    """The map that a service is looked up in."""
    return _map(key.family, key.protocol)


def _map(family: Family, protocol: Protocol | None) -> str:
    return (protocol.name.lower() if protocol else "mark") + DIGIT[family]


MAPS: dict[str, tuple[Family, Protocol | None]] = {
    _map(family, protocol): (family, protocol) for family in Family for protocol in (*Protocol, None)
}


def encode_key(key: ServiceKey) -> bytes:
    """A service as the key of its map; every part is padded to four bytes."""
    if key.endpoint is None:
        return struct.pack("=I", key.fwmark)
    return key.endpoint.address.packed + struct.pack(">H2x", key.endpoint.port)


def decode_key(target: str, raw: bytes) -> ServiceKey:
    """Inverse of `encode_key`, for an element of the map `target`."""
    family, protocol = MAPS[target]
    if len(raw) != (LENGTH[family] + 4 if protocol else 4):
        raise WireError(f"a key of {len(raw)} bytes in {target}")
    if protocol is None:
        return ServiceKey(family=family, fwmark=struct.unpack("=I", raw)[0])
    address, port = _address(raw[:-4]), struct.unpack_from(">H", raw, len(raw) - 4)[0]
    return ServiceKey(family=family, protocol=protocol, endpoint=Endpoint(address, port))


def _address(raw: bytes) -> Address:
    return IPv4Address(raw) if len(raw) == 4 else IPv6Address(raw)


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a map: its key, and the value or the chain it leads to."""

    key: bytes
    value: bytes = b""
    chain: str = ""


def service_element(key: ServiceKey, pool: str) -> Element:
    return Element(encode_key(key), chain=pool)


def pool_addresses(elements: Iterable[Element]) -> tuple[Address, ...]:
    """The addresses of a pool in slot order; empty when a slot is missing."""
    slots = {struct.unpack("=I", element.key)[0]: element.value for element in elements}
    if set(slots) != set(range(len(slots))):
        return ()
    return tuple(_address(slots[slot]) for slot in range(len(slots)))


# --------------------------------------------------------------------- building blocks


def nest(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | 0x8000, b"".join(parts))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">I", value))


def message(kind: int, flags: int, body: bytes, family: int = NFPROTO_INET) -> bytes:
    """One message of the nf_tables subsystem, with sequence number 0: see `number_messages`."""
    head = struct.pack("=IHHII", 20 + len(body), SUBSYSTEM << 8 | kind, REQUEST | flags, 0, 0)
    return head + struct.pack(">BBH", family, 0, 0) + body


def number_messages(messages: Sequence[bytes], first: int) -> list[bytes]:
    """The same messages with sequence numbers from `first` up."""
    return [
        item[:8] + struct.pack("=I", sequence) + item[12:] for sequence, item in enumerate(messages, first)
    ]


def batch(messages: Iterable[bytes], sequence: int = 0) -> bytes:
    """All messages as one transaction: everything or nothing is applied."""
    begin, end = (
        struct.pack("=IHHII", 20, kind, REQUEST, sequence, 0) + struct.pack(">BBH", 0, 0, SUBSYSTEM)
        for kind in (BATCH_BEGIN, BATCH_END)
    )
    return begin + b"".join(messages) + end


# ------------------------------------------------------------------------ the messages


def skeleton() -> list[bytes]:
    """The table, its maps, its chain and its rules; nothing in it depends on the services."""
    built = [message(NEW_TABLE, CREATE | ACK, text(1, TABLE))]
    for name, (family, protocol) in MAPS.items():
        if protocol is None:
            built.append(_new_map(name, 4, MARK, VERDICT, host_order=True))
        else:
            built.append(_new_map(name, LENGTH[family] + 4, (ADDRESS[family] << 6) | PORT, VERDICT))
    hook = nest(4, number(1, HOOK_POSTROUTING), number(2, PRIORITY_SRCNAT))
    built.append(message(NEW_CHAIN, CREATE | ACK, text(1, TABLE) + text(3, SOURCE) + hook + text(7, "nat")))
    built += [_rule(SOURCE, _match(family, protocol)) for family, protocol in MAPS.values()]
    return built


RULES = len(MAPS)  # in the chain at postrouting


def rebuild() -> list[bytes]:
    """The skeleton in the place of whatever is there: added, so that it can be deleted."""
    table, *rest = skeleton()
    return [table, delete_table(), table, *rest]


def delete_table() -> bytes:
    return message(DELETE_TABLE, ACK, text(1, TABLE))


def new_pool(addresses: Sequence[Address], family: Family) -> list[bytes]:
    """A pool: its map, its chain with the one rule, its addresses."""
    name = pool_name(addresses, family)
    slots = [Element(struct.pack("=I", slot), address.packed) for slot, address in enumerate(addresses)]
    anonymous = "__map%d"  # the kernel puts a number in; until then the set is known by its id
    # The id is only seen inside one transaction, which may make several pools.
    identity = int(name[-8:], 16)
    draw = [
        expression("numgen", number(1, REGISTER), number(2, len(addresses)), number(3, NUMGEN_RANDOM)),
        expression(
            "lookup", text(1, anonymous), number(2, REGISTER), number(3, REGISTER), number(4, identity)
        ),
        expression("nat", number(1, 0), number(2, NFPROTO[family]), number(3, REGISTER)),
    ]
    made = _new_map(
        anonymous, 4, _INTEGER, ADDRESS[family], LENGTH[family],
        flags=SET_ANONYMOUS | SET_CONSTANT, identity=identity, host_order=True,
    )  # fmt: skip
    return [
        made,
        *change_elements(NEW_ELEMENT, anonymous, slots, identity),
        message(NEW_CHAIN, CREATE | ACK, text(1, TABLE) + text(3, name)),
        _rule(name, draw),
    ]


def delete_pool(name: str) -> bytes:
    """Only a pool that no service leads to: the kernel refuses otherwise (EBUSY)."""
    return message(DELETE_CHAIN, ACK, text(1, TABLE) + text(3, name))


def change_elements(kind: int, target: str, items: Sequence[Element], identity: int = 0) -> Iterator[bytes]:
    """Messages that add (NEW_ELEMENT) or remove (DELETE_ELEMENT) elements, some hundreds each,
    as an attribute holds at most 64 KiB. `identity` names a map made in the same transaction."""
    flags = CREATE | ACK if kind == NEW_ELEMENT else ACK
    head = text(1, TABLE) + text(2, target) + (number(4, identity) if identity else b"")
    for start in range(0, len(items), 400):
        chosen = (_element(kind, item) for item in items[start : start + 400])
        yield message(kind, flags, head + nest(3, *chosen))


def _element(kind: int, item: Element) -> bytes:
    key = nest(1, attribute(1, item.key))
    if kind == DELETE_ELEMENT:
        return nest(1, key)
    if item.chain:
        return nest(1, key, nest(2, nest(2, number(1, GOTO), text(2, item.chain))))
    return nest(1, key, nest(2, attribute(1, item.value)))


def dump_elements(target: str) -> bytes:
    return message(GET_ELEMENT, DUMP, text(1, TABLE) + text(2, target))


def dump_rules() -> bytes:
    return message(GET_RULE, DUMP, text(1, TABLE))


def _new_map(
    name: str,
    key: int,
    key_type: int,
    value_type: int,
    value: int = 0,
    *,
    flags: int = 0,
    identity: int = 1,
    host_order: bool = False,
) -> bytes:
    # User data of type 0 (NFTNL_UDATA_SET_KEYBYTEORDER) tells nft how to show the key.
    order = attribute(13, struct.pack("=BBI", 0, 4, 1)) if host_order else b""
    body = (
        text(1, TABLE) + text(2, name) + number(3, SET_MAP | flags) + number(4, key_type) + number(5, key)
        + number(6, value_type) + (number(7, value) if value else b"") + number(10, identity) + order
    )  # fmt: skip
    return message(NEW_SET, CREATE | ACK, body)


def _rule(chain: str, expressions: Sequence[bytes]) -> bytes:
    body = text(1, TABLE) + text(2, chain) + nest(4, *expressions)
    return message(NEW_RULE, CREATE | APPEND | ACK, body)


def expression(name: str, *parts: bytes) -> bytes:
    return nest(1, text(1, name), nest(2, *parts))


def equals(key: int, value: int) -> list[bytes]:
    """Match packets whose one-byte meta `key` is `value`."""
    wanted = nest(3, attribute(1, bytes([value])))
    return [
        expression("meta", number(2, key), number(1, REGISTER)),
        expression("cmp", number(1, REGISTER), number(2, 0), wanted),
    ]


def _match(family: Family, protocol: Protocol | None) -> list[bytes]:
    """The rule of one map. Services are known by conntrack's original destination, which is
    their address and port; the others by the packet's firewall mark."""
    only = equals(META_NFPROTO, NFPROTO[family])
    target = _map(family, protocol)
    if protocol is None:
        return [*only, expression("meta", number(2, META_MARK), number(1, REGISTER)), _go(target)]
    key = CT_DST_IP if family is Family.INET else CT_DST_IP6
    original = attribute(3, b"\0")
    return [
        *only,
        *equals(META_L4PROTO, protocol),
        expression("ct", number(2, key), number(1, REGISTER), original),
        expression("ct", number(2, CT_PROTO_DST), number(1, REGISTER + LENGTH[family] // 4), original),
        _go(target),
    ]


def _go(target: str) -> bytes:
    """The verdict that the map holds for the key in the registers; a miss ends the rule."""
    return expression("lookup", text(1, target), number(2, REGISTER), number(3, 0))


# -------------------------------------------------------------------------- replies


def attributes(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """(number without flags, payload) of each attribute; WireError when it is cut short."""
    offset = 0
    while offset + 4 <= len(raw):
        length, kind = struct.unpack_from("=HH", raw, offset)
        if length < 4 or offset + length > len(raw):
            raise WireError("an nf_tables attribute is cut short")
        yield kind & 0x3FFF, raw[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def is_ours(body: bytes) -> bool:
    """Whether a message is about our table or something in it: the name of the table is the first
    attribute of all of them. Anything that cannot be read is not."""
    try:
        return next(attributes(body), (0, b"")) == (1, TABLE.encode() + b"\0")
    except WireError:
        return False


def decode_elements(body: bytes) -> list[Element]:
    """The elements in one reply to `dump_elements`; `body` starts after the nfgenmsg."""
    top = dict(attributes(body))
    return [_decode_element(item) for _, item in attributes(top.get(3, b""))]


def _decode_element(raw: bytes) -> Element:
    parts = dict(attributes(raw))
    key = dict(attributes(parts.get(1, b""))).get(1, b"")
    held = dict(attributes(parts.get(2, b"")))
    verdict = dict(attributes(held.get(2, b"")))
    return Element(key, held.get(1, b""), text_of(verdict.get(2, b"")))


def text_of(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode(errors="replace")


def decode_rule(body: bytes) -> tuple[str, str]:
    """The chain of one rule in a reply to `dump_rules`, and the map that it looks into."""
    top = dict(attributes(body))
    looked = ""
    for _, raw in attributes(top.get(4, b"")):
        parts = dict(attributes(raw))
        if text_of(parts.get(1, b"")) == "lookup":
            looked = text_of(dict(attributes(parts.get(2, b""))).get(1, b""))
    return text_of(top.get(2, b"")), looked
