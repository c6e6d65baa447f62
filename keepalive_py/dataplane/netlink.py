"""A generic netlink socket of our own.

The kernel works on a request inside send(), so when send() returns, the answers are in the
socket's queue already: nothing here waits, and there is nothing for an event loop to
watch. That, and one send for hundreds of messages into one fixed receive buffer, is why
this is not pyroute2's socket, which is made for requests one by one.

See netlink(7), linux/netlink.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Generator, Iterator, Sequence

from keepalive_py.dataplane.namespace import run_in
from keepalive_py.errors import WireError
from keepalive_py.wire import netlink
from keepalive_py.wire.netlink import Message, Outcome

NETLINK_GENERIC = 16
SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
# A batch of which every message is refused: 512 answers of some 2 kB as the kernel counts.
BUFFER = 4 << 20
# The kernel never puts more than 32 kB into one datagram of a dump.
DATAGRAM = 1 << 16
# struct timeval, 5 s: for netlink sockets of other protocols, which block.
PATIENCE = struct.pack("@ll", 5, 0)
LAST_SEQUENCE = 0xFFFFFFFF

Request = tuple[int, bytes]  # command, attributes


class Refused(Exception):
    """The kernel's answer to one request is an error."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.errno, self.text = outcome


class AnswersLost(Exception):
    """What was asked has happened, its answers are gone: the receive queue overflowed, or
    the kernel gave none, as it does for a request whose work ended in EINTR."""


class GenericNetlink:
    """One family's socket. Calls must not interleave; none yields to the event loop."""

    def __init__(self, namespace: str | None = None, *, buffer: int = BUFFER) -> None:
        """`buffer`: bytes for answers. Raises OSError where there is no netlink at all,
        FeatureMissing for a namespace."""
        self._socket = run_in(namespace, _open)
        self._buffer = memoryview(bytearray(DATAGRAM))
        self._sequence = 0
        self._family = netlink.GENL_ID_CTRL
        self.commands: set[int] = set()  # of the family, as the kernel lists them
        self._set_buffer(SO_RCVBUFFORCE, socket.SO_RCVBUF, buffer)
        self._set_buffer(SO_SNDBUFFORCE, socket.SO_SNDBUF, BUFFER)

    def _set_buffer(self, force: int, plain: int, size: int) -> None:
        """Beyond the system's limit (net.core.rmem_max) where we may."""
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, force, size)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, plain, size)

    def close(self) -> None:
        self._socket.close()

    def bind_family(self, name: str) -> bool:
        """Look up the family that later calls speak to. False: the kernel does not have it."""
        sequence = self._reserve(1)
        self._socket.send(netlink.family_request(name, sequence=sequence))
        try:
            found = netlink.generic_attributes(self._one_answer(sequence))
        except Refused as refused:
            if refused.errno == errno.ENOENT:
                return False
            raise
        self._family = netlink.number(found[netlink.CTRL_ATTR_FAMILY_ID])
        if netlink.CTRL_ATTR_OPS in found:
            self.commands = netlink.family_commands(found[netlink.CTRL_ATTR_OPS])
        return True

    def batch(self, requests: Sequence[Request]) -> dict[int, Outcome]:
        """Send all in one go; the answer is what failed, by position. One failure does not
        stop the rest. Only the last message asks for an acknowledgement: errors come
        anyway, and 11,000 acknowledgements cost twenty times the work itself.
        Raises AnswersLost."""
        if not requests:
            return {}
        first = self._reserve(len(requests))
        self._socket.send(self._joined(requests, first))
        last = first + len(requests) - 1
        failed: dict[int, Outcome] = {}
        for message in self._answers(first, last):
            if message.type != netlink.NLMSG_ERROR:
                continue
            outcome = netlink.outcome(message)
            if outcome.errno:
                failed[message.sequence - first] = outcome
            if message.sequence == last:
                break
        return failed

    def _joined(self, requests: Sequence[Request], first: int) -> bytes:
        family, encode = self._family, netlink.request
        messages = [
            encode(family, command, payload, sequence=sequence)
            for sequence, (command, payload) in enumerate(requests[:-1], first)
        ]
        command, payload = requests[-1]
        last = first + len(messages)
        messages.append(encode(family, command, payload, sequence=last, flags=netlink.NLM_F_ACK))
        return b"".join(messages)

    def run(self, command: int, payload: bytes = b"") -> Outcome:
        """One request and its acknowledgement. Raises AnswersLost."""
        return self.batch([(command, payload)]).get(0, Outcome(0, ""))

    def ask(self, command: int, payload: bytes = b"") -> memoryview:
        """One request that is answered by one message: its payload, valid until the next
        call. Raises Refused, AnswersLost."""
        sequence = self._reserve(1)
        self._socket.send(netlink.request(self._family, command, payload, sequence=sequence))
        return self._one_answer(sequence)

    def dump(self, command: int, payload: bytes = b"") -> Generator[memoryview, None, None]:
        """One request that is answered by many messages: their payloads, each valid until
        the next. Raises Refused, AnswersLost."""
        sequence, flags = self._reserve(1), netlink.NLM_F_DUMP
        self._socket.send(netlink.request(self._family, command, payload, sequence=sequence, flags=flags))
        unfinished = True
        try:
            for answer in self._answers(sequence, sequence):
                if answer.type in (netlink.NLMSG_DONE, netlink.NLMSG_ERROR):
                    unfinished = False
                    _raise_if_refused(answer)
                    return
                yield answer.payload
        finally:
            # Left early (a cancelled task): the kernel would answer EBUSY to the next dump.
            if unfinished:
                self._drain()

    def _one_answer(self, sequence: int) -> memoryview:
        answer = next(self._answers(sequence, sequence))
        if answer.type == netlink.NLMSG_ERROR:
            _raise_if_refused(answer)
        return answer.payload

    def _answers(self, first: int, last: int) -> Iterator[Message]:
        """Messages as they come, without those that belong to an earlier call."""
        while True:
            for message in netlink.messages(self._receive()):
                if first <= message.sequence <= last:
                    yield message

    def _receive(self) -> memoryview:
        try:
            size = self._socket.recv_into(self._buffer, 0, socket.MSG_TRUNC)
        except OSError as error:
            # EAGAIN: an answer cannot be late, so it is not coming.
            if error.errno in (errno.ENOBUFS, errno.EAGAIN):
                self._drain()
                raise AnswersLost from None
            raise
        if size > len(self._buffer):
            raise WireError(f"netlink: a datagram of {size} bytes")
        return self._buffer[:size]

    def _drain(self) -> None:
        """Read away what is left, to the end of an unfinished dump: only an empty queue lets
        new answers in."""
        while True:
            try:
                self._socket.recv_into(self._buffer, 0, socket.MSG_DONTWAIT)
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    return
                if error.errno != errno.ENOBUFS:
                    raise

    def _reserve(self, count: int) -> int:
        """`count` sequence numbers in a row, none 0: the first."""
        if self._sequence + count > LAST_SEQUENCE:
            self._sequence = 0
        first = self._sequence + 1
        self._sequence += count
        return first


def _raise_if_refused(answer: Message) -> None:
    outcome = netlink.outcome(answer)
    if outcome.errno:
        raise Refused(outcome)


def _open() -> socket.socket:
    new = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_GENERIC)
    new.bind((0, 0))
    new.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
    new.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
    new.setblocking(False)
    return new
