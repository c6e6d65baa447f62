"""The sockets of BFD over UDP: RFC 5881 sections 4 and 5, RFC 5883.

One socket receives for every session that shares a local address and a port; each session has
one to send from, whose port is its own.
"""

from __future__ import annotations

import errno
import secrets
import socket
import struct
from typing import Final, NamedTuple

from keepalive_py.config.bfd_instance import BfdInstance
from keepalive_py.net import Address, Family, family_of
from keepalive_py.wire.bfd import PORT_MULTIHOP, PORT_SINGLE_HOP

__all__ = ["Datagram", "Local", "destination", "local_of", "read", "receiver", "sender"]

FIRST_SOURCE_PORT: Final = 49152  # RFC 5881 section 4
SOURCE_PORTS: Final = 65536 - FIRST_SOURCE_PORT
ATTEMPTS: Final = 100
INTERNETWORK_CONTROL: Final = 0xC0  # CS6, as routing protocols are sent
LARGEST: Final = 128  # a control packet has 24 bytes
# How a received TTL is asked for, and how one is set (ip(7), ipv6(7)).
ASK_TTL: Final = {
    Family.INET: (socket.IPPROTO_IP, 12),  # IP_RECVTTL of linux/in.h
    Family.INET6: (socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT),
}
SET_TTL: Final = {
    Family.INET: (socket.IPPROTO_IP, socket.IP_TTL),
    Family.INET6: (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS),
}
SET_CLASS: Final = {
    Family.INET: (socket.IPPROTO_IP, socket.IP_TOS),
    Family.INET6: (socket.IPPROTO_IPV6, socket.IPV6_TCLASS),
}
TTL_MESSAGES: Final = {
    (socket.IPPROTO_IP, socket.IP_TTL),
    (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT),
}
WILDCARD: Final = {Family.INET: "0.0.0.0", Family.INET6: "::"}


class Local(NamedTuple):
    """Where sessions receive: the configured source address, or any of the family."""

    family: Family
    address: Address | None
    port: int


class Datagram(NamedTuple):
    """`ttl` is None when the kernel did not tell it."""

    content: bytes
    ttl: int | None
    sender: str


def local_of(instance: BfdInstance) -> Local:
    port = PORT_MULTIHOP if instance.multihop else PORT_SINGLE_HOP
    return Local(family_of(instance.neighbor), instance.source, port)


def receiver(local: Local) -> socket.socket:
    """Raises OSError. Bound to one address where the operator named it, so that a routing
    daemon's own BFD may have the same port on other addresses."""
    sock = _udp(local.family)
    try:
        if local.address is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(*ASK_TTL[local.family], 1)
        sock.bind(_address(local.address, local.family, local.port))
    except OSError:
        sock.close()
        raise
    return sock


def sender(instance: BfdInstance) -> socket.socket:
    """A socket on a free port of the range that RFC 5881 wants. Raises OSError."""
    family = family_of(instance.neighbor)
    sock = _udp(family)
    try:
        sock.setsockopt(*SET_TTL[family], instance.ttl)
        sock.setsockopt(*SET_CLASS[family], INTERNETWORK_CONTROL)
        _bind_somewhere(sock, instance.source, family)
    except OSError:
        sock.close()
        raise
    return sock


def _udp(family: Family) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    if family is Family.INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def _bind_somewhere(sock: socket.socket, source: Address | None, family: Family) -> None:
    for attempt in range(ATTEMPTS):
        port = FIRST_SOURCE_PORT + secrets.randbelow(SOURCE_PORTS)
        try:
            return sock.bind(_address(source, family, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or attempt == ATTEMPTS - 1:
                raise
    return None


def destination(instance: BfdInstance) -> tuple[str, int]:
    """The neighbour for sendto(2)."""
    return str(instance.neighbor), local_of(instance).port


def _address(address: Address | None, family: Family, port: int) -> tuple[str, int]:
    return WILDCARD[family] if address is None else str(address), port


def read(sock: socket.socket) -> Datagram | None:
    """The next datagram, None when there is none. Errors of earlier sends are passed over."""
    try:
        content, ancillary, _flags, address = sock.recvmsg(LARGEST, 64)
    except OSError:
        return None
    return Datagram(content, _ttl(ancillary), address[0])


def _ttl(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, content in ancillary:
        if (level, kind) in TTL_MESSAGES and len(content) >= 4:
            ttl: int = struct.unpack_from("=i", content)[0]
            return ttl
    return None
