"""What a real server answers by HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_address
from typing import Any

import pytest
from strategies import loaded

from keepalive_py.daemon.agent import Agent
from keepalive_py.daemon.modules import Modules, block_of
from keepalive_py.daemon.state_directory import StateDirectory
from keepalive_py.net import Endpoint
from keepalive_py.toa.flavours import wanted
from keepalive_py.toa.kernel import LoadedModule
from keepalive_py.toa.state import ModuleState
from keepalive_py.toa.statistics import Counter
from keepalive_py.toa.verdict import Listener, Result, Verdict


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Asking:
    def __init__(self, modules: Modules, place: Endpoint) -> None:
        self.modules = modules
        self.place = place

    def set(self, verdict: Verdict | None) -> None:
        """A module that is loaded and has this verdict; None: not verified."""
        block = block_of(loaded("toa {\nmodule toa {\n}\n}\n").config)
        assert block is not None
        results = None if verdict is None else (Result("toa4", Listener.V4, verdict, "why"),)
        counters = {"getname_toa_ok": Counter("getname_toa_ok", (1, 2))}
        self.modules.block = block
        self.modules.states = {
            "toa": ModuleState(
                wanted(block.modules[0]), LoadedModule("toa", version="2"), results=results, counters=counters
            )
        }

    async def get(self, path: str) -> tuple[int, str]:
        reader, writer = await asyncio.open_connection(str(self.place.address), self.place.port)
        writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        head, _blank, body = answer.partition("\r\n\r\n")
        return int(head.split()[1]), body


@pytest.fixture
async def asking() -> AsyncIterator[Asking]:
    modules = Modules(StateDirectory(""), lambda: None)
    agent = Agent(modules)
    place = Endpoint(ip_address("127.0.0.1"), free_port())
    await agent.listen([place])
    yield Asking(modules, place)
    await agent.close()


@pytest.mark.parametrize(
    ("verdict", "status", "text"),
    [
        (Verdict.WORKS, 200, "ok\ntoa: works\n"),
        (None, 200, "unknown\ntoa: loaded, not verified\n"),
        (Verdict.UNTRIED, 200, "unknown\ntoa: could not be tried\n"),
        (Verdict.BROKEN, 503, "failed\ntoa: loaded but does not work\n"),
    ],
)
async def test_health(asking: Asking, verdict: Verdict | None, status: int, text: str) -> None:
    asking.set(verdict)

    assert await asking.get("/health") == (status, text)


async def test_the_peer_is_who_asks(asking: Asking) -> None:
    status, body = await asking.get("/peer")
    seen: dict[str, Any] = json.loads(body)

    assert status == 200
    assert seen["accept"]["address"] == "127.0.0.1"
    assert seen["accept"] == seen["getpeername"]


async def test_metrics(asking: Asking) -> None:
    asking.set(Verdict.BROKEN)
    _, body = await asking.get("/metrics")

    assert 'keepalive_module_loaded{module="toa",version="2"} 1\n' in body
    assert 'keepalive_module_works{module="toa"} 0\n' in body
    assert 'keepalive_module_layout_works{module="toa",layout="toa4",listener="IPv4"} 0\n' in body
    assert 'keepalive_module_counter_total{module="toa",name="getname_toa_ok",cpu="1"} 2\n' in body


async def test_what_is_not_known_is_no_number(asking: Asking) -> None:
    asking.set(None)

    assert "module_works{" not in (await asking.get("/metrics"))[1]


async def test_the_modules_as_json(asking: Asking) -> None:
    asking.set(Verdict.WORKS)
    (row,) = json.loads((await asking.get("/modules"))[1])

    assert (row["name"], row["standing"], row["counters"]) == ("toa", "yes", {"getname_toa_ok": 3})


async def test_it_listens_where_it_is_told_and_nowhere_else() -> None:
    agent = Agent(Modules(StateDirectory(""), lambda: None))
    one, other = (Endpoint(ip_address("127.0.0.1"), free_port()) for _ in range(2))
    try:
        await agent.listen([one])
        await agent.listen([other])
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", one.port)
        await agent.listen([other, Endpoint(ip_address("192.0.2.1"), 1)])  # not ours: said, no more
        _, writer = await asyncio.open_connection("127.0.0.1", other.port)
        writer.close()
    finally:
        await agent.close()
