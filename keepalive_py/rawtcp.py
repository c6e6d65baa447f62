"""A TCP port of this host that is ours alone, for segments that we make ourselves.

The kernel answers a segment for a connection that it does not know with a reset, which would end the
one we are opening. So the port is held by a listening socket whose filter drops everything: what
arrives for it goes no further and is not answered. A raw socket gets its copy before that, from
this peer and for this port alone. Nothing on the host is changed: no rule, no address.

Needs CAP_NET_RAW (raw(7)). The filters are classic BPF (socket(7), SO_ATTACH_FILTER). IPv4 raw
sockets deliver the IP header as well, IPv6 ones do not (RFC 3542).
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from keepalive_py.net import Address, Endpoint, parse_address

__all__ = ["RawPort"]

SO_ATTACH_FILTER: Final = 26  # asm-generic/socket.h
SO_MARK: Final = 36
PASS, DROP = (0x06, 0, 0, 0x40000), (0x06, 0, 0, 0)  # ret #n
LARGEST: Final = 65535
BATCH: Final = 64
Instruction = tuple[int, int, int, int]


class RawPort:
    """`source` is where segments leave from. Raises OSError; EPERM without CAP_NET_RAW."""

    def __init__(
        self, target: Endpoint, address: str = "", port: int = 0, interface: str = "", mark: int = 0
    ) -> None:
        self.target = target
        self._sockets: list[socket.socket] = []
        try:
            self._open(target, address, port, interface, mark)
        except BaseException:
            self.close()
            raise

    def _open(self, target: Endpoint, address: str, port: int, interface: str, mark: int) -> None:
        self.raw = self._socket(socket.SOCK_RAW, interface, mark)  # first: what is most likely refused
        holder = self._socket(socket.SOCK_STREAM, interface, mark)
        attach(holder, [DROP])
        address = address or self._address_towards(target, interface, mark)
        holder.bind(_name(parse_address(address.partition("%")[0]), port, interface))
        holder.listen(0)
        name = holder.getsockname()
        self.source = Endpoint(parse_address(name[0].partition("%")[0]), name[1])
        attach(self.raw, between(target, self.source))
        self.raw.bind(_name(self.source.address, 0, interface))
        self.raw.connect(_name(target.address, 0, interface))
        if target.address.version == 6:
            self.raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_CHECKSUM, 16)

    def _socket(self, kind: int, interface: str, mark: int) -> socket.socket:
        protocol = socket.IPPROTO_TCP if kind == socket.SOCK_RAW else 0
        made = socket.socket(self.target.family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
        self._sockets.append(made)
        if interface:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        if mark:
            made.setsockopt(socket.SOL_SOCKET, SO_MARK, mark - (1 << 32) if mark >= 1 << 31 else mark)
        return made

    def _address_towards(self, target: Endpoint, interface: str, mark: int) -> str:
        """The one that the kernel would choose: connecting a datagram socket sends nothing."""
        asking = self._socket(socket.SOCK_DGRAM, interface, mark)
        asking.connect(_name(target.address, target.port, interface))
        return str(asking.getsockname()[0])

    def fileno(self) -> int:
        return self.raw.fileno()

    def send(self, segments: list[bytes]) -> None:
        """All of them; the list is empty then. What does not fit into the buffer is lost, as on a wire."""
        while segments:
            with suppress(BlockingIOError):
                self.raw.send(segments[0])
            segments.pop(0)

    def receive(self) -> Iterator[bytes]:
        """The segments that have come, without IP headers; a batch at most. Raises OSError when an
        ICMP error came instead."""
        for _ in range(BATCH):
            try:
                packet = self.raw.recv(LARGEST)
            except BlockingIOError:
                return
            yield packet if self.target.address.version == 6 else packet[(packet[0] & 15) * 4 :]

    def close(self) -> None:
        for each in self._sockets:
            each.close()


def _name(address: Address, port: int, interface: str) -> tuple[Any, ...]:
    """For bind(2) and connect(2); a link-local IPv6 address gets the interface as its scope."""
    if address.version == 4 or not (interface and address.is_link_local):
        return (str(address), port)
    return (str(address), port, 0, socket.if_nametoindex(interface))


def between(target: Endpoint, source: Endpoint) -> list[Instruction]:
    """Only segments from this port to that one."""
    if target.address.version == 4:  # X: length of the IP header; then half words behind it
        return [(0xB1, 0, 0, 0), *_ports(0x48, target.port, source.port)]
    return _ports(0x28, target.port, source.port)


def _ports(load: int, from_port: int, to_port: int) -> list[Instruction]:
    return [(load, 0, 0, 0), (0x15, 0, 3, from_port), (load, 0, 0, 2), (0x15, 0, 1, to_port), PASS, DROP]


def attach(to: socket.socket, program: Sequence[Instruction]) -> None:
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    memory = ctypes.create_string_buffer(code)
    to.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(memory))
    )
