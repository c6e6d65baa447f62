"""One request over a connection whose segments we make ourselves, for `AskCarrying`.

`rawtcp.RawPort` is its way to the network, `wire.tcp.Client` its protocol. One raw socket for each
probe under way, which the kernel's filter keeps quiet for everything else.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from keepalive_py.checkers.wishes import AskCarrying, ProbeFailed
from keepalive_py.health.verdict import Reason
from keepalive_py.probing.trouble import ProbeUnknown, own, peer_or_own
from keepalive_py.probing.wheel import NOWHERE
from keepalive_py.rawtcp import RawPort
from keepalive_py.wire.tcp import Client, Place, State

if TYPE_CHECKING:
    from keepalive_py.probing.flight import Home

__all__ = ["Crafted", "Outcome"]

EPOLLIN: Final = 1
NEEDS: Final = "a connection that carries an option of its own needs CAP_NET_RAW"

Outcome = bytes | ProbeFailed | ProbeUnknown


class Crafted:
    """`answer` gets what the peer sent, or what went wrong; once. An entry of the wheel for its
    retransmissions. The time limit is the flight's."""

    def __init__(self, home: Home, wish: AskCarrying, answer: Callable[[Outcome], None]) -> None:
        self._home = home
        self._wish = wish
        self._answer = answer
        self._asked = False
        self.slot = NOWHERE
        self._port = _port(wish)
        self._client = Client(
            self._port.source, wish.target, wish.option, tuple(Place), secrets.randbits(32), home.clock()
        )
        try:
            home.poller.register(self._port.fileno(), EPOLLIN)
            self._go_on()
        except OSError as error:
            self._port.close()
            raise peer_or_own(error.errno or 0, "segment") from None
        home.descriptors[self._port.fileno()] = self

    def close(self) -> None:
        self._home.descriptors.pop(self._port.fileno(), None)
        self._home.wheel.take(self)
        self._client.leave()
        with suppress(OSError):
            self._port.send(self._client.outgoing)
        self._port.close()

    def ready(self, events: int) -> None:
        """The kernel has segments, or an ICMP error."""
        try:
            for segment in self._port.receive():
                self._client.receive(segment, self._home.clock())
            self._ask()
            self._go_on()
        except OSError as error:
            self._answer(peer_or_own(error.errno or 0, "segment"))
            return
        self._judge()

    def expire(self, now: float) -> None:
        if now >= self._client.deadline:
            self._client.resend(now)
        try:
            self._go_on()
        except OSError as error:
            self._answer(peer_or_own(error.errno or 0, "segment"))

    def _ask(self) -> None:
        if self._client.state is State.OPEN and not self._asked:
            self._asked = True
            self._client.send(self._wish.request, self._home.clock())

    def _go_on(self) -> None:
        self._port.send(self._client.outgoing)
        if self._client.deadline < float("inf"):
            self._home.wheel.put(self, self._client.deadline)

    def _judge(self) -> None:
        state, received = self._client.state, self._client.received
        if state is State.FINISHED or len(received) >= self._wish.limit:
            self._answer(bytes(received[: self._wish.limit]))
        elif state is State.REFUSED:
            self._answer(ProbeFailed(Reason.REFUSED, "Connection refused"))
        elif state is State.RESET:
            self._answer(
                bytes(received) if received else ProbeFailed(Reason.RESET, "Connection reset by peer")
            )


def _port(wish: AskCarrying) -> RawPort:
    source = wish.source
    try:
        return RawPort(
            wish.target, str(source.address or ""), source.port, source.interface or "", source.mark
        )
    except OSError as error:
        if error.errno == errno.EPERM:
            raise ProbeUnknown(Reason.LOCAL_ERROR, NEEDS) from None
        if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES):
            raise peer_or_own(error.errno, "connect") from None
        raise own(error.errno or 0, "raw socket") from None
