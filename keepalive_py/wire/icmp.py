"""ICMP and ICMPv6 echo (RFC 792, RFC 4443 section 4): bytes to values and back. Pure.

Three kinds of socket see these bytes differently, see `icmp(7)` and `raw(7)`:

- an unprivileged ICMP socket (SOCK_DGRAM): the kernel puts its own identifier and the
  checksum in, and hands over the ICMP message alone;
- a raw IPv4 socket: we make the checksum, and every reply begins with its IP header;
- a raw IPv6 socket: the kernel makes the checksum, replies have no IP header.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from keepalive_py.net import Family

__all__ = ["Echo", "checksum", "encode_echo", "parse_echo", "parse_reply", "strip_ip_header"]

HEADER: Final = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence
REQUEST: Final = {Family.INET: 8, Family.INET6: 128}
REPLY: Final = {Family.INET: 0, Family.INET6: 129}
MINIMAL_IPV4_HEADER: Final = 20


@dataclass(frozen=True, slots=True)
class Echo:
    """An echo request or reply. `identifier` and `sequence` are 16 bits wide."""

    identifier: int
    sequence: int
    payload: bytes = b""


def checksum(packet: bytes) -> int:
    """The Internet checksum (RFC 1071) of `packet`, whose checksum field is zero."""
    if len(packet) % 2:
        packet += b"\0"
    total: int = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def encode_echo(family: Family, echo: Echo) -> bytes:
    """An echo request. IPv6: the checksum stays zero, the kernel fills it in on every kind
    of socket, because it covers addresses that only the kernel knows (RFC 3542 3.1)."""
    header = HEADER.pack(REQUEST[family], 0, 0, echo.identifier, echo.sequence)
    if family is Family.INET6:
        return header + echo.payload
    total = checksum(header + echo.payload)
    return HEADER.pack(REQUEST[family], 0, total, echo.identifier, echo.sequence) + echo.payload


def parse_reply(family: Family, packet: bytes) -> Echo | None:
    """The echo reply in an ICMP message without IP header; None: it is something else."""
    return _parse(REPLY[family], packet)


def parse_echo(family: Family, packet: bytes) -> Echo | None:
    """The echo *request* in an ICMP message, such as the kernel's error queue quotes it."""
    return _parse(REQUEST[family], packet)


def _parse(kind: int, packet: bytes) -> Echo | None:
    if len(packet) < HEADER.size:
        return None
    found, code, _checksum, identifier, sequence = HEADER.unpack_from(packet)
    if found != kind or code != 0:
        return None
    return Echo(identifier, sequence, packet[HEADER.size :])


def strip_ip_header(packet: bytes) -> bytes:
    """What follows the IPv4 header that a raw socket leaves in front; b"" when there is none."""
    if len(packet) < MINIMAL_IPV4_HEADER or packet[0] >> 4 != 4:
        return b""
    return packet[(packet[0] & 0x0F) * 4 :]
