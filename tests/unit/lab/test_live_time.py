"""The lab's clock counts only time in which the machine ran."""

from __future__ import annotations

import asyncio
import time

import pytest
from lab.live_time import LiveClock, within


async def test_work_that_ends_gives_its_result() -> None:
    assert await within(5, asyncio.sleep(0.01, "done")) == "done"


async def test_work_that_fails_raises_what_it_raised() -> None:
    async def fail() -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await within(5, fail())


async def test_work_that_does_not_end_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            cancelled.set()

    with pytest.raises(TimeoutError):
        await within(0.1, forever())
    assert cancelled.is_set()


async def test_time_in_which_the_loop_stood_still_does_not_count() -> None:
    async def stall() -> str:
        await asyncio.sleep(0)
        time.sleep(0.6)  # noqa: ASYNC251 (the loop is to stand still)
        await asyncio.sleep(0.01)
        return "done"

    assert await within(0.3, stall()) == "done"


def test_the_live_clock_runs() -> None:
    began = time.monotonic()
    with LiveClock() as clock:
        while clock.seconds < 0.2:
            assert time.monotonic() - began < 30
            time.sleep(0.01)
        assert clock.seconds <= time.monotonic() - began
