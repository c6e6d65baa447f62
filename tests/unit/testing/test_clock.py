"""Time that stands still until it is told to go on."""

from __future__ import annotations

import asyncio
import time

import pytest

from keepalive_py.testing import VirtualClock
from keepalive_py.testing import clock as clock_room


async def test_an_hour_takes_no_time(virtual_clock: VirtualClock) -> None:
    began = time.monotonic()
    sleeper = asyncio.create_task(asyncio.sleep(3600))
    await virtual_clock.advance(3599.9)
    assert not sleeper.done()
    await virtual_clock.advance(0.2)
    assert sleeper.done()
    assert virtual_clock.elapsed == pytest.approx(3600.1)
    assert time.monotonic() - began < 60


async def test_everything_happens_in_its_order_and_at_its_time(virtual_clock: VirtualClock) -> None:
    story: list[tuple[str, float]] = []

    async def every(name: str, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            story.append((name, round(virtual_clock.elapsed, 6)))

    tasks = [asyncio.create_task(every("two", 2)), asyncio.create_task(every("three", 3))]
    await virtual_clock.advance(6.5)
    assert story == [("two", 2), ("three", 3), ("two", 4), ("three", 6), ("two", 6)]
    for task in tasks:
        task.cancel()


async def test_timeouts_are_virtual_too(virtual_clock: VirtualClock) -> None:
    async def never() -> None:
        async with asyncio.timeout(30):
            await asyncio.Event().wait()

    task = asyncio.create_task(never())
    await virtual_clock.advance(29)
    assert not task.done()
    await virtual_clock.advance(1)
    with pytest.raises(TimeoutError):
        await task


async def test_run_jumps_over_idle_time(virtual_clock: VirtualClock) -> None:
    async def work() -> str:
        await asyncio.sleep(86400)
        return "done"

    assert await virtual_clock.run(work()) == "done"
    assert virtual_clock.elapsed == pytest.approx(86400)


async def test_run_waits_for_a_thread(virtual_clock: VirtualClock) -> None:
    assert await virtual_clock.run(asyncio.to_thread(lambda: "done")) == "done"


async def test_real_work_is_waited_for_and_given_up_once(
    virtual_clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_room, "PATIENCE", 0.05)
    asked = 0

    def busy() -> list[str]:
        nonlocal asked
        asked += 1
        return ["stuck"]

    virtual_clock.busy.append(busy)
    await virtual_clock.settle()
    assert asked > 1
    asked = 0
    await virtual_clock.advance(5)
    assert asked == 2  # it outlasted our patience: nobody waits for it again


async def test_the_loop_gets_its_own_time_back() -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    clock = VirtualClock()
    await clock.advance(1e6)
    assert loop.time() >= before + 1e6
    with pytest.raises(RuntimeError, match="without another one"):
        VirtualClock()
    clock.close()
    clock.close()
    assert loop.time() < before + 1e5
    await asyncio.sleep(0.001)


async def test_time_does_not_go_backwards(virtual_clock: VirtualClock) -> None:
    with pytest.raises(ValueError, match="forward"):
        await virtual_clock.advance(-1)
