"""The kernel's addresses, links and neighbours: one socket to change and read, one to listen."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import struct
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, TypeVar

from keepalive_py.errors import FeatureMissing, KernelRefused
from keepalive_py.net import Address
from keepalive_py.wire import netlink
from keepalive_py.wire import rtnetlink as wire

T = TypeVar("T")

NETLINK_ROUTE: Final = 0
DATAGRAM: Final = 1 << 17
PATIENCE: Final = struct.pack("ll", 5, 0)  # seconds that the kernel may take to answer
UNTOLD: Final = (
    0.1  # seconds that are waited for the kernel to tell of new addresses; a kernel at ease takes 1 ms
)
AT_ONCE: Final = 128  # messages of a batch, so that their answers fit the socket's buffer

MARKS_SINCE: Final = (5, 18)  # IFA_PROTO

Encode = Callable[..., bytes]
Request = tuple[Encode, tuple[object, ...]]  # called with these, and a sequence number
Place = tuple[Address, int]  # an address on the interface of that index


class Rtnetlink:
    """Calls wait for the kernel, which answers at once. OSError when there is no netlink."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, PATIENCE)
        self._buffer = memoryview(bytearray(DATAGRAM))
        self._sequence = 0
        self.marks = kernel_version() >= MARKS_SINCE  # whether an address keeps our mark

    def close(self) -> None:
        self._socket.close()

    def links(self) -> dict[str, wire.Link]:
        return {link.name: link for link in self._dump(wire.RTM_GETLINK, wire.Link)}

    def addresses(self) -> list[wire.InterfaceAddress]:
        return self._dump(wire.RTM_GETADDR, wire.InterfaceAddress)

    def neighbours(self) -> list[wire.Neighbour]:
        return self._dump(wire.RTM_GETNEIGH, wire.Neighbour)

    def batch(self, requests: Sequence[Request], *, told: Collection[Place] = ()) -> dict[int, int]:
        """Run all, in order, in as few sends as fit. What failed: position and errno; one
        failure does not stop the rest. Where `told` names places that the requests make, returns
        when every listener has been told of them, or after UNTOLD."""
        failed: dict[int, int] = {}
        with _Notices() if told else contextlib.nullcontext() as notices:
            for start in range(0, len(requests), AT_ONCE):
                part = self._send(requests[start : start + AT_ONCE])
                failed.update((start + position, number) for position, number in part.items())
            if notices is not None:
                notices.wait(set(told))
        return failed

    def ensure_dummy(self, name: str) -> wire.Link:
        """The link, made if it is missing, and up. FeatureMissing, KernelRefused."""
        link = self.links().get(name)
        if link is None:
            number = self.batch([(wire.add_dummy, (name,))]).get(0, 0)
            if number == errno.EOPNOTSUPP:
                raise FeatureMissing(f"interface {name}", "the kernel module dummy, or a link made by you")
            if number and number != errno.EEXIST:
                raise KernelRefused(f"make the interface {name}", number, _hint(number))
            link = self.links()[name]
        if not link.up:
            self.batch([(wire.set_up, (link.ifindex,))])
        return link

    def _send(self, requests: Sequence[Request]) -> dict[int, int]:
        first = self._sequence + 1
        self._sequence += len(requests)
        last = self._sequence
        self._socket.send(
            b"".join(
                encode(*words, sequence=first + place, flags=netlink.NLM_F_ACK)
                for place, (encode, words) in enumerate(requests)
            )
        )
        failed: dict[int, int] = {}
        for message in self._answers(first, last):
            if message.type == netlink.NLMSG_ERROR:
                number = netlink.outcome(message).errno
                if number:
                    failed[message.sequence - first] = number
                if message.sequence == last:
                    break
        return failed

    def _dump(self, kind: int, wanted: type[T]) -> list[T]:
        self._sequence += 1
        sequence = self._sequence
        self._socket.send(wire.dump(kind, sequence=sequence))
        found: list[T] = []
        for message in self._answers(sequence, sequence):
            if message.type == netlink.NLMSG_DONE:
                break
            if message.type == netlink.NLMSG_ERROR:
                raise KernelRefused("read rtnetlink", netlink.outcome(message).errno)
            value = wire.decode(message.type, message.payload)
            if isinstance(value, wanted):
                found.append(value)
        return found

    def _answers(self, first: int, last: int) -> Iterator[netlink.Message]:
        while True:
            try:
                size = self._socket.recv_into(self._buffer)
            except OSError as error:
                raise KernelRefused("read rtnetlink's answers", error.errno or errno.EIO) from None
            for message in netlink.messages(self._buffer[:size]):
                if first <= message.sequence <= last:
                    yield message


def _hint(number: int) -> str:
    return "needs CAP_NET_ADMIN" if number == errno.EPERM else ""


def kernel_version() -> tuple[int, ...]:
    """As 6.12."""
    return tuple(int(word) for word in re.findall(r"\d+", os.uname().release)[:2])


class _Notices:
    """What the kernel tells everybody of addresses. It has an IPv6 address at once and tells of it later,
    from a queue (addrconf_dad_work), but of one that goes at once."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)

    def __enter__(self) -> _Notices:
        self._socket.bind((0, wire.ADDRESS_GROUPS))
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def wait(self, places: set[Place]) -> None:
        deadline = time.monotonic() + UNTOLD
        while places and (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                heard = self._socket.recv(DATAGRAM)
            except OSError:  # the time is over, or there was too much to hear
                return
            for message in netlink.messages(memoryview(heard)):
                if message.type == wire.RTM_NEWADDR:
                    entry = wire.decode(message.type, message.payload)
                    if isinstance(entry, wire.InterfaceAddress):
                        places.discard((entry.address, entry.ifindex))


class Listener:
    """Tells when links, addresses or neighbours changed (`groups`), without saying how."""

    def __init__(self, groups: int = wire.GROUPS) -> None:
        """Raises OSError."""
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, NETLINK_ROUTE
        )
        self._socket.bind((0, groups))

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> None:
        """Take all news off the socket; lost ones (ENOBUFS) are news too."""
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    self._socket.recv(DATAGRAM)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise

    def close(self) -> None:
        self._socket.close()
