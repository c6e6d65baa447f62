"""The addresses of this host and their changes, for ha_suspend. rtnetlink(7)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Final

from keepalive_py.net import Address

NETLINK_ROUTE: Final = 0
GROUPS: Final = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, linux/rtnetlink.h
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
IFA_ADDRESS, IFA_LOCAL = 1, 2
HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
IFADDR: Final = struct.Struct("=BBBBi")  # family, prefix length, flags, scope, interface
ATTRIBUTE: Final = struct.Struct("=HH")  # length, type
BUFFER: Final = 1 << 16
SETTLE: Final = 0.1  # seconds that changes may gather before the table is read again

OnChange = Callable[[frozenset[Address]], None]


def present_addresses() -> frozenset[Address]:
    """All addresses of all interfaces, now. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE) as channel:
        channel.settimeout(5.0)
        channel.bind((0, 0))
        body = IFADDR.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        flags = NLM_F_REQUEST | NLM_F_DUMP
        channel.send(HEADER.pack(HEADER.size + len(body), RTM_GETADDR, flags, 1, 0) + body)
        return frozenset(dumped(channel))


def dumped(channel: socket.socket) -> Iterator[Address]:
    while True:
        for kind, body in messages(channel.recv(BUFFER)):
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                number = -struct.unpack_from("=i", body)[0]
                raise OSError(number, os.strerror(number))
            found = address_in(body)
            if found is not None:
                yield found


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, _flags, _sequence, _port = HEADER.unpack_from(data, offset)
        if length < HEADER.size:
            return
        yield kind, data[offset + HEADER.size : offset + length]
        offset += (length + 3) & ~3


def address_in(body: bytes) -> Address | None:
    """IFA_LOCAL where there is one: on a point-to-point link IFA_ADDRESS is the other end."""
    found: dict[int, bytes] = {}
    offset = IFADDR.size
    while offset + ATTRIBUTE.size <= len(body):
        length, kind = ATTRIBUTE.unpack_from(body, offset)
        if length < ATTRIBUTE.size:
            break
        found[kind] = body[offset + ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    packed = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS)
    return ip_address(packed) if packed and len(packed) in (4, 16) else None


class AddressWatch:
    """Calls `changed` with all addresses whenever they are others than before."""

    def __init__(self, changed: OnChange, loop: asyncio.AbstractEventLoop) -> None:
        """Raises OSError."""
        self.changed = changed
        self.loop = loop
        self.channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
        self.channel.setblocking(False)
        self.channel.bind((0, GROUPS))
        self.known = present_addresses()
        self.timer: asyncio.TimerHandle | None = None
        loop.add_reader(self.channel, self.news)

    def news(self) -> None:
        """Something changed: let it settle, then read everything, so that nothing can be lost."""
        try:
            while True:
                self.channel.recv(BUFFER)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # news were lost: all the more reason to read
                raise
        if self.timer is None:
            self.timer = self.loop.call_later(SETTLE, self.read)

    def read(self) -> None:
        self.timer = None
        with contextlib.suppress(OSError):
            present = present_addresses()
            if present != self.known:
                self.known = present
                self.changed(present)

    def close(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.loop.remove_reader(self.channel)
        self.channel.close()
