"""The API on TCP: TLS, tokens, roles; and a mistake locks nobody out."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from control_rig import Answer, FakeHost, parsed, rest_of

from keepalive_py.config.control import ControlApi
from keepalive_py.control import gate
from keepalive_py.control.remote import Remote
from keepalive_py.net import Endpoint, parse_address

READER, OPERATOR = "the-token-of-a-reader", "the-token-of-an-operator"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@dataclass
class Away:
    """A client on TCP."""

    remote: Remote
    block: ControlApi
    warnings: list[str]
    trust: ssl.SSLContext | None = None

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.block.listen.port, ssl=self.trust)

    async def ask(self, method: str, resource: str, token: str = "", body: bytes = b"") -> Answer:
        reader, writer = await self.connect()
        header = f"Authorization: Bearer {token}\r\n" if token else ""
        head = f"{method} {resource} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = parsed(await rest_of(reader))
        writer.close()
        return answer


@pytest.fixture
async def away(tmp_path: Path) -> AsyncIterator[Away]:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"grafana read-only {READER}\nalice operator {OPERATOR}\n")
    tokens.chmod(0o600)
    warnings: list[str] = []
    block = ControlApi(listen=Endpoint(parse_address("127.0.0.1"), free_port()), tokens=str(tokens))
    remote = Remote(FakeHost(), warnings.append, lambda where, error: warnings.append(f"{where}: {error}"))
    await remote.follow(block)
    yield Away(remote, block, warnings)
    await remote.close()


async def test_roles(away: Away) -> None:
    order = json.dumps({"action": "drain", "server": "10.0.0.1"}).encode()
    assert (await away.ask("GET", "/v1/live")).status == 200
    for token, status in (("", 401), ("wrong", 401), (READER, 200), (OPERATOR, 200)):
        assert (await away.ask("GET", "/v1/status", token)).status == status, token
    answer = await away.ask("POST", "/v1/overrides", READER, order)
    assert (answer.status, answer.error["message"]) == (
        403,
        "grafana may not do this: it needs role operator",
    )
    answer = await away.ask("POST", "/v1/overrides", OPERATOR, order)
    assert (answer.status, answer.json["by"]) == (200, "alice")


async def test_strangers_learn_nothing_of_parameters(away: Away) -> None:
    """Who is not known is told so before anything of the request is looked at."""
    assert (await away.ask("GET", "/v1/status?nonsense=1")).error["code"] == "unauthorized"
    assert (await away.ask("POST", "/v1/overrides", "", b"{")).error["code"] == "unauthorized"


async def test_the_header_that_says_how(away: Away) -> None:
    assert (await away.ask("GET", "/v1/status")).header["www-authenticate"] == "Bearer"


async def test_tokens_are_read_again_at_a_reload(away: Away) -> None:
    Path(away.block.tokens).write_text(f"alice operator {OPERATOR}\n")  # noqa: ASYNC240
    await away.remote.follow(away.block)
    assert (await away.ask("GET", "/v1/status", READER)).status == 401
    assert (await away.ask("GET", "/v1/status", OPERATOR)).status == 200


async def test_a_mistake_at_a_reload_locks_nobody_out(away: Away) -> None:
    Path(away.block.tokens).chmod(0o644)  # noqa: ASYNC240
    await away.remote.follow(away.block)
    assert "others may use it" in away.warnings[-1]
    assert "the one before goes on" in away.warnings[-1]
    assert (await away.ask("GET", "/v1/status", READER)).status == 200


async def test_it_goes_with_its_block(away: Away) -> None:
    await away.remote.follow(None)
    with pytest.raises(ConnectionRefusedError):
        await away.connect()


async def test_one_address_does_not_get_all_connections(away: Away) -> None:
    assert away.remote.server is not None
    away.remote.server.gate.most_each = 2
    held = [await away.connect() for _ in range(2)]
    await asyncio.sleep(0)
    reader, writer = await away.connect()
    assert await rest_of(reader) == b""
    for _, each in [*held, (reader, writer)]:
        each.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl(1)")
async def test_tls(away: Away, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x"
    options = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    await asyncio.to_thread(subprocess.run, [*make.split(), *options], check=True, capture_output=True)
    away.block = ControlApi(
        listen=away.block.listen, tokens=away.block.tokens, certificate=certificate, key=key
    )
    await away.remote.follow(away.block)
    away.trust = ssl.create_default_context(cafile=certificate)
    assert (await away.ask("GET", "/v1/status", READER)).status == 200
    monkeypatch.setattr(gate, "HEAD", 0.2)  # who speaks no TLS, or nothing, is cut off
    for words in (b"GET / HTTP/1.1\r\n\r\n", b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", away.block.listen.port)
        writer.write(words)
        await rest_of(reader)
        writer.close()
    assert (await away.ask("GET", "/v1/status", READER)).status == 200
    assert away.remote.server is not None
    for _ in range(1000):
        if not away.remote.server.gate.inside:
            break
        await asyncio.sleep(0.01)
    assert not away.remote.server.gate.inside
