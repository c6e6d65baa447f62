"""SMTP_CHECK, DNS_CHECK, UDP_CHECK and PING_CHECK from config to verdict, over the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from keepalive_py.checkers.dns import DnsCheck
from keepalive_py.checkers.ping import PingCheck
from keepalive_py.checkers.smtp import SmtpCheck
from keepalive_py.checkers.udp import UdpCheck
from keepalive_py.health.verdict import PASSED, Failed, Reason
from keepalive_py.net import Endpoint, parse_address
from keepalive_py.wire.dns import Header, Rcode, decode_query, encode_header


def at(port: int, address: str = "127.0.0.1") -> Endpoint:
    return Endpoint(parse_address(address), port)


# SMTP.


@asynccontextmanager
async def mail_server(*lines: bytes, stays: bool = True) -> AsyncIterator[tuple[Endpoint, list[bytes]]]:
    """Says the first line, then one for each it hears; notes what it hears."""
    heard: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            for line in lines:
                for byte in range(len(line)):  # as slowly as TCP may deliver it
                    writer.write(line[byte : byte + 1])
                    await writer.drain()
                heard.append(await reader.readline())
            while stays and await reader.read(100):
                continue
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    yield at(server.sockets[0].getsockname()[1]), heard
    server.close()


async def test_a_mail_server_that_says_much_passes(real: Any) -> None:
    script = (b"220-mail.example\r\n220 ready\r\n", b"250-hello\r\n250 8BITMIME\r\n", b"221 bye\r\n")
    async with mail_server(*script) as (target, heard):
        assert await real.ask(SmtpCheck(target=target, helo_name="lb.example")) == PASSED
    assert heard[:2] == [b"HELO lb.example\r\n", b"QUIT\r\n"]


async def test_a_mail_server_that_is_busy_fails(real: Any) -> None:
    async with mail_server(b"421 too busy\r\n") as (target, _):
        verdict = await real.ask(SmtpCheck(target=target))
    assert verdict == Failed(Reason.BAD_ANSWER, f"Bad greeting banner from server [127.0.0.1]:{target.port}")


async def test_a_mail_server_that_hangs_up_fails(real: Any) -> None:
    async with mail_server(b"220 x\r\n", stays=False) as (target, _):
        verdict = await real.ask(SmtpCheck(target=target))
    assert isinstance(verdict, Failed)
    assert verdict.detail == f"Read failure from server [127.0.0.1]:{target.port}"


async def test_a_mail_server_that_says_nothing_fails_in_time(real: Any) -> None:
    async with mail_server(b"") as (target, _):
        verdict = await real.ask(SmtpCheck(target=target, connect_timeout=0.1))
    assert verdict == Failed(Reason.TIMEOUT, f"Read timeout from server [127.0.0.1]:{target.port}")


async def test_no_mail_server_fails(real: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        target = at(taken.getsockname()[1])
        verdict = await real.ask(SmtpCheck(target=target))
    assert verdict == Failed(Reason.REFUSED, f"Could not connect to server [127.0.0.1]:{target.port}")


# UDP and DNS.


class Answering(asyncio.DatagramProtocol):
    def __init__(self, answers: Callable[[bytes], list[bytes]]) -> None:
        self.answers = answers
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        for answer in self.answers(data):
            self.transport.sendto(answer, addr)


@asynccontextmanager
async def udp_server(
    answers: Callable[[bytes], list[bytes]], address: str = "127.0.0.1"
) -> AsyncIterator[Endpoint]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Answering(answers), local_addr=(address, 0))
    yield at(transport.get_extra_info("sockname")[1], address)
    transport.close()


def closed_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def answering(rcode: int, *, truncated: bool = False) -> Callable[[bytes], list[bytes]]:
    def answers(data: bytes) -> list[bytes]:
        query = decode_query(data)
        noise = [b"short", encode_header(Header(query.identifier ^ 1, is_response=True, rcode=0))]
        return [*noise, encode_header(Header(query.identifier, True, rcode, truncated)) + data[12:]]

    return answers


@pytest.mark.parametrize("truncated", [False, True])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_name_server_that_answers_passes(real: Any, address: str, truncated: bool) -> None:
    async with udp_server(answering(Rcode.NOERROR, truncated=truncated), address) as target:
        assert await real.ask(DnsCheck(target=target, name="www.example.org")) == PASSED


async def test_a_name_server_that_knows_no_such_name_fails(real: Any) -> None:
    async with udp_server(answering(Rcode.NXDOMAIN)) as target:
        verdict = await real.ask(DnsCheck(target=target))
    assert verdict == Failed(Reason.BAD_ANSWER, "read error occurred. (rcode = 3)")


async def test_a_name_server_that_answers_others_only_fails_in_time(real: Any) -> None:
    async with udp_server(lambda _data: [b"short", bytes(12)]) as target:
        verdict = await real.ask(DnsCheck(target=target, connect_timeout=0.1))
    assert verdict == Failed(Reason.TIMEOUT, "read timeout from socket")


async def test_no_name_server_fails(real: Any) -> None:
    verdict = await real.ask(DnsCheck(target=at(closed_udp_port())))
    assert verdict == Failed(Reason.REFUSED, "failed to read socket; errno 111 (Connection refused)")


async def test_a_silent_udp_service_passes(real: Any) -> None:
    async with udp_server(lambda _data: []) as target:
        assert await real.ask(UdpCheck(target=target, connect_timeout=0.1)) == PASSED


async def test_a_silent_udp_service_that_should_reply_fails(real: Any) -> None:
    async with udp_server(lambda _data: []) as target:
        verdict = await real.ask(UdpCheck(target=target, connect_timeout=0.1, require_reply=(b"", b"")))
    assert isinstance(verdict, Failed)
    assert verdict.reason is Reason.TIMEOUT


async def test_no_udp_service_fails(real: Any) -> None:
    verdict = await real.ask(UdpCheck(target=at(closed_udp_port())))
    assert isinstance(verdict, Failed)
    assert verdict.reason is Reason.REFUSED


@pytest.mark.parametrize(
    ("reply", "passes"), [(b"\x2aok", True), (b"\x3aok", False), (b"\x2a" + bytes(400), False)]
)
async def test_the_reply_of_a_udp_service_must_fit(real: Any, reply: bytes, passes: bool) -> None:
    async with udp_server(lambda data: [reply] if data == b"are you well" else []) as target:
        wanted = (b"\x20", b"\xf0")
        check = UdpCheck(target=target, connect_timeout=5.0, payload=b"are you well", require_reply=wanted)
        assert (await real.ask(check) == PASSED) is passes


# ICMP.


@pytest.mark.usefixtures("icmp")
@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1"])
async def test_an_address_that_replies_passes(real: Any, address: str) -> None:
    assert await real.ask(PingCheck(target=at(0, address))) == PASSED
