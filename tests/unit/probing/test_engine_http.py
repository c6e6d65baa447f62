"""HTTP_GET and SSL_GET from config to verdict, against servers that behave and that do not."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from keepalive_py.checkers.http import HttpGet, Url
from keepalive_py.health.verdict import Failed, Passed, Reason
from keepalive_py.net import Endpoint, parse_address

BODY = bytes(range(256)) * 8192


class Server:
    """`answer` in pieces with a pause between; then closes, or stays open (`keeps`)."""

    def __init__(self, *pieces: bytes, pause: float = 0.0, keeps: bool = False) -> None:
        self.pieces, self.pause, self.keeps = pieces, pause, keeps
        self.request = b""

    async def talk(self, reader: Any, writer: Any) -> None:
        try:
            self.request = await reader.readuntil(b"\r\n\r\n")
            for piece in self.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(self.pause)
            if self.keeps:
                await reader.read()
        except OSError:
            pass
        writer.close()

    async def __aenter__(self) -> Server:
        self.server = await asyncio.start_server(self.talk, "127.0.0.1", 0)
        self.target = Endpoint(parse_address("127.0.0.1"), self.server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()

    def check(self, timeout: float = 5.0, **url: Any) -> HttpGet:
        urls = (Url(path="/x", **url),)
        return HttpGet(target=self.target, urls=urls, connect_timeout=timeout, delay_loop=0.1)


async def test_the_request_on_the_wire_and_a_good_answer(real: Any) -> None:
    async with Server(b"HTTP/1.0 200 OK\r\n\r\nfine") as server:
        verdict = await real.ask(server.check(regex="^fine$"))

    assert verdict == Passed("Regex match", part="/x")
    port = server.target.port
    assert server.request == (
        f"GET /x HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    )


async def test_a_large_body_is_digested_whole(real: Any) -> None:
    async with Server(b"HTTP/1.0 200 OK\r\n\r\n", BODY) as server:
        verdict = await real.ask(server.check(digest=hashlib.md5(BODY).digest()))

    assert verdict == Passed("MD5 digest", part="/x")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
)
async def test_a_server_that_keeps_the_connection_open_passes(real: Any, answer: bytes) -> None:
    async with Server(answer, keeps=True) as server:
        assert await real.ask(server.check()) == Passed("HTTP status code", part="/x")


async def test_a_body_without_end_is_a_timeout(real: Any) -> None:
    async with Server(b"HTTP/1.0 200 OK\r\n\r\nfine", keeps=True) as server:
        assert await real.ask(server.check(timeout=0.1)) == Failed(Reason.TIMEOUT, "no answer in time")


async def test_a_server_that_drips_does_not_hold_a_check_forever(real: Any) -> None:
    """Every byte comes well within the timeout of a read; the whole run has a bound."""
    async with Server(b"HTTP/1.0 200 OK\r\n\r\n", *[b"x"] * 1000, pause=0.02) as server:
        assert await real.ask(server.check(timeout=0.1)) == Failed(Reason.TIMEOUT, "no answer in time")


async def test_a_slow_answer_within_the_bound_passes(real: Any) -> None:
    async with Server(b"HTTP/1.0 200", b" OK\r\n", b"\r\n", b"fi", b"ne", pause=0.01) as server:
        assert await real.ask(server.check(regex="fine")) == Passed("Regex match", part="/x")


async def test_a_server_that_closes_at_once_gave_no_data(real: Any) -> None:
    async with Server() as server:
        verdict = await real.ask(server.check())

    assert isinstance(verdict, Failed)
    assert verdict.reason is Reason.NO_DATA
