"""The API, asked by its own description and against it: every answer is one that the description has,
no request is a mistake of ours, and afterwards the daemon is as it was."""

from __future__ import annotations

import asyncio
import json
import random
import types
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from daemon_rig import Rig, Start, virtual_server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepalive_py.control.listening import ControlSocket
from keepalive_py.control.openapi import document
from keepalive_py.control.resources import RESOURCES
from keepalive_py.daemon.controlled import Controlled

DOCUMENT = document(RESOURCES)
A, B = "10.1.0.1", "10.1.0.2"
OPERATIONS = [
    (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
SETTINGS = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
TELLING = ("10.1.0.1", "10.1.0.1:80", "10.0.0.1:80", "[10.0.0.1]:tcp:80", "10.9.9.9", "")


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What a schema allows."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    least, most = schema.get("minimum"), schema.get("maximum")
    kinds: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
        "string": lambda: st.sampled_from(TELLING) | st.text(max_size=30),
        "integer": lambda: st.integers(least, most),
        "number": lambda: st.floats(least, most, allow_nan=False, allow_infinity=False),
        "boolean": st.booleans,
    }
    return kinds[schema["type"]]()


@st.composite
def requests(draw: st.DrawFn, method: str, path: str, operation: dict[str, Any]) -> tuple[str, str, bytes]:
    """One request: as described, or with something wrong."""
    query: list[tuple[str, str]] = []
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            text = draw(st.text(min_size=1, max_size=20))
            path = path.replace("{" + parameter["name"] + "}", quote(text, safe="", errors="replace"))
        elif draw(st.integers(0, 2)) == 0:
            kind = values(parameter["schema"])
            value = draw(st.text(max_size=10) if draw(st.integers(0, 9)) == 0 else kind)
            query.append((parameter["name"], str(value)))
    if draw(st.integers(0, 9)) == 0:
        query.append((draw(st.text(max_size=8)), draw(st.text(max_size=8))))
    if path == "/v1/events":  # a stream has no end
        query = [each for each in query if each[0] != "follow"] + [("follow", "false")]
    body = draw(bodies(operation)) if "requestBody" in operation else b""
    return method.upper(), path + ("?" + urlencode(query, errors="replace") if query else ""), body


@st.composite
def bodies(draw: st.DrawFn, operation: dict[str, Any]) -> bytes:
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    properties, required = schema["properties"], schema["required"]
    optional = sorted(set(properties) - set(required))  # of which a few at a time make sense together
    chosen = draw(st.lists(st.sampled_from(optional), max_size=3, unique=True)) if optional else []
    known = {name: draw(values(properties[name])) for name in (*required, *chosen)}
    wrong = draw(st.sampled_from(["nothing"] * 8 + ["type", "field", "whole", "bytes"]))
    if wrong == "type" and known:
        known[draw(st.sampled_from(sorted(known)))] = draw(JSON)
    if wrong == "field":
        known[draw(st.text(max_size=10))] = draw(JSON)
    if wrong == "bytes":
        return draw(st.binary(max_size=50))
    return json.dumps(draw(JSON) if wrong == "whole" else known).encode()


class OneConfiguration:
    """Instead of one that is kept in files: nothing can be gone back to."""

    def summary(self) -> dict[str, Any]:
        words = ("digest", "since", "generation", "instead_of_files", "refused")
        return {**dict.fromkeys(words), "since": 0.0, "held": False}

    status = summary

    async def history(self) -> list[dict[str, Any]]:
        return []

    async def texts(self, number: int) -> None:
        return None

    async def preview(self) -> dict[str, Any]:
        return {}

    async def apply(self, *, confirm: bool) -> dict[str, Any]:
        return {}

    async def go_back(self, number: int) -> dict[str, Any]:
        return {}


class Api:
    """The API of a daemon with two servers, over its socket."""

    def __init__(self, rig: Rig, control: ControlSocket, mistakes: list[str]) -> None:
        self.rig, self.control, self.mistakes = rig, control, mistakes

    async def ask(self, method: str, resource: str, body: bytes) -> tuple[int, bytes]:
        assert self.control.path is not None
        reader, writer = await asyncio.open_unix_connection(self.control.path)
        head = f"{method} {resource} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        head_, _, rest = answer.partition(b"\r\n\r\n")
        return int(head_.split()[1]), rest

    async def orders(self) -> list[dict[str, Any]]:
        _, answer = await self.ask("GET", "/v1/overrides", b"")
        found: list[dict[str, Any]] = json.loads(answer)["overrides"]
        return found


@pytest.fixture
async def api(start: Start, tmp_path: Path) -> AsyncIterator[Api]:
    rig = await start(virtual_server(A, B))
    mistakes: list[str] = []
    life: Any = types.SimpleNamespace(
        supervisor=rig.supervisor, born=0.0, began=0.0, configuring=OneConfiguration()
    )
    control = ControlSocket(
        Controlled(life), mistakes.append, lambda where, error: mistakes.append(f"{where}: {error!r}")
    )
    control.open(str(tmp_path / "control.sock"))
    yield Api(rig, control, mistakes)
    await control.close()


def test_the_description_is_whole() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(ids)) == len(ids)
    for _, path, operation in OPERATIONS:
        assert operation["summary"].endswith("."), path
        assert operation["responses"]["200"]["description"].endswith("."), path
    json.dumps(DOCUMENT)


