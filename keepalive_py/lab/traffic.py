"""A client that opens connections without a pause and remembers how each one ended."""

from __future__ import annotations

import asyncio
import socket
import time
from concurrent.futures import Future
from dataclasses import dataclass

from keepalive_py.lab.live_time import within
from keepalive_py.lab.namespace import Namespace
from keepalive_py.lab.waiting import eventually

REQUEST = b"GET / HTTP/1.0\r\n\r\n"


@dataclass(frozen=True)
class Attempt:
    """One connection. Times are of the monotonic clock, in seconds; `server` is who
    answered, or `error` says why nobody did. `port` is our end, once connected."""

    began: float
    ended: float
    server: str = ""
    error: str = ""
    port: int = 0


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """The body of the answer: who it is."""
    try:
        writer.write(REQUEST)
        reply = await reader.read()
    finally:
        writer.close()
    return reply.rpartition(b"\r\n\r\n")[2].decode()


class Client:
    """Opens a connection to `address`:`port` after the other, `lanes` at a time, asks who
    answers within `timeout` seconds of live time, closes. Use as a context manager; `attempts`
    grows while it runs.
    """

    def __init__(
        self,
        namespace: Namespace,
        address: str,
        port: int,
        *,
        lanes: int = 2,
        pause: float = 0.01,
        timeout: float = 5.0,
    ) -> None:
        self.namespace = namespace
        self.target = (address, port)
        self.lanes = lanes
        self.pause = pause
        self.timeout = timeout
        self.attempts: list[Attempt] = []
        self._going = False
        self._work: list[Future[None]] = []

    def __enter__(self) -> Client:
        self._going = True
        loop = self.namespace.loop
        self._work = [asyncio.run_coroutine_threadsafe(self._lane(), loop) for _ in range(self.lanes)]
        return self

    def __exit__(self, *_: object) -> None:
        self._going = False
        for lane in self._work:
            lane.result(self.timeout + 10)

    async def _lane(self) -> None:
        while self._going:
            self.attempts.append(await self._attempt())
            await asyncio.sleep(self.pause)

    async def _attempt(self) -> Attempt:
        began = time.monotonic()
        server, error, port = "", "", 0
        try:
            reader, writer = await within(self.timeout, self._connect())
            port = writer.get_extra_info("sockname")[1]
            server = await within(self.timeout, ask(reader, writer))
            error = "" if server else "no answer"
        except TimeoutError:
            error = "timeout after connecting" if port else "timeout while connecting"
        except OSError as trouble:
            error = trouble.strerror or str(trouble)
        return Attempt(began, time.monotonic(), server, error, port)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        family = socket.AF_INET6 if ":" in self.target[0] else socket.AF_INET
        return await asyncio.open_connection(*self.target, family=family)

    def errors(self, since: float = 0.0) -> list[Attempt]:
        return [one for one in self.attempts if one.error and one.began >= since]

    def servers(self, since: float = 0.0) -> set[str]:
        """Who answered connections begun after `since`."""
        return {one.server for one in self.attempts if one.server and one.began >= since}

    def answered(self, since: float = 0.0) -> int:
        return sum(1 for one in self.attempts if one.server and one.began >= since)

    def sees(self, *servers: str, limit: float = 20.0) -> None:
        """Wait until exactly these servers answer, in twenty connections in a row."""

        def reached() -> bool:
            recent = self.attempts[-20:]
            return len(recent) == 20 and {one.server for one in recent} == set(servers)

        eventually(reached, within=limit, what=f"answers of {servers}; last: {self.attempts[-3:]}")

    def more(self, count: int = 50, limit: float = 20.0) -> None:
        """Wait for so many more connections to end, well or not."""
        wanted = len(self.attempts) + count

        def reached() -> bool:
            return len(self.attempts) >= wanted

        eventually(reached, within=limit, what=f"{count} more connections")


class Stream:
    """One long connection to an echoing service, to prove that it is not cut."""

    def __init__(self, namespace: Namespace, address: str, port: int) -> None:
        self._socket = namespace.call(socket.create_connection, (address, port), 10)
        self._sent = 0

    def alive(self) -> bool:
        """Say something new and hear it back."""
        self._sent += 1
        word = f"{self._sent:08d}".encode()
        try:
            self._socket.sendall(word)
            return self._socket.recv(64) == word
        except OSError:
            return False

    def close(self) -> None:
        self._socket.close()
