"""Commands that are waited for, and not for ever."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from keepalive_py.running import Done, run


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "pid"
    os.mkfifo(path)
    return path


async def pid_in(path: Path) -> int:
    """Waits for whoever writes it."""
    return int(await asyncio.wait_for(asyncio.to_thread(path.read_text), 30))


async def test_what_it_says_and_how_it_ends(tmp_path: Path) -> None:
    done = await run(["sh", "-c", "pwd; echo trouble >&2; exit 3"], 10, cwd=str(tmp_path))
    assert done == Done(3, f"{tmp_path}\n".encode(), b"trouble\n")


async def test_it_reads_nothing_of_ours_and_may_be_left_unheard() -> None:
    silent = asyncio.subprocess.DEVNULL
    assert await run(["sh", "-c", "cat; echo word"], 10, out=silent, err=silent) == Done(0, b"", b"")
    both = await run(["sh", "-c", "echo one; echo two >&2"], 10, err=asyncio.subprocess.STDOUT)
    assert both == Done(0, b"one\ntwo\n", b"")


async def test_one_that_cannot_be_started() -> None:
    with pytest.raises(FileNotFoundError):
        await run(["/nonexistent/program"], 10)


async def test_one_that_takes_too_long_is_killed(note: Path) -> None:
    reading = asyncio.create_task(pid_in(note))
    with pytest.raises(TimeoutError):
        await run(["sh", "-c", f"echo $$ >{note}; exec sleep 600"], 1)
    assert is_gone(await reading)


async def test_with_whoever_waits_it_ends(note: Path) -> None:
    task = asyncio.create_task(run(["sh", "-c", f"echo $$ >{note}; exec sleep 600"], 600))
    pid = await pid_in(note)
    assert not is_gone(pid)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_gone(pid)
