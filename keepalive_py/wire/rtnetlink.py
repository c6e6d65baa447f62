"""rtnetlink: addresses, links and neighbours, bytes to values and back. Pure.

Standards: rtnetlink(7), linux/if_addr.h, linux/if_link.h, linux/neighbour.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final, NamedTuple

from keepalive_py.errors import WireError
from keepalive_py.net import Address, family_of
from keepalive_py.wire.netlink import HEADER, NLM_F_DUMP, NLM_F_REQUEST, attribute, attributes, number, text

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
ADDRESS_GROUPS: Final = 0x1 | 0x10 | 0x100  # RTMGRP_LINK, _IPV4_IFADDR, _IPV6_IFADDR
GROUPS: Final = ADDRESS_GROUPS | 0x4  # RTMGRP_NEIGH

NLM_F_EXCL, NLM_F_CREATE = 0x200, 0x400
IFA_ADDRESS, IFA_LOCAL, IFA_CACHEINFO, IFA_FLAGS, IFA_PROTO = 1, 2, 6, 8, 11
FOREVER: Final = 0xFFFFFFFF  # INFINITY_LIFE_TIME
IFA_F_NODAD: Final = 0x02
IFLA_IFNAME, IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_CARRIER, IFLA_MASTER = 3, 16, 18, 33, 10
IFLA_INFO_KIND: Final = 1
IFF_UP: Final = 0x1
NDA_DST: Final = 1
NUD_FAILED: Final = 0x20
NUD_REACHED: Final = 0x02 | 0x04 | 0x08 | 0x10 | 0x80  # reachable, stale, delay, probe, permanent

# Who made an address (linux 5.18); those up to 3 are the kernel's. Older kernels drop it.
OUR_PROTO: Final = 0x4C
LOCAL_PROTO: Final = 0x4D  # a FULLNAT service's local address

_IFADDR: Final = struct.Struct("=BBBBi")  # family, prefix length, flags, scope, interface
_LIFETIMES: Final = struct.Struct("=IIII")  # preferred, valid, and two of the kernel's own
_IFINFO: Final = struct.Struct("=BxHiII")  # family, type, index, flags, change
_NDMSG: Final = struct.Struct("=BxxxiHBB")  # family, interface, state, flags, type


class InterfaceAddress(NamedTuple):
    """An address on an interface; `proto` says who made it (0: not told)."""

    address: Address
    length: int
    ifindex: int
    proto: int


class Link(NamedTuple):
    """`carrier`: there is a signal. `kind`: dummy, bond, veth... (empty: hardware). `master`: the index of
    the bond or bridge that it belongs to (0: none)."""

    ifindex: int
    name: str
    up: bool
    carrier: bool
    kind: str
    master: int = 0


class Neighbour(NamedTuple):
    address: Address
    ifindex: int
    state: int


def add_address(address: Address, index: int, *, sequence: int, flags: int) -> bytes:
    """A host address of ours; a v6 one is usable at once, without duplicate detection."""
    return _new_address(address, index, sequence, flags, OUR_PROTO)


def add_local_address(address: Address, index: int, *, sequence: int, flags: int) -> bytes:
    """The same, for a local address. An IPv6 one is deprecated from the start: the host's own
    connections do not choose it, who binds to it has it (RFC 6724 section 5, rule 3)."""
    lifetimes = attribute(IFA_CACHEINFO, _LIFETIMES.pack(0, FOREVER, 0, 0)) if address.version == 6 else b""
    return _new_address(address, index, sequence, flags, LOCAL_PROTO, lifetimes)


class Mark(NamedTuple):
    """How addresses of one kind are added, and known again."""

    add: Callable[..., bytes]
    proto: int


VIRTUAL: Final = Mark(add_address, OUR_PROTO)
LOCAL: Final = Mark(add_local_address, LOCAL_PROTO)


def _new_address(
    address: Address, index: int, sequence: int, flags: int, proto: int, more: bytes = b""
) -> bytes:
    more = attribute(IFA_PROTO, bytes([proto])) + more
    return _address(RTM_NEWADDR, address, index, sequence, flags | NLM_F_CREATE | NLM_F_EXCL, more)


def delete_address(address: Address, index: int, *, sequence: int, flags: int) -> bytes:
    return _address(RTM_DELADDR, address, index, sequence, flags)


def _address(kind: int, address: Address, index: int, sequence: int, flags: int, more: bytes = b"") -> bytes:
    nodad = IFA_F_NODAD if address.version == 6 else 0
    body = _IFADDR.pack(family_of(address), address.max_prefixlen, nodad, 0, index)
    body += attribute(IFA_LOCAL, address.packed) + attribute(IFA_ADDRESS, address.packed)
    return _message(kind, body + more, sequence, flags)


def add_dummy(name: str, *, sequence: int, flags: int) -> bytes:
    """A dummy interface, up."""
    body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, IFF_UP, IFF_UP)
    body += attribute(IFLA_IFNAME, name.encode() + b"\0")
    body += attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, b"dummy"))
    return _message(RTM_NEWLINK, body, sequence, flags | NLM_F_CREATE | NLM_F_EXCL)


def set_up(index: int, *, sequence: int, flags: int) -> bytes:
    return _message(RTM_NEWLINK, _IFINFO.pack(socket.AF_UNSPEC, 0, index, IFF_UP, IFF_UP), sequence, flags)


def dump(kind: int, *, sequence: int) -> bytes:
    """Ask for all links, addresses or neighbours."""
    bodies = {
        RTM_GETLINK: _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0),
        RTM_GETADDR: _IFADDR.pack(socket.AF_UNSPEC, 0, 0, 0, 0),
        RTM_GETNEIGH: _NDMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0),
    }
    return _message(kind, bodies[kind], sequence, NLM_F_DUMP)


def _message(kind: int, body: bytes, sequence: int, flags: int) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, NLM_F_REQUEST | flags, sequence, 0) + body


def decode(kind: int, payload: memoryview) -> InterfaceAddress | Link | Neighbour | None:
    """What one message of a dump says; None: nothing of interest. Raises WireError."""
    decoders = {RTM_NEWADDR: _decode_address, RTM_NEWLINK: _decode_link, RTM_NEWNEIGH: _decode_neighbour}
    decoder = decoders.get(kind)
    try:
        return None if decoder is None else decoder(payload)
    except struct.error:
        raise WireError("rtnetlink: a message is cut short") from None


def _decode_address(payload: memoryview) -> InterfaceAddress | None:
    _family, length, _flags, _scope, index = _IFADDR.unpack_from(payload)
    found = attributes(payload[_IFADDR.size :])
    packed = found.get(IFA_LOCAL, found.get(IFA_ADDRESS))
    address = None if packed is None else _read(packed)
    if address is None:
        return None
    return InterfaceAddress(address, length, index, number(found[IFA_PROTO]) if IFA_PROTO in found else 0)


def _decode_link(payload: memoryview) -> Link:
    _family, _type, index, flags, _change = _IFINFO.unpack_from(payload)
    found = attributes(payload[_IFINFO.size :])
    kind = attributes(found[IFLA_LINKINFO]).get(IFLA_INFO_KIND) if IFLA_LINKINFO in found else None
    return Link(
        index,
        text(found[IFLA_IFNAME]) if IFLA_IFNAME in found else "",
        bool(flags & IFF_UP),
        bool(number(found[IFLA_CARRIER])) if IFLA_CARRIER in found else False,
        "" if kind is None else text(kind),
        number(found[IFLA_MASTER]) if IFLA_MASTER in found else 0,
    )


def _decode_neighbour(payload: memoryview) -> Neighbour | None:
    _family, index, state, _flags, _type = _NDMSG.unpack_from(payload)
    packed = attributes(payload[_NDMSG.size :]).get(NDA_DST)
    address = None if packed is None else _read(packed)
    return None if address is None else Neighbour(address, index, state)


def _read(packed: memoryview) -> Address | None:
    return ip_address(bytes(packed)) if len(packed) in (4, 16) else None
