"""Connections over real sockets on the loopback."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from keepalive_py.checkers.tcp import TcpCheck
from keepalive_py.checkers.wishes import Connect, Probe, Receive, Send, Source
from keepalive_py.health.verdict import PASSED, Failed, Passed, Reason, Unknown, Verdict
from keepalive_py.net import Endpoint, parse_address
from keepalive_py.probing import conntrack
from keepalive_py.probing.trouble import PEER, ProbeUnknown, peer_or_own

LOOPBACK = parse_address("127.0.0.1")


def at(port: int, address: str = "127.0.0.1") -> Endpoint:
    return Endpoint(parse_address(address), port)


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def listening(address: str = "127.0.0.1", backlog: int = 64) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, 0))
        sock.listen(backlog)
        yield sock


async def test_an_open_port_passes(real: Any) -> None:
    with listening() as sock:
        verdict = await real.ask(TcpCheck(target=at(sock.getsockname()[1])))

    assert verdict == PASSED


async def test_an_open_port_over_ipv6_passes(real: Any) -> None:
    with listening("::1") as sock:
        verdict = await real.ask(TcpCheck(target=at(sock.getsockname()[1], "::1")))

    assert verdict == PASSED


async def test_a_closed_port_is_refused(real: Any) -> None:
    verdict = await real.ask(TcpCheck(target=at(closed_port())))

    assert verdict == Failed(Reason.REFUSED, "Connection refused")


async def asked_in_vain(real: Any) -> Verdict:
    """Of a port whose backlog is full: nobody answers the SYN."""
    with listening(backlog=0) as sock, ExitStack() as fillers:
        port = sock.getsockname()[1]
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        await asyncio.sleep(0.05)
        verdict: Verdict = await real.ask(TcpCheck(target=at(port), connect_timeout=0.2))
        return verdict


async def test_a_full_backlog_is_a_timeout(real: Any) -> None:
    verdict = await asked_in_vain(real)

    assert verdict == Failed(Reason.TIMEOUT, "no connection in time")


async def test_where_our_own_kernel_drops_the_first_packet_nothing_is_known(
    real: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conntrack, "is_full", lambda: True)
    verdict = await asked_in_vain(real)

    assert verdict == Unknown(Reason.LOCAL_ERROR, conntrack.FULL)


async def test_a_full_conntrack_makes_nothing_of_a_refusal(
    real: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conntrack, "is_full", lambda: True)
    assert await real.ask(TcpCheck(target=at(closed_port()))) == Failed(Reason.REFUSED, "Connection refused")


@pytest.mark.parametrize(
    ("entries", "most", "full"),
    [("9", "10", False), ("10", "10", True), ("11", "10", True), ("11", "0", False), ("", "10", False)],
)
def test_when_conntrack_is_full(entries: str, most: str, full: bool, tmp_path: Path) -> None:
    assert not conntrack.is_full(tmp_path)
    (tmp_path / "nf_conntrack_count").write_text(f"{entries}\n")
    (tmp_path / "nf_conntrack_max").write_text(f"{most}\n")
    assert conntrack.is_full(tmp_path) is full


async def test_an_unreachable_network_fails(real: Any) -> None:
    """Multicast is no place for TCP: connect(2) says ENETUNREACH without a packet."""
    verdict = await real.ask(TcpCheck(target=at(80, "224.0.0.1")))

    assert isinstance(verdict, Failed)
    assert verdict.reason is Reason.UNREACHABLE


async def test_the_source_address_is_the_one_bound_to(real: Any) -> None:
    with listening("0.0.0.0") as sock:
        port = sock.getsockname()[1]
        verdict = await real.ask(TcpCheck(target=at(port), bindto=parse_address("127.0.0.77")))
        peer = sock.accept()[1]

    assert verdict == PASSED
    assert peer[0] == "127.0.0.77"


async def test_the_source_port_is_the_one_bound_to_and_can_be_used_again(real: Any) -> None:
    with listening() as sock:
        wanted = closed_port()
        check = TcpCheck(target=at(sock.getsockname()[1]), bindto=LOOPBACK, bind_port=wanted)
        verdicts = []
        for _ in range(3):
            verdicts.append(await real.ask(check))
            connection, peer = sock.accept()
            connection.close()
            assert peer[1] == wanted

    assert verdicts[0] == PASSED


async def test_an_address_that_is_not_ours_is_our_own_trouble(real: Any, troubles: Any) -> None:
    check = TcpCheck(target=at(80), bindto=parse_address("192.0.2.1"))

    verdict = await real.ask(check)

    assert verdict == Unknown(
        Reason.LOCAL_ADDRESS, "source address 192.0.2.1: Cannot assign requested address"
    )
    assert troubles.told == [(Reason.LOCAL_ADDRESS, verdict.detail)]


async def test_an_interface_that_is_not_there_is_our_own_trouble(real: Any) -> None:
    verdict = await real.ask(TcpCheck(target=at(80), bind_if="nosuch0"))

    assert isinstance(verdict, Unknown)
    assert "interface nosuch0" in verdict.detail


async def test_a_link_local_target_goes_through_its_interface(real: Any) -> None:
    check = TcpCheck(target=at(80, "fe80::1"), bind_if="lo", connect_timeout=0.2)

    verdict = await real.ask(check)

    assert isinstance(verdict, Failed)  # nobody there; without a scope connect(2) says EINVAL
    assert verdict.detail != os.strerror(errno.EINVAL)


@pytest.mark.skipif(os.geteuid() != 0, reason="SO_MARK needs CAP_NET_ADMIN")
@pytest.mark.parametrize("mark", [1, 0xFFFF_FFFF])
async def test_a_mark_is_set(real: Any, mark: int) -> None:
    with listening() as sock:
        verdict = await real.ask(TcpCheck(target=at(sock.getsockname()[1]), fwmark=mark))

    assert verdict == PASSED


async def test_no_descriptors_is_our_own_trouble_and_passes_away(real: Any, troubles: Any) -> None:
    with listening() as sock:
        check = TcpCheck(target=at(sock.getsockname()[1]))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            starved = await real.ask(check)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        later = await real.ask(check)

    assert starved == Unknown(Reason.NO_DESCRIPTORS, "socket: Too many open files")
    assert later == PASSED
    assert troubles.told == [(Reason.NO_DESCRIPTORS, "socket: Too many open files")]


@pytest.mark.parametrize("number", sorted(PEER))
def test_errors_of_the_peer_and_of_the_path_are_failures(number: int) -> None:
    assert peer_or_own(number, "connect").reason is PEER[number]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL, errno.EPERM]
)
def test_errors_of_ours_are_not(number: int) -> None:
    assert isinstance(peer_or_own(number, "connect"), ProbeUnknown)


# Data.


def dialogue(target: Endpoint, *wishes: Any) -> Any:
    def probe() -> Probe:
        yield Connect(target, 2.0)
        got = b""
        for wish in wishes:
            answer = yield wish
            got += answer or b""
        return Passed(got.decode())

    return probe


class Server:
    """A server whose connections run `talk`."""

    def __init__(self, talk: Any) -> None:
        self.talk = talk

    async def __aenter__(self) -> Endpoint:
        self.server = await asyncio.start_server(self.talk, "127.0.0.1", 0)
        return at(self.server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        self.server.close()


async def test_a_banner_that_comes_with_the_connection_is_not_missed(real: Any) -> None:
    async def talk(reader: Any, writer: Any) -> None:
        writer.write(b"hello")
        await reader.read()
        writer.close()

    async with Server(talk) as target:
        verdict = await real.run(dialogue(target, Receive(100, 2.0)))

    assert verdict == Passed("hello")


async def test_bytes_left_over_by_a_small_read_come_with_the_next(real: Any) -> None:
    async def talk(reader: Any, writer: Any) -> None:
        writer.write(b"abcdef")
        await writer.drain()
        writer.close()

    async with Server(talk) as target:
        verdict = await real.run(dialogue(target, *[Receive(2, 2.0)] * 4))

    assert verdict == Passed("abcdef")


async def test_a_peer_that_closes_its_half_still_hears_us(real: Any) -> None:
    heard = asyncio.Event()

    async def talk(reader: Any, writer: Any) -> None:
        writer.write_eof()
        if await reader.readexactly(4) == b"ping":
            heard.set()
        writer.close()

    async with Server(talk) as target:
        verdict = await real.run(dialogue(target, Receive(9, 2.0), Send(b"ping", 2.0)))
        await asyncio.wait_for(heard.wait(), 5.0)

    assert verdict == Passed("")


async def test_more_than_the_socket_takes_is_sent_in_the_end(real: Any) -> None:
    big = bytes(range(256)) * 40_000

    async def talk(reader: Any, writer: Any) -> None:
        await asyncio.sleep(0.05)
        if await reader.readexactly(len(big)) == big:
            writer.write(b"all")
        writer.close()

    async with Server(talk) as target:
        verdict = await real.run(dialogue(target, Send(big, 5.0), Receive(9, 5.0)))

    assert verdict == Passed("all")


async def test_a_reset_is_a_failure(real: Any) -> None:
    async def talk(reader: Any, writer: Any) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await reader.readexactly(4)
        writer.transport.abort()

    async with Server(talk) as target:
        verdict = await real.run(dialogue(target, Send(b"ping", 2.0), Receive(9, 2.0)))

    assert verdict == Failed(Reason.RESET, "Connection reset by peer")


async def test_silence_is_a_timeout(real: Any) -> None:
    async def talk(reader: Any, writer: Any) -> None:
        await reader.read()
        writer.close()

    async with Server(talk) as target:
        verdict = await real.run(dialogue(target, Receive(9, 0.1)))

    assert verdict == Failed(Reason.TIMEOUT, "no answer in time")


async def test_remaining_time_is_that_of_the_wish_before(real: Any) -> None:
    async def talk(reader: Any, writer: Any) -> None:
        await reader.read()
        writer.close()

    async with Server(talk) as target:

        def probe() -> Probe:
            yield Connect(target, 0.2)
            yield Receive(9)
            return PASSED

        verdict = await real.run(probe)

    assert verdict == Failed(Reason.TIMEOUT, "no answer in time")


async def test_a_probe_has_one_socket(real: Any) -> None:
    with listening() as sock:
        target = at(sock.getsockname()[1])

        def probe() -> Probe:
            yield Connect(target, 1.0)
            yield Connect(target, 1.0, Source())
            return PASSED

        verdict = await real.run(probe)

    assert verdict == Unknown(Reason.BUG, "a probe has one socket")


async def test_a_thousand_at_once(real: Any) -> None:
    with listening(backlog=2048) as sock:
        target = at(sock.getsockname()[1])
        verdicts = await asyncio.gather(
            *(
                real.ask(TcpCheck(target=target, bindto=parse_address(f"127.0.1.{n % 250 + 1}")))
                for n in range(1000)
            )
        )

    assert set(verdicts) == {PASSED}
