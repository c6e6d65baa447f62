"""ICMP echo for thousands of targets over one socket for each family and source.

An unprivileged ICMP socket (icmp(7), net.ipv4.ping_group_range) is tried first, a raw one
(CAP_NET_RAW) second. Replies find their probe by sequence number, and must come from the
address that was asked. With IP_RECVERR the kernel also tells which request met an ICMP error,
so an unreachable target fails at once.
"""

from __future__ import annotations

import os
import secrets
import socket
import struct
from collections.abc import Callable
from socket import SocketType
from typing import TYPE_CHECKING, Any, Final

from keepalive_py.checkers.wishes import Ping, ProbeFailed, Source
from keepalive_py.health.verdict import Reason
from keepalive_py.net import Endpoint, Family, family_of
from keepalive_py.probing.sockets import open_socket, sockaddr
from keepalive_py.probing.trouble import PEER, ProbeUnknown, peer_or_own
from keepalive_py.wire.filler import filler
from keepalive_py.wire.icmp import Echo, encode_echo, parse_echo, parse_reply, strip_ip_header

if TYPE_CHECKING:
    from keepalive_py.probing.flight import Home

__all__ = ["Echoing", "Pings"]

EPOLLIN: Final = 1
BATCH: Final = 64  # datagrams read for one event
LARGEST: Final = 65535
PROTOCOL: Final = {Family.INET: socket.IPPROTO_ICMP, Family.INET6: socket.IPPROTO_ICMPV6}
IP_RECVERR: Final = {Family.INET: (socket.IPPROTO_IP, 11), Family.INET6: (socket.IPPROTO_IPV6, 25)}
SO_EE_ORIGIN_LOCAL: Final = 1  # linux/errqueue.h
EXTENDED_ERROR: Final = struct.Struct("=IBBBxII")  # struct sock_extended_err of linux/errqueue.h
ICMP_FILTER: Final = (255, 1)  # SOL_RAW, linux/icmp.h: a mask of the types that are dropped
ICMP6_FILTER: Final = (socket.IPPROTO_ICMPV6, 1)

Outcome = float | ProbeFailed


class Echoing:
    """One request on its way."""

    __slots__ = ("address", "answer", "sent", "sequence", "via")

    def __init__(
        self, via: EchoSocket, sequence: int, address: str, sent: float, answer: Callable[[Outcome], None]
    ) -> None:
        self.via = via
        self.sequence = sequence
        self.address = address
        self.sent = sent
        self.answer = answer


class Pings:
    """All echo sockets. They are opened at the first use and kept."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._sockets: dict[tuple[Family, Source], EchoSocket] = {}

    def send(self, wish: Ping, answer: Callable[[Outcome], None]) -> Echoing:
        """Send one request. `answer` gets the round-trip time in seconds, or the failure."""
        key = (family_of(wish.target), wish.source)
        via = self._sockets.get(key)
        if via is None:
            via = self._sockets[key] = EchoSocket(self._home, *key)
        return via.send(wish, answer)

    def forget(self, echoing: Echoing) -> None:
        echoing.via.waiting.pop(echoing.sequence, None)

    def close(self) -> None:
        for via in self._sockets.values():
            via.close()
        self._sockets.clear()


class EchoSocket:
    """One ICMP socket and who waits for a reply on it, by sequence number."""

    def __init__(self, home: Home, family: Family, source: Source) -> None:
        self._home = home
        self._family = family
        self._interface = source.interface
        self._socket, self._raw = _open(family, source)
        self._identifier = secrets.randbelow(0xFFFF) + 1  # an ICMP socket puts its own in
        self._sequence = 0
        self.waiting: dict[int, Echoing] = {}
        self._socket.setsockopt(*IP_RECVERR[family], 1)
        home.descriptors[self._socket.fileno()] = self
        home.poller.register(self._socket.fileno(), EPOLLIN)

    def close(self) -> None:
        self._home.descriptors.pop(self._socket.fileno(), None)
        self._socket.close()

    def send(self, wish: Ping, answer: Callable[[Outcome], None]) -> Echoing:
        sequence = self._free_sequence()
        packet = encode_echo(self._family, Echo(self._identifier, sequence, filler(wish.payload_size)))
        address = sockaddr(Endpoint(wish.target, 0), self._interface)
        try:
            self._socket.sendto(packet, address)
        except OSError as error:
            # A pending error of an earlier request may surface here; the error queue has it too.
            self._drain_errors()
            self._send_again(packet, address, error)
        echoing = Echoing(self, sequence, address[0], self._home.clock(), answer)
        self.waiting[sequence] = echoing
        return echoing

    def _send_again(self, packet: bytes, address: Any, first: OSError) -> None:
        try:
            self._socket.sendto(packet, address)
        except OSError as error:
            raise peer_or_own(error.errno or first.errno or 0, "ping") from None

    def _free_sequence(self) -> int:
        for _ in range(0x10000):
            self._sequence = self._sequence % 0xFFFF + 1
            if self._sequence not in self.waiting:
                return self._sequence
        raise ProbeUnknown(Reason.LOCAL_ERROR, "ping: all 65535 sequence numbers are in use")

    def ready(self, events: int) -> None:
        self._drain_errors()
        for _ in range(BATCH):
            try:
                packet, address = self._socket.recvfrom(LARGEST)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error, told with its request by the error queue
            self._replied(packet, address[0])

    def _replied(self, packet: bytes, address: str) -> None:
        if self._raw and self._family is Family.INET:
            packet = strip_ip_header(packet)
        echo = parse_reply(self._family, packet)
        if echo is None or (self._raw and echo.identifier != self._identifier):
            return
        echoing = self.waiting.get(echo.sequence)
        if echoing is not None and echoing.address == address.partition("%")[0]:
            del self.waiting[echo.sequence]
            echoing.answer(self._home.clock() - echoing.sent)

    def _drain_errors(self) -> None:
        for _ in range(BATCH):
            try:
                packet, ancillary, _flags, _address = self._socket.recvmsg(LARGEST, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return
            for level, kind, content in ancillary:
                if (level, kind) == IP_RECVERR[self._family]:
                    self._failed(packet, content)

    def _failed(self, packet: bytes, content: bytes) -> None:
        number, origin, *_ = EXTENDED_ERROR.unpack_from(content)
        echo = parse_echo(self._family, packet)
        if (
            echo is None
            or origin == SO_EE_ORIGIN_LOCAL
            or (self._raw and echo.identifier != self._identifier)
        ):
            return
        echoing = self.waiting.pop(echo.sequence, None)
        if echoing is not None:
            echoing.answer(ProbeFailed(PEER.get(number, Reason.UNREACHABLE), os.strerror(number)))


def _open(family: Family, source: Source) -> tuple[SocketType, bool]:
    """An ICMP socket, and whether it is a raw one."""
    try:
        return open_socket(family, socket.SOCK_DGRAM, source, PROTOCOL[family]), False
    except ProbeUnknown:
        sock = open_socket(family, socket.SOCK_RAW, source, PROTOCOL[family])
    if family is Family.INET:
        sock.setsockopt(*ICMP_FILTER, struct.pack("=I", ~(1 << 0) & 0xFFFFFFFF))
    else:
        passing = [0xFFFFFFFF] * 8
        passing[129 >> 5] &= ~(1 << (129 & 31)) & 0xFFFFFFFF
        sock.setsockopt(*ICMP6_FILTER, struct.pack("=8I", *passing))
    return sock, True
