"""A daemon that is late takes precedence, if it may."""

from __future__ import annotations

import asyncio

import pytest

from keepalive_py.config.model import GlobalDefs
from keepalive_py.daemon import auto_priority
from keepalive_py.daemon.auto_priority import AutoPriority


def made(said: list[str], raised: list[int], **settings: int) -> AutoPriority:
    one = AutoPriority(raised.append, said.append)
    one.configure(GlobalDefs(**settings))  # type: ignore[arg-type]
    return one


async def test_each_late_beat_raises_it_up_to_the_limit() -> None:
    said: list[str] = []
    raised: list[int] = []
    one = made(said, raised, max_auto_priority=2, min_auto_priority_delay=100_000)

    for late in (0.05, 0.1, 0.3, 0.4):
        one.came_late(late)

    assert raised == [1, 2]
    assert said == ["0.100 s late: realtime priority is now 1", "0.300 s late: realtime priority is now 2"]


@pytest.mark.parametrize("most", [0, -1])
async def test_it_is_off_unless_asked_for(most: int) -> None:
    raised: list[int] = []
    made([], raised, max_auto_priority=most).came_late(100)

    assert raised == []


async def test_it_starts_from_the_priority_that_is_set() -> None:
    raised: list[int] = []
    made([], raised, max_auto_priority=50, checker_rt_priority=10).came_late(100)

    assert raised == [11]


async def test_a_refusal_is_said_once() -> None:
    said: list[str] = []

    def refuse(priority: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    one = AutoPriority(refuse, said.append)
    one.configure(GlobalDefs(max_auto_priority=5))
    task = asyncio.ensure_future(one.run())
    one.came_late(2)
    await asyncio.sleep(0)
    task.cancel()

    assert said == ["Unable to raise the priority: [Errno 1] Operation not permitted"]
    assert one.priority == 0


async def test_the_beat_finds_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto_priority, "BEAT", 0.0)
    raised: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    one = AutoPriority(raised.set_result, lambda text: None)
    one.configure(GlobalDefs(max_auto_priority=1, min_auto_priority_delay=1))

    task = asyncio.ensure_future(one.run())

    assert await asyncio.wait_for(raised, 30) == 1
    task.cancel()
