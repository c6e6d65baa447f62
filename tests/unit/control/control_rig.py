"""What the tests of the control room share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keepalive_py.control.journal import Journal
from keepalive_py.control.listening import ControlSocket


class FakeHost:
    """Says what it was told to say."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {"version": "1"}
        self.broken = False
        self.kept_journal = Journal()
        self.lacking: list[str] = []

    @property
    def journal(self) -> Journal:
        return self.kept_journal

    def names(self) -> list[str]:
        return []

    async def listing(self, what: str, wanted: Mapping[str, Any]) -> list[bytes]:
        return [b"{", json.dumps({what: [], "wanted": dict(wanted)}).encode()[1:]]

    def run_checks(self, service: str, server: str) -> int:
        return 1 if server == "10.0.0.1" else 0

    async def orders(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        return {"overrides": []}

    async def give_order(self, wanted: Mapping[str, Any], by: str) -> dict[str, Any]:
        return {"wanted": dict(wanted), "by": by}

    async def lift_order(self, wanted: Mapping[str, Any], by: str) -> dict[str, Any]:
        return {"wanted": dict(wanted), "by": by}

    async def metrics(self) -> list[bytes]:
        return []

    def lacks(self) -> list[str]:
        return self.lacking

    def status(self) -> dict[str, Any]:
        if self.broken:
            raise RuntimeError("broken on purpose")
        return self.told


@dataclass
class Answer:
    status: int
    header: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        found = self.json["error"]
        assert set(found) <= {"code", "message", "hint"}
        assert isinstance(found, dict)
        return found


@dataclass
class Rig:
    control: ControlSocket
    host: FakeHost
    warnings: list[str]
    mistakes: list[tuple[str, Exception]]

    @property
    def path(self) -> str:
        assert self.control.path is not None
        return self.control.path

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self.path)

    async def send(self, data: bytes) -> Answer:
        """Bytes as they are, and what comes back until the end."""
        reader, writer = await self.connect()
        writer.write(data)
        answer = parsed(await reader.read())
        writer.close()
        return answer

    async def ask(self, method: str, resource: str, body: bytes = b"") -> Answer:
        head = (
            f"{method} {resource} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        )
        return await self.send(head.encode() + b"\r\n" + body)


def parsed(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    header = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    return Answer(int(first.split()[1]), header, body)


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """What still comes; a connection that was cut off has nothing."""
    try:
        return await asyncio.wait_for(reader.read(), 30)
    except ConnectionResetError:
        return b""
