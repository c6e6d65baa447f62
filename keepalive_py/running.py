"""Commands that are waited for, and not for ever."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["Done", "run"]

MOST: Final = 1 << 24  # bytes that are caught of each stream
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
    command's has it still. Raises OSError when it cannot be started or says too much, TimeoutError after
    `patience` seconds; then, and when we are cancelled, it is killed."""
    child = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdin=DEVNULL, stdout=out, stderr=err)
    try:
        async with asyncio.timeout(patience):
            said, trouble = await asyncio.gather(heard(child.stdout), heard(child.stderr))
            await child.wait()
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REAPED):
                    await child.wait()
        # Or its pipes stay with us for as long as a child of its own has the other end.
        child._transport.close()  # type: ignore[attr-defined]  # asyncio has no other way
    assert child.returncode is not None
    return Done(child.returncode, said, trouble)


async def heard(stream: asyncio.StreamReader | None) -> bytes:
    """All of it. Raises OSError when that is more than MOST."""
    said = bytearray()
    while stream is not None and (some := await stream.read(1 << 16)):
        said += some
        if len(said) > MOST:
            raise OSError(errno.EFBIG, f"it says more than {MOST >> 20} MB")
    return bytes(said)
