"""Talking to nf_tables: dumps, and transactions of which the kernel takes all or nothing.

As with IPVS, the answers are in the socket's queue when send() returns, so nothing here waits.
The messages are those of `wire.nftables` and `wire.nft_marks`; see linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator, Sequence

from keepalive_py.dataplane.namespace import run_in
from keepalive_py.dataplane.netlink import BUFFER, PATIENCE, SO_RCVBUFFORCE, SO_SNDBUFFORCE
from keepalive_py.errors import FeatureMissing, KernelRefused
from keepalive_py.wire import netlink
from keepalive_py.wire import nftables as wire

NETLINK_NETFILTER = 12
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 270, 1
NFGENMSG = 4  # bytes before the attributes
NEEDS = "a kernel with nf_tables (CONFIG_NF_TABLES)"


class NfTables:
    """A socket to nf_tables. `namespace` as in `dataplane.namespace.run_in`."""

    needs = NEEDS

    def __init__(self, namespace: str | None = None) -> None:
        self._socket = run_in(namespace, _open)
        self._buffer = memoryview(bytearray(1 << 16))
        self._sequence = 0
        for force, plain in ((SO_RCVBUFFORCE, socket.SO_RCVBUF), (SO_SNDBUFFORCE, socket.SO_SNDBUF)):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, force, BUFFER)
            except PermissionError:
                self._socket.setsockopt(socket.SOL_SOCKET, plain, BUFFER)

    def close(self) -> None:
        self._socket.close()

    @property
    def port(self) -> int:
        """What the kernel knows our requests by."""
        return int(self._socket.getsockname()[0])

    def _dump(self, request: bytes) -> list[bytes]:
        """The answers to a dump; none when the table does not exist."""
        sequence = self._next(1)
        self._socket.send(wire.number_messages([request], sequence)[0])
        bodies: list[bytes] = []
        for message in self._answers(sequence, sequence):
            if message.type == netlink.NLMSG_DONE:
                break
            if message.type == netlink.NLMSG_ERROR:
                number = netlink.outcome(message).errno
                if number not in (0, errno.ENOENT):
                    raise self._refused("read the nf_tables table", number)
                break
            bodies.append(bytes(message.payload[NFGENMSG:]))
        return bodies

    def _transact(self, messages: Sequence[bytes]) -> None:
        """All or nothing. Only the end of a transaction is waited for: the kernel answers
        each message, but errors come before the last answer."""
        if not messages:
            return
        first = self._next(len(messages))
        self._socket.send(wire.batch(wire.number_messages(messages, first), first))
        last = first + len(messages) - 1
        failed = 0
        for message in self._answers(first, last):
            failed = failed or netlink.outcome(message).errno
            if failed or message.sequence == last:
                break
        if failed:
            self._drain()
            raise self._refused("change the nf_tables table", failed)

    def _answers(self, first: int, last: int) -> Iterator[netlink.Message]:
        while True:
            try:
                size = self._socket.recv_into(self._buffer)
            except OSError as error:
                if error.errno in (errno.ENOBUFS, errno.EAGAIN):
                    self._drain()
                    raise KernelRefused(
                        "read nf_tables' answers", error.errno, "read back and repeated"
                    ) from None
                raise
            for message in netlink.messages(self._buffer[:size]):
                if first <= message.sequence <= last:
                    yield message

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv_into(self._buffer, 0, socket.MSG_DONTWAIT)

    def _next(self, count: int) -> int:
        first = self._sequence + 1
        self._sequence += count
        return first

    def _refused(self, what: str, number: int) -> KernelRefused:
        if number == errno.ENOENT:
            return Missing(what, number, "the table was removed by someone else: read back and repeated")
        hints = {errno.EPERM: "needs CAP_NET_ADMIN", errno.EOPNOTSUPP: f"needs {self.needs}"}
        return KernelRefused(what, number, hints.get(number, ""))


class Missing(KernelRefused):
    """The table is not there."""


class Ear:
    """Hears of changes to FULLNAT's table that others make; the kernel tells whose each is."""

    def __init__(self, namespace: str | None, ours: NfTables) -> None:
        """Raises FeatureMissing, OSError."""
        self._ours = ours
        self._socket = run_in(namespace, _open)
        self._socket.setblocking(False)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, wire.GROUP)
        self._buffer = memoryview(bytearray(1 << 16))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def heard(self) -> bool:
        """Takes all news; whether some of it is a change of our table by somebody else. News that
        were lost may have been."""
        found = False
        while True:
            try:
                size = self._socket.recv_into(self._buffer)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                found = True
                continue
            found = found or any(map(self._is_theirs, netlink.messages(self._buffer[:size])))

    def _is_theirs(self, message: netlink.Message) -> bool:
        return message.port != self._ours.port and wire.is_ours(bytes(message.payload[NFGENMSG:]))


def _open() -> socket.socket:
    try:
        new = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    except OSError as error:
        raise FeatureMissing("nf_tables", NEEDS) from error
    new.bind((0, 0))
    new.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, PATIENCE)
    return new