def requests_of(operation: tuple[str, str, dict[str, Any]]) -> list[tuple[str, str, bytes]]:
    """Each example of its own would need a loop of its own: they are drawn first, then asked."""
    drawn: list[tuple[str, str, bytes]] = []

    @settings(SETTINGS, max_examples=600 if "requestBody" in operation[2] else 60)
    @given(requests(*operation))
    def draw(request: tuple[str, str, bytes]) -> None:
        drawn.append(request)

    draw()
    return drawn


async def test_whatever_is_asked(api: Api) -> None:
    answers: Counter[tuple[str, int]] = Counter()
    drawn = [request for operation in OPERATIONS for request in requests_of(operation)]
    random.Random(1).shuffle(drawn)  # orders are given, looked at and taken back
    before = await api.rig.dataplane.read()
    for method, resource, body in drawn:
        status, answer = await api.ask(method, resource, body)
        path = resource.partition("?")[0]
        found = DOCUMENT["paths"].get(path, {}).get(method.lower())
        told = {int(each) for each in found["responses"]} if found else {200, 400, 404}
        assert status in told - {500}, (method, resource, body, answer)
        answers[f"{method} {path}", status] += 1
        if status >= 400:
            assert set(json.loads(answer)["error"]) >= {"code", "message"}
    assert api.mistakes == []
    for operation in ("POST /v1/overrides", "POST /v1/checks/run"):  # it came through to what they do
        assert answers[operation, 200] > 0, answers
    while orders := await api.orders():  # one may take others back with it: those of the same server
        first = orders[0]
        query = urlencode({name: first[name] for name in ("server", "service") if first[name]})
        status, _ = await api.ask("DELETE", f"/v1/overrides?{query}", b"")
        assert status == 200 or first["until"], first  # its time may be over just now
        assert first not in await api.orders()
    await api.rig.supervisor.writer.settled()
    assert await api.rig.dataplane.read() == before


async def test_bytes_that_are_no_request(api: Api) -> None:
    assert api.control.path is not None
    for garbage in (b"\0" * 500, b"GET\r\n\r\n", b"\x16\x03\x01\x02\0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                    b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n",
                    b"POST /v1/overrides HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):  # fmt: skip
        reader, writer = await asyncio.open_unix_connection(api.control.path)
        writer.write(garbage)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 30)
        writer.close()
    assert (await api.ask("GET", "/v1/live", b""))[0] == 200
    assert api.mistakes == []
