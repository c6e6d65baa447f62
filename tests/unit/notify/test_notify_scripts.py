"""The queue of notify scripts, with a launcher that starts nothing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import pytest
from until import until

from keepalive_py.config.kinds import Script
from keepalive_py.notify import scripts
from keepalive_py.notify.scripts import LaunchFailed, NotifyScripts

SCRIPT = Script(argv=("/bin/true",), command="/bin/true")


class Processes:
    """Stands for the launcher: remembers what was started; ends what it is told to."""

    def __init__(self) -> None:
        self.alive: list[Process] = []
        self.refuse = False

    def launch(self, script: Script, ended: Callable[[], None]) -> Process:
        if self.refuse:
            raise LaunchFailed("no such file")
        process = Process(self, ended)
        self.alive.append(process)
        return process


class Process:
    def __init__(self, processes: Processes, ended: Callable[[], None]) -> None:
        self.processes, self.ended = processes, ended
        self.stubborn = False
        self.signals: list[signal.Signals] = []

    def kill(self, number: signal.Signals) -> None:
        self.signals.append(number)
        if number is signal.SIGKILL or not self.stubborn:
            asyncio.get_running_loop().call_soon(self.end)

    def end(self) -> None:
        self.processes.alive.remove(self)
        self.ended()


@pytest.fixture
def processes() -> Processes:
    return Processes()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
async def runner(processes: Processes, said: list[str]) -> NotifyScripts:
    return NotifyScripts(processes.launch, said.append)


async def test_so_many_at_once_and_the_rest_in_order(runner: NotifyScripts, processes: Processes) -> None:
    for _ in range(scripts.MOST_AT_ONCE + 10):
        runner.run(SCRIPT)
    assert len(processes.alive) == scripts.MOST_AT_ONCE
    processes.alive[0].end()
    assert len(processes.alive) == scripts.MOST_AT_ONCE
    assert len(runner.waiting) == 9


async def test_too_many_are_dropped_and_that_is_said_once(
    runner: NotifyScripts, processes: Processes, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts, "MOST_WAITING", 5)
    for _ in range(scripts.MOST_AT_ONCE + 8):
        runner.run(SCRIPT)
    assert runner.lost == 3
    assert len(said) == 1


async def test_that_scripts_without_end_hold_up_the_others_is_said(
    runner: NotifyScripts, processes: Processes, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts, "STUCK", 0.02)
    for _ in range(scripts.MOST_AT_ONCE + 2):
        runner.run(SCRIPT)
    processes.alive[0].end()  # one more begins
    runner.look(scripts.MOST_AT_ONCE)
    assert said == []
    await until(lambda: bool(said))
    assert said == ["64 notify scripts run, and none ended in 0.02 s: 1 others wait"]


async def test_what_is_not_run_at_the_end_is_said(
    runner: NotifyScripts, processes: Processes, said: list[str]
) -> None:
    for _ in range(scripts.MOST_AT_ONCE + 2):
        runner.run(SCRIPT)
    await runner.finish(0.0)
    assert said == ["2 notify script(s) are not run: there is no more time"]


async def test_a_script_that_does_not_start_is_told_and_is_not_waited_for(
    runner: NotifyScripts, processes: Processes, said: list[str]
) -> None:
    processes.refuse = True
    runner.run(SCRIPT)
    assert said == ["Call of script /bin/true failed: no such file"]
    await runner.finish(60.0)  # returns at once


async def test_at_the_end_scripts_get_their_time(runner: NotifyScripts, processes: Processes) -> None:
    runner.run(SCRIPT)
    (process,) = processes.alive
    asyncio.get_running_loop().call_later(0.01, process.end)
    await runner.finish(60.0)
    assert process.signals == []


async def test_then_they_are_ended(runner: NotifyScripts, processes: Processes) -> None:
    for _ in range(2):
        runner.run(SCRIPT)
    polite, stubborn = processes.alive
    stubborn.stubborn = True
    await runner.finish(0.0)
    assert polite.signals == [signal.SIGTERM]
    assert stubborn.signals == [signal.SIGTERM, signal.SIGKILL]
    assert processes.alive == []
