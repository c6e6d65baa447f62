"""Notify scripts as real processes on a real engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from keepalive_py.checkers import REGISTRY
from keepalive_py.config.kinds import Script
from keepalive_py.daemon import voice
from keepalive_py.daemon.boundary_scripts import run_boundary_script
from keepalive_py.daemon.children import Credentialed, NotifyLauncher
from keepalive_py.notify.scripts import LaunchFailed, NotifyScripts
from keepalive_py.notify.security import ScriptPolicy, daemon_account
from keepalive_py.probing import Engine

OURS = ScriptPolicy(daemon_account())


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine(registry=REGISTRY, trouble=voice.trouble, resolve=Credentialed(OURS))
    engine.attach(asyncio.get_running_loop())
    yield engine
    await engine.close()


def shell(text: str) -> Script:
    return Script(argv=("/bin/sh", "-c", text), command="script")


@pytest.fixture
def _preload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "")


@pytest.mark.usefixtures("_preload", "engine")
async def test_a_script_runs_in_its_own_group_with_nothing_of_ours(tmp_path: Path, engine: Engine) -> None:
    said: list[str] = []
    runner = NotifyScripts(NotifyLauncher(engine, Credentialed(OURS)).launch, said.append)
    trace = tmp_path / "trace"
    group = "$(ps -o pgid= -p $$ | tr -d ' ')"
    runner.run(shell(f'echo "$$ {group} $(readlink /proc/$$/fd/0) ${{LD_PRELOAD-unset}}" > {trace}'))
    await runner.finish(30.0)
    pid, pgid, stdin, preload = trace.read_text().split()
    assert pid == pgid
    assert (stdin, preload) == ("/dev/null", "unset")
    assert said == []


async def test_a_script_that_does_not_end_is_ended(engine: Engine, tmp_path: Path) -> None:
    runner = NotifyScripts(NotifyLauncher(engine, Credentialed(OURS)).launch, lambda text: None)
    runner.run(shell("exec sleep 1000"))
    await runner.finish(0.0)
    assert runner.running == {}


async def test_a_script_that_cannot_start_says_why(engine: Engine) -> None:
    launcher = NotifyLauncher(engine, Credentialed(OURS))
    with pytest.raises(LaunchFailed, match="No such file"):
        launcher.launch(Script(argv=("/nonexistent/x",), command="x"), lambda: None)
    nobody = NotifyLauncher(engine, Credentialed(ScriptPolicy(None)))
    with pytest.raises(LaunchFailed, match="no user"):
        nobody.launch(shell("true"), lambda: None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exit 0", "startup script succeeded"),
        ("exit 3", "startup script failed, status 3"),
        ("kill -9 $$", "startup script failed, signal 9"),
        ("exec sleep 1000", "startup script timed out"),
    ],
)
async def test_how_a_boundary_script_ends_is_said(engine: Engine, text: str, said: str) -> None:
    """Its time runs although nothing else makes the engine turn."""
    with structlog.testing.capture_logs() as logged:
        await run_boundary_script(engine, "startup", shell(text), 0.2 if "sleep" in text else 30.0)
    assert [entry["event"] for entry in logged] == ["Running startup script script", said]


async def test_a_boundary_script_that_is_not_configured_is_nothing(engine: Engine) -> None:
    await run_boundary_script(engine, "startup", None, 1.0)
