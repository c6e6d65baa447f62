"""One probe under way: grants the wishes of a checker's generator until it has a verdict.

Sockets are registered once, edge-triggered, for both directions: that is one epoll_ctl for the
life of a probe, and the price is to remember what the kernel said (`readable`, `writable`,
`ended`). A wish is granted at once where it can be; else `waiting` is what to try when the
kernel speaks again.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Generator
from socket import SocketType
from typing import Any, Final, Protocol

from keepalive_py.checkers.wishes import (
    AskCarrying,
    Connect,
    OpenDatagram,
    Ping,
    Probe,
    ProbeFailed,
    Receive,
    Run,
    Send,
    StartTls,
)
from keepalive_py.config.model import SslFiles
from keepalive_py.health.verdict import Failed, Reason, Unknown, Verdict
from keepalive_py.net import Endpoint
from keepalive_py.probing import conntrack, crafted
from keepalive_py.probing.children import Child, Launcher, Outcome
from keepalive_py.probing.crafted import Crafted
from keepalive_py.probing.pings import Echoing, Pings
from keepalive_py.probing.sockets import SockAddr, open_socket, sockaddr
from keepalive_py.probing.tls import TlsStream
from keepalive_py.probing.trouble import ProbeUnknown, own, peer_or_own
from keepalive_py.probing.wheel import NOWHERE, Wheel

__all__ = ["Flight", "Home", "Ready"]

PENDING: Final[Any] = object()
FOREVER: Final = float("inf")
EINPROGRESS: Final = 115
READABLE: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
ENDED: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
BOTH_WAYS: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
READS: Final = 16  # in a row, before others get their turn
GOODBYE: Final = 1.0  # seconds that a peer gets to answer our close_notify


class Ready(Protocol):
    """Who is told of events on a descriptor."""

    def ready(self, events: int) -> None: ...


class Home(Protocol):
    """What flights share: the engine."""

    poller: select.epoll
    descriptors: dict[int, Ready]
    wheel: Wheel
    clock: Callable[[], float]
    pings: Pings
    launcher: Launcher
    hungry: list[Flight]
    ssl_files: SslFiles | None

    def bug(self, error: Exception) -> None:
        """A generator raised what it should not have."""


class Flight:
    """Runs one generator at a time, again and again; `landed` gets each verdict."""

    __slots__ = (
        "_address",
        "_alarm",
        "_awaited",
        "_child",
        "_closing",
        "_crafted",
        "_deadline",
        "_end",
        "_fd",
        "_generator",
        "_home",
        "_landed",
        "_limit",
        "_outbox",
        "_ping",
        "_reads",
        "_socket",
        "_stream",
        "_target",
        "_tls",
        "_waiting",
        "ended",
        "readable",
        "slot",
        "writable",
    )

    def __init__(self, home: Home, landed: Callable[[Verdict], None]) -> None:
        self._home = home
        self._landed = landed
        self.slot = NOWHERE
        self._alarm = FOREVER
        self._target: Endpoint | None = None
        self._address: SockAddr = ()
        self._forget()

    def _forget(self) -> None:
        self._generator: Generator[Any, Any, Verdict] | None = None
        self._socket: SocketType | None = None
        self._fd = -1
        self._stream = False
        self._tls: TlsStream | None = None
        self._child: Child | None = None
        self._ping: Echoing | None = None
        self._crafted: Crafted | None = None
        self._closing: Verdict | None = None
        self._outbox: memoryview | bytes = b""
        self._limit = 0
        self._reads = READS
        self._waiting: Callable[[], Any] | None = None
        self._awaited = ""
        self._deadline = FOREVER
        self._end = FOREVER
        self.readable = self.writable = self.ended = False

    def start(self, generator: Probe, at_most: float) -> None:
        """Begin; `at_most` seconds for the whole of it."""
        self._generator = generator
        if at_most < FOREVER:
            self._end = self._deadline = self._home.clock() + at_most
        self._run(generator.send, None)

    def abort(self) -> None:
        """End without a verdict. A child is stopped; the engine reaps it."""
        generator, child = self._generator, self._child
        self._release()
        if child is not None:
            child.disown()
        if generator is not None:
            self._close(generator)

    def _close(self, generator: Probe) -> None:
        try:
            generator.close()
        except Exception as error:
            self._home.bug(error)

    def where(self) -> tuple[Endpoint | None, SockAddr]:
        """The target that was last connected to, and the own end of a socket."""
        return self._target, () if self._socket is None else self._socket.getsockname()

    # The generator.

    def _run(self, resume: Callable[[Any], Any], value: Any) -> None:
        generator = self._generator
        assert generator is not None
        while value is not PENDING:
            try:
                wish = resume(value)
                grant = GRANTS[type(wish)]
            except StopIteration as stop:
                return self._land(stop.value)
            except ProbeFailed as failure:
                return self._land(Failed(failure.reason, failure.detail))
            except Exception as error:  # a bug must not take a server out, nor stop the others
                self._home.bug(error)
                return self._land(Unknown(Reason.BUG, f"{type(error).__name__}: {error}"))
            resume = generator.send
            try:
                value = grant(self, wish)
            except ProbeFailed as failure:
                resume, value = generator.throw, failure
            except ProbeUnknown as trouble:
                return self._give_up(trouble)
        return None

    def _give_up(self, trouble: ProbeUnknown) -> None:
        """Our own trouble: the checker is not asked."""
        assert self._generator is not None
        self._close(self._generator)
        self._land(Unknown(trouble.reason, trouble.detail))

    def _land(self, verdict: Verdict) -> None:
        if self._tls is not None and self._tls.clean_close and self._closing is None:
            self._closing = verdict
            return self._say_goodbye()
        self._release()
        return self._landed(verdict)

    def _release(self) -> None:
        if self._socket is not None:
            self._home.descriptors.pop(self._fd, None)
            self._socket.close()
        if self._ping is not None:
            self._home.pings.forget(self._ping)
        if self._crafted is not None:
            self._crafted.close()
        self._forget()

    # Events and time.

    def ready(self, events: int) -> None:
        """The kernel speaks of our socket, or it is our turn again (no events)."""
        self._reads = READS
        if events & READABLE:
            self.readable = True
        if events & select.EPOLLOUT:
            self.writable = True
        if events & ENDED:
            self.ended = True
        if self._waiting is not None:
            self._try(self._waiting)

    def _try(self, operation: Callable[[], Any]) -> None:
        generator = self._generator
        assert generator is not None
        try:
            answer = operation()
        except ProbeFailed as failure:
            self._waiting = None
            self._run(generator.throw, failure)
        except ProbeUnknown as trouble:
            self._give_up(trouble)
        else:
            if answer is not PENDING:
                self._waiting = None
                self._run(generator.send, answer)

    def expire(self, now: float) -> None:
        """The wheel says that a deadline may have passed; it may also have been moved."""
        self._alarm = FOREVER
        if now < self._deadline:
            if self._deadline < FOREVER:
                self._set_alarm()
        elif self._closing is not None:
            self._land(self._closing)
        elif self._waiting == self._connected and conntrack.is_full():
            self._give_up(ProbeUnknown(Reason.LOCAL_ERROR, conntrack.FULL))
        else:
            assert self._generator is not None
            self._waiting = None
            self._run(self._generator.throw, ProbeFailed(Reason.TIMEOUT, f"no {self._awaited} in time"))

    def _await(self, awaited: str, timeout: float, operation: Callable[[], Any]) -> Any:
        self._awaited = awaited
        self._waiting = operation
        if timeout >= 0.0:
            self._limit_time(timeout)
        if self._deadline == FOREVER:
            raise ProbeUnknown(Reason.BUG, "a wish without a time limit")
        # An alarm that comes earlier is left where it is, even one of an earlier run: to be woken
        # in vain now and then is cheaper than to move it every time.
        if self._deadline < self._alarm:
            self._set_alarm()
        return PENDING

    def _limit_time(self, seconds: float) -> None:
        deadline = self._home.clock() + seconds
        self._deadline = deadline if deadline < self._end else self._end

    def _set_alarm(self) -> None:
        """Be woken at the deadline."""
        self._alarm = self._deadline
        self._home.wheel.put(self, self._deadline)

    def _watch(self) -> None:
        """Have the kernel tell us of the socket from now on."""
        assert self._socket is not None
        self._fd = self._socket.fileno()
        self._home.descriptors[self._fd] = self
        try:
            self._home.poller.register(self._fd, BOTH_WAYS)
        except OSError as error:
            raise own(error.errno or 0, "epoll") from None

    # Wishes.

    def _connect(self, wish: Connect) -> Any:
        address = self._reach(wish.target, wish.source.interface)
        sock = self._open(wish.target, socket.SOCK_STREAM, wish)
        self._stream = True
        number = sock.connect_ex(address)
        if number and number != EINPROGRESS:
            raise peer_or_own(number, "connect")
        self._watch()
        if not number:
            self.writable = True
            return None
        return self._await("connection", wish.timeout, self._connected)

    def _connected(self) -> Any:
        assert self._socket is not None
        if self.ended:  # a socket with an error is told of by EPOLLERR (tcp_poll)
            number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise peer_or_own(number, "connect")
        return None if self.writable else PENDING

    def _open_datagram(self, wish: OpenDatagram) -> Any:
        address = self._reach(wish.target, wish.source.interface)
        sock = self._open(wish.target, socket.SOCK_DGRAM, wish)
        number = sock.connect_ex(address)
        if number:
            raise peer_or_own(number, "connect")
        self._watch()
        if wish.timeout >= 0.0:
            self._limit_time(wish.timeout)

    def _reach(self, target: Endpoint, interface: str | None) -> SockAddr:
        """The target for the kernel; a check asks for the same one at each run. An interface
        may come back under another number, so nothing is kept that has one in it."""
        if target is not self._target:
            self._address = sockaddr(target, interface)
            self._target = target if interface is None else None
        return self._address

    def _open(self, target: Endpoint, kind: int, wish: Connect | OpenDatagram) -> SocketType:
        if self._socket is not None:
            raise ProbeUnknown(Reason.BUG, "a probe has one socket")
        family = socket.AF_INET if target.address.version == 4 else socket.AF_INET6
        self._socket = open_socket(family, kind, wish.source)
        return self._socket

    def _send(self, wish: Send) -> Any:
        self._outbox = wish.data
        if self._tls is not None:
            return self._now_or_later("acceptance of our data", wish.timeout, self._send_tls)
        return self._now_or_later("acceptance of our data", wish.timeout, self._send_rest)

    def _send_rest(self) -> Any:
        """Send what is left of the outbox; PENDING while the socket is full."""
        assert self._socket is not None
        try:
            sent = self._socket.send(self._outbox)
        except BlockingIOError:
            self.writable = False
            return PENDING
        except OSError as error:
            raise peer_or_own(error.errno or 0, "send") from None
        if sent == len(self._outbox) or not self._stream:
            self._outbox = b""
            return None
        self._outbox = memoryview(self._outbox)[sent:]
        return self._send_rest()

    def _receive(self, wish: Receive) -> Any:
        self._limit = wish.limit
        operation = self._read if self._tls is None else self._read_tls
        if not self.readable and self._tls is None:
            return self._await("answer", wish.timeout, operation)
        self._reads -= 1
        if self._reads < 0:
            self._home.hungry.append(self)
            return self._await("answer", wish.timeout, operation)
        return self._now_or_later("answer", wish.timeout, operation)

    def _read(self) -> Any:
        assert self._socket is not None
        try:
            found = self._socket.recv(self._limit)
        except BlockingIOError:
            self.readable = False
            return PENDING
        except OSError as error:
            raise peer_or_own(error.errno or 0, "receive") from None
        if self._stream and len(found) < self._limit:
            self.readable = self.ended  # epoll(7): a short read has emptied the stream
        return found

    def _now_or_later(self, awaited: str, timeout: float, operation: Callable[[], Any]) -> Any:
        answer = operation()
        if answer is PENDING:
            return self._await(awaited, timeout, operation)
        if timeout >= 0.0:
            self._limit_time(timeout)
        return answer

    # TLS.

    def _start_tls(self, wish: StartTls) -> Any:
        self._tls = TlsStream(wish.server_name, wish.files or self._home.ssl_files, wish.clean_close)
        return self._now_or_later("end of the TLS handshake", wish.timeout, self._handshake)

    def _handshake(self) -> Any:
        assert self._tls is not None
        return self._pump(self._tls.handshake)

    def _send_tls(self) -> Any:
        assert self._tls is not None
        if self._outbox:
            self._tls.write(bytes(self._outbox))
            self._outbox = b""
        return None if self._flush() else PENDING

    def _read_tls(self) -> Any:
        assert self._tls is not None
        tls, limit = self._tls, self._limit
        return self._pump(lambda: tls.read(limit))

    def _pump(self, operation: Callable[[], Any]) -> Any:
        """Feed TLS from the socket and the socket from TLS until `operation` has its answer."""
        assert self._socket is not None
        assert self._tls is not None
        while True:
            answer = operation()
            flushed = self._flush()
            if answer is not TlsStream.HUNGRY:
                return answer
            if not flushed or not self._feed():
                return PENDING

    def _feed(self) -> bool:
        """One read from the socket into TLS; False when there is nothing yet."""
        assert self._socket is not None
        assert self._tls is not None
        try:
            found = self._socket.recv(TlsStream.RECORD)
        except BlockingIOError:
            self.readable = False
            return False
        except OSError as error:
            raise peer_or_own(error.errno or 0, "receive") from None
        self._tls.feed(found)
        return True

    def _flush(self) -> bool:
        """What TLS has to say goes to the socket; False while the socket is full."""
        assert self._socket is not None
        assert self._tls is not None
        while waiting := self._tls.outgoing():
            try:
                self._tls.sent(self._socket.send(waiting))
            except BlockingIOError:
                self.writable = False
                return False
            except OSError as error:
                raise peer_or_own(error.errno or 0, "send") from None
        return True

    def _say_goodbye(self) -> None:
        """Send close_notify and wait for the peer's; what comes of it changes no verdict."""
        assert self._tls is not None
        self._end = FOREVER
        self._await("close_notify", GOODBYE, self._part)
        self._part()

    def _part(self) -> Any:
        assert self._tls is not None
        assert self._closing is not None
        try:
            if self._pump(self._tls.shutdown) is PENDING:
                return PENDING
        except (ProbeFailed, ProbeUnknown):
            pass
        self._land(self._closing)
        return PENDING

    # ICMP, segments made by hand, and children have files of their own.

    def _echo(self, wish: Ping) -> Any:
        self._ping = self._home.pings.send(wish, self._echoed)
        return self._await("echo reply", wish.timeout, _nothing)

    def _echoed(self, outcome: float | ProbeFailed) -> None:
        assert self._generator is not None
        self._ping = None
        if isinstance(outcome, ProbeFailed):
            self._run(self._generator.throw, outcome)
        else:
            self._run(self._generator.send, outcome)

    def _ask_carrying(self, wish: AskCarrying) -> Any:
        self._crafted = Crafted(self._home, wish, self._carried)
        return self._await("answer", wish.timeout, _nothing)

    def _carried(self, outcome: crafted.Outcome) -> None:
        assert self._generator is not None
        if isinstance(outcome, ProbeUnknown):
            self._give_up(outcome)
        elif isinstance(outcome, ProbeFailed):
            self._run(self._generator.throw, outcome)
        else:
            self._run(self._generator.send, outcome)

    def _launch(self, wish: Run) -> Any:
        self._deadline = FOREVER
        self._child = self._home.launcher.launch(wish.script, wish.timeout, self._child_ended)
        return PENDING

    def _child_ended(self, outcome: Outcome) -> None:
        assert self._generator is not None
        self._child = None
        if isinstance(outcome, ProbeUnknown):
            self._give_up(outcome)
        elif isinstance(outcome, ProbeFailed):
            self._run(self._generator.throw, outcome)
        else:
            self._run(self._generator.send, outcome)


def _nothing() -> Any:
    return PENDING


GRANTS: Final[dict[type, Callable[[Flight, Any], Any]]] = {
    Connect: Flight._connect,
    OpenDatagram: Flight._open_datagram,
    StartTls: Flight._start_tls,
    Send: Flight._send,
    Receive: Flight._receive,
    Ping: Flight._echo,
    AskCarrying: Flight._ask_carrying,
    Run: Flight._launch,
}
