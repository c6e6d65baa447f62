"""Ending tasks for certain.

`asyncio.wait_for` of Python 3.11 loses a cancellation that comes in the moment in which its answer
does. A task that waits with it in a loop goes on as if nothing had been; who waits for its end would
wait for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

AGAIN: Final = 0.05  # s


async def ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel these until they are over. What they raise is nobody's business any more."""
    alive = {task for task in tasks if not task.done()}
    while alive:
        for task in alive:
            task.cancel()
        over, alive = await asyncio.wait(alive, timeout=AGAIN)
        for task in over:
            if not task.cancelled():
                task.exception()
