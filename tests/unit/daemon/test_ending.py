"""A task ends, also when its first cancellation is lost."""

from __future__ import annotations

import asyncio
import contextlib

from keepalive_py.daemon.ending import ended


async def test_a_task_that_loses_a_cancellation_ends_all_the_same() -> None:
    lost = 0

    async def waiting() -> None:
        nonlocal lost
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        lost += 1
        await asyncio.Event().wait()

    async def failing() -> None:
        raise ValueError("nobody asks")

    tasks = [asyncio.create_task(waiting()), asyncio.create_task(failing())]
    await asyncio.sleep(0)
    await ended(tasks)
    assert lost == 1
    assert all(task.done() for task in tasks)
    await ended(tasks)
