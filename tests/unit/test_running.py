"""Commands that are waited for, and not for ever."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any

import pytest

from keepalive_py.running import Done, run

LASTING = ["sleep", "600"]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[Process]:
    """The processes that were."""
    found = asyncio.Queue[Process]()
    start = asyncio.create_subprocess_exec

    async def noted(*words: str, **more: Any) -> Process:
        child = await start(*words, **more)
        found.put_nowait(child)
        return child

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    return found


async def test_what_it_says_and_how_it_ends(tmp_path: Path) -> None:
    done = await run(["sh", "-c", "pwd; echo trouble >&2; exit 3"], 30, cwd=str(tmp_path))
    assert done == Done(3, f"{tmp_path}\n".encode(), b"trouble\n")


async def test_it_reads_nothing_of_ours_and_may_be_left_unheard() -> None:
    silent = asyncio.subprocess.DEVNULL
    assert await run(["sh", "-c", "cat; echo word"], 30, out=silent, err=silent) == Done(0, b"", b"")
    both = await run(["sh", "-c", "echo one; echo two >&2"], 30, err=asyncio.subprocess.STDOUT)
    assert both == Done(0, b"one\ntwo\n", b"")


async def test_one_that_cannot_be_started() -> None:
    with pytest.raises(FileNotFoundError):
        await run(["/nonexistent/program"], 30)


async def test_one_that_takes_too_long_is_killed(started: asyncio.Queue[Process]) -> None:
    with pytest.raises(TimeoutError):
        await run(LASTING, 0.01)
    assert started.get_nowait().returncode == -signal.SIGKILL


async def test_with_whoever_waits_it_ends(started: asyncio.Queue[Process]) -> None:
    task = asyncio.create_task(run(LASTING, 600))
    child = await started.get()
    assert child.returncode is None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert child.returncode == -signal.SIGKILL


async def test_of_one_whose_child_has_its_pipes_still_nothing_is_left(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(TimeoutError):
        await run(["sh", "-c", f"sleep 600 & echo $! > {tmp_path}/pid; wait"], 0.5)
    await asyncio.sleep(0.05)
    assert set(os.listdir("/proc/self/fd")) <= before
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


async def test_one_that_says_too_much_is_killed(started: asyncio.Queue[Process]) -> None:
    with pytest.raises(OSError, match="it says more than 16 MB"):
        await run(["yes"], 30)
    assert started.get_nowait().returncode == -signal.SIGKILL
