"""The stream of events: from where, how fast, for how many."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from control_rig import Rig, parsed

from keepalive_py.cli.commands.events import messages
from keepalive_py.control import application
from keepalive_py.control.resources import events


class Follower:
    """A client of the stream that reads when it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def chunk(self) -> str:
        size = int(await self.line(), 16)
        data = await asyncio.wait_for(self.reader.readexactly(size + 2), 30)
        return data[:-2].decode()

    async def line(self) -> bytes:
        return await asyncio.wait_for(self.reader.readline(), 30)

    async def events(self, count: int) -> list[tuple[str, dict[str, Any]]]:
        found: list[tuple[str, dict[str, Any]]] = []
        while len(found) < count:
            found += messages((await self.chunk()).splitlines(keepends=True))
        return found


async def follow(rig: Rig, query: str = "", last: str = "") -> Follower:
    reader, writer = await rig.connect()
    header = f"Last-Event-ID: {last}\r\n" if last else ""
    writer.write(f"GET /v1/events{query} HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    assert parsed(head).header["content-type"] == "text/event-stream"
    follower = Follower(reader, writer)
    assert await follower.chunk() == "retry: 2000\n\n"
    return follower


async def test_it_begins_with_the_next(rig: Rig) -> None:
    rig.host.journal.say("old", "before")
    follower = await follow(rig)
    rig.host.journal.say("new", "after", vip="192.0.2.1")
    ((identity, event),) = await follower.events(1)
    assert identity == rig.host.journal.id_of(2)
    assert {**event, "at": 0} == {"at": 0, "kind": "new", "reason": "", "vip": "192.0.2.1", "text": "after"}
    follower.writer.close()


async def test_a_reader_comes_back(rig: Rig) -> None:
    journal = rig.host.journal
    for number in range(1, 4):
        journal.say("kind", f"number {number}")
    follower = await follow(rig, last=journal.id_of(1))
    assert [event["text"] for _, event in await follower.events(2)] == ["number 2", "number 3"]
    follower.writer.close()


async def test_a_reader_of_another_boot_gets_everything(rig: Rig) -> None:
    rig.host.journal.say("kind", "first")
    follower = await follow(rig, last="1234-77")
    assert [event["text"] for _, event in await follower.events(1)] == ["first"]
    follower.writer.close()


async def test_only_one_kind(rig: Rig) -> None:
    follower = await follow(rig, "?kind=b")
    for kind in ("a", "b", "a"):
        rig.host.journal.say(kind, kind)
    assert [event["kind"] for _, event in await follower.events(1)] == ["b"]
    follower.writer.close()


async def test_the_latest_as_json(rig: Rig) -> None:
    for number in range(5):
        rig.host.journal.say("kind", f"number {number}")
    answer = await rig.ask("GET", "/v1/events?follow=false&limit=2")
    assert [event["text"] for event in answer.json["events"]] == ["number 3", "number 4"]


async def test_a_comment_while_it_is_quiet(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "QUIET", 0.05)
    follower = await follow(rig)
    assert await follower.chunk() == ": quiet\n\n"
    follower.writer.close()


async def test_who_leaves_is_no_longer_counted(rig: Rig) -> None:
    followers = [await follow(rig) for _ in range(3)]
    assert rig.host.journal.readers == 3
    for each in followers:
        each.writer.close()
    for _ in range(1000):
        if not rig.host.journal.readers:
            break
        await asyncio.sleep(0.01)
    assert rig.host.journal.readers == 0


async def test_too_many_readers(rig: Rig) -> None:
    rig.host.journal.readers = events.MOST_READERS
    answer = await rig.ask("GET", "/v1/events")
    assert (answer.status, answer.error["code"]) == (503, "unavailable")


async def test_who_does_not_read_is_cut_off(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """And costs no memory until then: there is one ring for all."""
    monkeypatch.setattr(application, "PIECE_PATIENCE", 0.2)
    follower = await follow(rig)
    for _ in range(1000):
        rig.host.journal.say("kind", "x" * 10_000)
        if not rig.host.journal.readers:
            break
        await asyncio.sleep(0.01)
    assert rig.host.journal.readers == 0
    assert len(rig.host.journal.ring) <= 4096
    follower.writer.close()


async def test_liveness_and_readiness(rig: Rig) -> None:
    assert (await rig.ask("GET", "/v1/live")).json == {"live": True}
    assert (await rig.ask("GET", "/v1/ready")).json == {"ready": True}
    rig.host.lacking = ["the table has no writer"]
    answer = await rig.ask("GET", "/v1/ready")
    assert (answer.status, answer.error["message"]) == (503, "the table has no writer")


async def test_a_text_with_line_breaks_fakes_no_event(rig: Rig) -> None:
    follower = await follow(rig)
    rig.host.journal.say("kind", "one\n\nevent: two\ndata: {}\n\n")
    ((_, event),) = await follower.events(1)
    assert json.loads(json.dumps(event))["text"].startswith("one\n\nevent: two")
    follower.writer.close()
