"""Waiting for what comes to pass without telling anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE = 30.0  # seconds; a busy machine is not a bug


async def until(holds: Callable[[], object]) -> None:
    """Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110  there is no event
            await asyncio.sleep(0.01)
