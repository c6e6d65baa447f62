"""Webhooks to receivers that are well, slow, away, or do not want it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from until import until

from keepalive_py.config.control import Webhook
from keepalive_py.control import webhooks
from keepalive_py.control.journal import Journal
from keepalive_py.control.webhooks import Webhooks


class Receiver:
    """Takes posts, or does as it is told."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.status, self.url = 200, ""
        self.free = asyncio.Event()
        self.free.set()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        await self.free.wait()
        if self.status == 200:
            self.posts.append(json.loads(body))
            self.headers.append(request.headers)
        return web.Response(status=self.status)

    @property
    def texts(self) -> list[str]:
        return [event["text"] for post in self.posts for event in post["events"]]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    application = web.Application()
    application.router.add_post("/hook", found.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    found.url = f"http://{host}:{port}/hook"
    yield found
    found.free.set()
    await runner.cleanup()


class Rig:
    def __init__(self) -> None:
        self.journal = Journal()
        self.warnings: list[str] = []
        self.hooks = Webhooks(self.warnings.append)

    async def follow(self, **fields: Any) -> None:
        await self.hooks.follow([Webhook(**{"name": "chat", **fields})], self.journal)

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.hooks.state()["chat"]
        return found


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr(webhooks, "BACKOFF", (0.02, 0.1))
    rig = Rig()
    yield rig
    await rig.hooks.close(0.0)


async def test_an_event_arrives(rig: Rig, receiver: Any) -> None:
    rig.journal.say("before", "not told")
    await rig.follow(url=receiver.url, headers=("Authorization: Bearer x",))
    rig.journal.say("kind", "told", reason="refused", vs="web")
    await until(lambda: bool(receiver.posts))
    (post,) = receiver.posts
    assert post["node"]
    (event,) = post["events"]
    assert {**event, "at": 0} == {
        "id": rig.journal.id_of(2), "at": 0, "kind": "kind", "reason": "refused", "vs": "web", "text": "told",
    }  # fmt: skip
    assert receiver.headers[0]["Authorization"] == "Bearer x"
    await until(lambda: rig.state["sent"] == 1)


async def test_only_those_that_are_wanted(rig: Rig, receiver: Any) -> None:
    await rig.follow(url=receiver.url, events=("b",))
    for kind in "abab":
        rig.journal.say(kind, kind)
    await until(lambda: len(receiver.texts) == 2)
    assert receiver.texts == ["b", "b"]


async def test_many_at_once_are_few_requests(rig: Rig, receiver: Any) -> None:
    await rig.follow(url=receiver.url)
    for number in range(950):
        rig.journal.say("kind", str(number))
    await until(lambda: len(receiver.texts) == 950)
    assert receiver.texts == [str(number) for number in range(950)]
    assert len(receiver.posts) <= 12


async def test_a_receiver_that_is_down_comes_back(rig: Rig, receiver: Any) -> None:
    receiver.status = 503
    await rig.follow(url=receiver.url)
    rig.journal.say("kind", "told")
    await until(lambda: rig.state["failures"] >= 2)
    receiver.status = 200
    await until(lambda: receiver.texts == ["told"])
    await until(lambda: rig.state["sent"] == 1)
    assert len([line for line in rig.warnings if "cannot be delivered: HTTP status 503" in line]) == 1
    assert rig.warnings[-1] == "Webhook chat is delivered again"


async def test_nobody_there(rig: Rig) -> None:
    await rig.follow(url="http://127.0.0.1:1/", retry=0.1)
    rig.journal.say("kind", "lost")
    await until(lambda: rig.state["lost"] == 1)
    assert "1 event(s) are lost: not delivered in 0.1 s" in rig.warnings[-1]


async def test_a_receiver_that_does_not_want_it(rig: Rig, receiver: Any) -> None:
    receiver.status = 403
    await rig.follow(url=receiver.url)
    rig.journal.say("kind", "lost")
    await until(lambda: rig.state["lost"] == 1)
    assert rig.state["failures"] == 1
    receiver.status = 200
    rig.journal.say("kind", "told")
    await until(lambda: receiver.texts == ["told"])


async def test_a_slow_receiver_delays_nobody_and_costs_no_memory(rig: Rig, receiver: Any) -> None:
    receiver.free.clear()
    await rig.follow(url=receiver.url, queue=10)
    rig.journal.say("kind", "first")
    await until(lambda: rig.hooks.hooks["chat"].place == 1)
    for number in range(50):
        rig.journal.say("kind", str(number))
    assert rig.state["waiting"] == 50
    receiver.free.set()
    await until(lambda: receiver.texts[-1:] == ["49"])
    assert receiver.texts == ["first", *(str(number) for number in range(40, 50))]
    assert rig.state["lost"] == 40


async def test_a_receiver_that_hangs_is_given_up(rig: Rig, receiver: Any) -> None:
    receiver.free.clear()
    await rig.follow(url=receiver.url, timeout=0.1, retry=0.2)
    rig.journal.say("kind", "lost")
    await until(lambda: rig.state["lost"] == 1)


async def test_a_hook_that_is_as_before_keeps_its_place(rig: Rig, receiver: Any) -> None:
    receiver.free.clear()
    await rig.follow(url=receiver.url)
    rig.journal.say("kind", "told")
    hook = rig.hooks.hooks["chat"]
    await rig.follow(url=receiver.url)
    assert rig.hooks.hooks["chat"] is hook
    await rig.hooks.follow([], rig.journal)
    assert rig.hooks.state() == {}
