"""Requests of all kinds, good and bad: the answer is JSON and says what was wrong."""

from __future__ import annotations

import asyncio

import pytest
from control_rig import Rig, rest_of

from keepalive_py.control import gate


async def test_an_unknown_resource(rig: Rig) -> None:
    answer = await rig.ask("GET", "/v1/nonsense")
    assert answer.status == 404
    assert answer.error["code"] == "no-such-resource"


async def test_an_unknown_method(rig: Rig) -> None:
    answer = await rig.ask("PUT", "/v1/status")
    assert answer.status == 405
    assert answer.error["hint"] == "it has GET"


async def test_an_unknown_parameter(rig: Rig) -> None:
    answer = await rig.ask("GET", "/v1/status?colour=red")
    assert answer.status == 400
    assert answer.error["code"] == "unknown-parameter"


async def test_a_body_where_none_belongs(rig: Rig) -> None:
    assert (await rig.ask("GET", "/v1/status", b"{}")).error["code"] == "unexpected-body"


async def test_a_body_that_is_too_large(rig: Rig) -> None:
    answer = await rig.ask("GET", "/v1/status", b"x" * (64 * 1024 + 1))
    assert (answer.status, answer.error["code"]) == (413, "too-large")


async def test_a_head_that_is_too_long(rig: Rig) -> None:
    answer = await rig.send(b"GET /v1/status HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000 + b"\r\n\r\n")
    assert answer.status == 400


async def test_our_own_mistake_is_one_answers_trouble(rig: Rig) -> None:
    rig.host.broken = True
    answer = await rig.ask("GET", "/v1/status")
    assert (answer.status, answer.error["code"]) == (500, "internal")
    assert [where for where, _ in rig.mistakes] == ["GET /v1/status"]
    rig.host.broken = False
    assert (await rig.ask("GET", "/v1/status")).status == 200


async def test_no_answer_may_be_kept_by_a_cache(rig: Rig) -> None:
    answer = await rig.ask("GET", "/v1/status")
    assert answer.header["cache-control"] == "no-store"


async def test_who_does_not_finish_asking_is_cut_off(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "HEAD", 0.2)
    monkeypatch.setattr(gate, "SWEEP", 0.05)
    reader, writer = await rig.connect()
    writer.write(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n")
    assert await rest_of(reader) == b""
    writer.close()
    assert (await rig.ask("GET", "/v1/status")).status == 200


async def test_more_connections_than_there_may_be(rig: Rig) -> None:
    assert (await rig.ask("GET", "/v1/status")).status == 200
    assert rig.control.server is not None
    rig.control.server.gate.most = 2
    held = [await rig.connect() for _ in range(2)]
    reader, writer = await rig.connect()
    assert await rest_of(reader) == b""
    assert rig.control.server.gate.refused == 1
    for _, each in [*held, (reader, writer)]:
        each.close()
    for _ in range(1000):
        if not rig.control.server.gate.inside:
            break
        await asyncio.sleep(0.01)
    assert (await rig.ask("GET", "/v1/status")).status == 200
