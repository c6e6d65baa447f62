"""Commands that are waited for, and not for ever."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["Done", "run"]

REAPED: Final = 1.0  # seconds for a killed one to go; it cannot while the kernel keeps it


class Done(NamedTuple):
    """How a command ended and what it said, as far as that was caught."""

    status: int
    out: bytes
    err: bytes


async def run(
    command: Sequence[str], patience: float, *, cwd: str | None = None, out: int = PIPE, err: int = PIPE
) -> Done:
    """`out` and `err` as in asyncio.subprocess; what is not caught does not keep us when a child of the
    command's has it still. Raises OSError when it cannot be started, TimeoutError after `patience` seconds;
    then, and when we are cancelled, it is killed."""
    child = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdin=DEVNULL, stdout=out, stderr=err)
    try:
        async with asyncio.timeout(patience):
            said, trouble = await child.communicate()
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REAPED):
                    await child.wait()
    assert child.returncode is not None
    return Done(child.returncode, said or b"", trouble or b"")
