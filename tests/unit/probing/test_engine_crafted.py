"""`AskCarrying`: segments made by hand, over a wire that is played. Over a real one: tests/vm."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from keepalive_py.checkers.toa import ToaCheck
from keepalive_py.health.verdict import PASSED, Failed, Reason, Unknown
from keepalive_py.net import Endpoint
from keepalive_py.probing import crafted
from keepalive_py.wire import tcp, toa
from keepalive_py.wire.tcp import ACK, FIN, RST, SYN, Segment
from keepalive_py.wire.toa import Layouts

US, SERVER = Endpoint(ip_address("192.0.2.1"), 40000), Endpoint(ip_address("192.0.2.2"), 80)
Server = Callable[[Segment], list[Segment]]


class PlayedPort:
    """In the place of RawPort: what is sent goes to `server`, whose segments come back."""

    server: Server
    made: list[PlayedPort]

    def __init__(self, _target: Endpoint, *_: object) -> None:
        self.source = US
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.near.setblocking(False)
        self.sent: list[Segment] = []
        self.made.append(self)

    def fileno(self) -> int:
        return self.near.fileno()

    def send(self, segments: list[bytes]) -> None:
        while segments:
            segment = tcp.parse(segments.pop(0), US, SERVER)
            assert segment is not None
            self.sent.append(segment)
            for answer in type(self).server(segment):
                self.far.send(tcp.encode(answer))

    def receive(self) -> Iterator[bytes]:
        while True:
            try:
                yield self.near.recv(65535)
            except BlockingIOError:
                return

    def close(self) -> None:
        self.near.close()
        self.far.close()


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], list[PlayedPort]]:
    def played(server: Server) -> list[PlayedPort]:
        PlayedPort.server = staticmethod(server)
        PlayedPort.made = []
        monkeypatch.setattr(crafted, "RawPort", PlayedPort)
        return PlayedPort.made

    return played


def back(segment: Segment, seq: int, flags: int, payload: bytes = b"") -> Segment:
    length = len(segment.payload) + bool(segment.flags & SYN)
    return Segment(SERVER, US, seq, (segment.seq + length) % 2**32, flags, b"", payload)


def seeing(segment: Segment) -> list[Segment]:
    """A server that shows the client that the option told."""
    if segment.flags & SYN:
        return [back(segment, 100, SYN | ACK)]
    if not segment.payload:
        return []
    told = toa.decode(Layouts.TOA4.value, segment.options)
    assert told is not None
    return [
        back(segment, 101, ACK, b"HTTP/1.1 200 OK\r\n\r\n"),
        back(segment, 120, FIN | ACK, str(told.address).encode()),
    ]


CHECK = ToaCheck(target=SERVER, connect_timeout=2.0)


async def test_the_answer_comes_back_and_the_server_is_left_with_a_reset(real: Any, ports: Any) -> None:
    made = ports(seeing)

    assert await real.ask(CHECK) == PASSED
    (port,) = made
    assert port.sent[-1].flags == RST | ACK
    assert port.near.fileno() == -1


async def test_a_reset_for_the_syn_is_refused(real: Any, ports: Any) -> None:
    ports(lambda segment: [back(segment, 0, RST | ACK)] if segment.flags & SYN else [])

    assert await real.ask(CHECK) == Failed(Reason.REFUSED, "Connection refused")


async def test_a_reset_later_is_a_reset(real: Any, ports: Any) -> None:
    def server(segment: Segment) -> list[Segment]:
        if segment.flags & SYN:
            return [back(segment, 100, SYN | ACK)]
        return [back(segment, 101, RST)] if segment.payload else []

    ports(server)

    assert await real.ask(CHECK) == Failed(Reason.RESET, "Connection reset by peer")


async def test_silence_is_a_timeout_after_more_than_one_syn(real: Any, ports: Any) -> None:
    made = ports(lambda _segment: [])

    assert await real.ask(CHECK) == Failed(Reason.TIMEOUT, "no answer in time")
    assert [segment.flags for segment in made[0].sent] == [SYN] * len(made[0].sent)
    assert len(made[0].sent) > 1


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (PermissionError(1, "no"), Unknown(Reason.LOCAL_ERROR, crafted.NEEDS)),
        (OSError(101, "no"), Failed(Reason.UNREACHABLE, "Network is unreachable")),
        (OSError(99, "no"), Unknown(Reason.LOCAL_ADDRESS, "raw socket: Cannot assign requested address")),
    ],
)
async def test_what_the_host_refuses(
    real: Any, monkeypatch: pytest.MonkeyPatch, error: OSError, verdict: Any
) -> None:
    def refusing(*_: object) -> None:
        raise error

    monkeypatch.setattr(crafted, "RawPort", refusing)

    assert await real.ask(CHECK) == verdict
