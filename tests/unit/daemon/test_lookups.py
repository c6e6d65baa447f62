"""Names that are looked up while nobody waits for the thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from keepalive_py.daemon.lookups import LookupLoop


def test_a_name_is_looked_up() -> None:
    async def asked() -> Any:
        return await asyncio.get_running_loop().getaddrinfo("localhost", 25, type=socket.SOCK_STREAM)

    with asyncio.Runner(loop_factory=LookupLoop) as runner:
        assert runner.run(asked())[0][4][1] == 25


def test_who_asks_hears_of_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", failing)
    with asyncio.Runner(loop_factory=LookupLoop) as runner, pytest.raises(socket.gaierror):
        runner.run(asyncio.wait_for(runner.get_loop().getaddrinfo("mail.example", 25), 5))


def test_a_silent_name_server_keeps_neither_other_threads_nor_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = threading.Event()

    def silent(*_: Any, **__: Any) -> list[Any]:
        over.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)

    async def life() -> str:
        for _ in range(40):  # more than there are usual threads
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.open_connection("mail.example", 25), 0.01)
        return await asyncio.wait_for(asyncio.to_thread(lambda: "at once"), 5)

    with asyncio.Runner(loop_factory=LookupLoop) as runner:
        assert runner.run(life()) == "at once"
    assert not over.is_set()
    over.set()
