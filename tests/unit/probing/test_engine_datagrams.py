"""UDP and ICMP echo on the loopback."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keepalive_py.checkers.wishes import OpenDatagram, Ping, Probe, Receive, Send, Source
from keepalive_py.dataplane.namespace import run_in_new
from keepalive_py.health.verdict import Failed, Passed, Reason
from keepalive_py.net import Endpoint, Family, parse_address
from keepalive_py.probing import pings
from keepalive_py.wire.icmp import Echo as IcmpEcho
from keepalive_py.wire.icmp import encode_echo

SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # linux/sockios.h, linux/if.h


@pytest.fixture
async def echo() -> Any:
    """Answers in capitals, empty ones too; says nothing to `silence`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)

        def answer() -> None:
            found, address = sock.recvfrom(1000)
            if found != b"silence":
                sock.sendto(found.upper(), address)

        asyncio.get_running_loop().add_reader(sock, answer)
        yield Endpoint(parse_address("127.0.0.1"), sock.getsockname()[1])
        asyncio.get_running_loop().remove_reader(sock)


def exchange(target: Endpoint, *datagrams: bytes) -> Any:
    def probe() -> Probe:
        yield OpenDatagram(target)
        for datagram in datagrams:
            yield Send(datagram, 0.2)
        got = []
        for _ in datagrams:
            got.append((yield Receive(100, 0.2)))
        return Passed(b"|".join(got).decode())

    return probe


async def test_datagrams_come_one_by_one(real: Any, echo: Endpoint) -> None:
    assert await real.run(exchange(echo, b"one", b"", b"two")) == Passed("ONE||TWO")


async def test_silence_is_a_timeout(real: Any, echo: Endpoint) -> None:
    assert await real.run(exchange(echo, b"silence")) == Failed(Reason.TIMEOUT, "no answer in time")


async def test_an_icmp_error_is_a_refusal(real: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]

    verdict = await real.run(exchange(Endpoint(parse_address("127.0.0.1"), port), b"x"))

    assert verdict == Failed(Reason.REFUSED, "Connection refused")


# ICMP echo.


def ping(address: str, source: Source | None = None, timeout: float = 0.5) -> Any:
    def probe() -> Probe:
        seconds = yield Ping(parse_address(address), timeout, source=source or Source())
        assert 0.0 <= seconds < timeout
        return Passed(address)

    return probe


def for_everybody(opened: Callable[[], socket.socket]) -> socket.socket:
    """What `opened` opens, in a network of its own in which every group may ping."""

    def work() -> socket.socket:
        Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 2147483647")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        return opened()

    return run_in_new(work)


@pytest.fixture(params=["raw", "unprivileged"])
def socket_kind(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of ICMP socket; without root those that the host has."""
    is_root = os.geteuid() == 0
    opened = pings.open_socket

    def only_raw(family: int, kind: int, *more: Any) -> Any:
        if kind == socket.SOCK_DGRAM:
            raise pings.ProbeUnknown(Reason.LOCAL_ERROR, "not in this test")
        return opened(family, kind, *more)

    def only_unprivileged(family: int, kind: int, *more: Any) -> Any:
        assert kind == socket.SOCK_DGRAM
        return for_everybody(lambda: opened(family, kind, *more)) if is_root else opened(family, kind, *more)

    if request.param == "raw":
        if not is_root:
            pytest.skip("needs CAP_NET_RAW")
        monkeypatch.setattr(pings, "open_socket", only_raw)
    else:
        request.getfixturevalue("icmp")
        monkeypatch.setattr(pings, "open_socket", only_unprivileged)
    return str(request.param)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.3.4", "::1"])
async def test_a_reply_gives_the_round_trip(real: Any, socket_kind: str, address: str) -> None:
    assert await real.run(ping(address)) == Passed(address)


async def test_hundreds_share_one_socket(real: Any, socket_kind: str) -> None:
    before = len(real.engine.descriptors)
    names = [f"127.0.{n // 250}.{n % 250 + 1}" for n in range(500)]

    verdicts = await asyncio.gather(*(real.run(ping(name, timeout=5.0)) for name in names))

    assert verdicts == [Passed(name) for name in names]
    assert len(real.engine.descriptors) == before + 1
    real.engine.pings.close()


@pytest.mark.usefixtures("icmp")
async def test_what_cannot_be_sent_fails_at_once(real: Any) -> None:
    """A broadcast address: sendto(2) says EACCES, and no packet leaves."""
    verdict = await real.run(ping("255.255.255.255", timeout=5.0))

    assert isinstance(verdict, Failed)
    assert verdict.reason is Reason.UNREACHABLE


@pytest.mark.usefixtures("icmp")
async def test_an_icmp_error_finds_its_request(real: Any) -> None:
    outcomes: list[Any] = []
    wish = Ping(parse_address("127.0.0.1"), 1.0)
    echoing = real.engine.pings.send(wish, outcomes.append)
    via = echoing.via
    quoted = encode_echo(Family.INET, IcmpEcho(via._identifier, echoing.sequence, b""))
    origin_icmp = pings.EXTENDED_ERROR.pack(errno.EHOSTUNREACH, 2, 3, 1, 0, 0)

    via._failed(quoted, origin_icmp)

    (failure,) = outcomes
    assert (failure.reason, failure.detail) == (Reason.UNREACHABLE, "No route to host")
    assert echoing.sequence not in via.waiting


@pytest.mark.usefixtures("icmp")
async def test_a_source_address_has_a_socket_of_its_own(real: Any) -> None:
    source = Source(parse_address("127.0.0.9"))

    assert await real.run(ping("127.0.0.1", source)) == Passed("127.0.0.1")
    assert await real.run(ping("127.0.0.1")) == Passed("127.0.0.1")


@pytest.mark.usefixtures("icmp")
async def test_a_reply_from_elsewhere_is_not_taken(real: Any) -> None:
    """One sequence number, two addresses: only the asked one may answer."""
    outcomes: list[Any] = []
    echoing = real.engine.pings.send(Ping(parse_address("192.0.2.1"), 1.0, source=Source()), outcomes.append)
    via = echoing.via
    reply = bytes([0, 0, 0, 0]) + via._identifier.to_bytes(2, "big") + echoing.sequence.to_bytes(2, "big")
    if via._raw:
        reply = bytes([0x45]) + bytes(19) + reply

    via._replied(reply, "198.51.100.7")
    assert outcomes == []
    via._replied(reply, "192.0.2.1")
    assert len(outcomes) == 1


@pytest.mark.usefixtures("icmp")
async def test_sequence_numbers_in_use_are_passed_over(real: Any) -> None:
    via = real.engine.pings
    wish = Ping(parse_address("127.0.0.1"), 1.0)
    first = via.send(wish, lambda _: None)
    first.via._sequence = first.sequence - 1

    second = via.send(wish, lambda _: None)

    assert second.sequence == first.sequence + 1
    assert second.via is first.via
    assert second.via._family is Family.INET
