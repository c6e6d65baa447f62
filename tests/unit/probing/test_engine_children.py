"""Child processes: how they start, end, and are made to end."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from until import until

from keepalive_py.checkers.wishes import Exit, Probe, Run
from keepalive_py.config.kinds import Script
from keepalive_py.health.verdict import Failed, Passed, Reason, Unknown
from keepalive_py.probing import Credentials, children
from keepalive_py.probing.children import clean_environment


def script(path: Path, text: str) -> Script:
    path.write_text(text)
    path.chmod(0o755)
    return Script((str(path),), str(path))


def running(command: Script, timeout: float = 10.0) -> Any:
    def probe() -> Probe:
        ended: Exit = yield Run(command, timeout)
        return Passed(f"{ended.status} {ended.signal} {ended.timed_out}")

    return probe


def open_to_all(path: Path) -> None:
    path.chmod(0o777)
    for parent in list(path.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o755)


@pytest.mark.parametrize("status", [0, 1, 2, 255])
async def test_the_exit_status_is_told(real: Any, status: int) -> None:
    command = Script(("/bin/sh", "-c", f"exit {status}"), "sh")

    assert await real.run(running(command)) == Passed(f"{status} None False")


async def test_the_signal_is_told(real: Any) -> None:
    command = Script(("/bin/sh", "-c", "kill -USR1 $$"), "sh")

    assert await real.run(running(command)) == Passed(f"None {signal.SIGUSR1.value} False")


async def test_arguments_are_passed_as_they_are(real: Any, tmp_path: Path) -> None:
    command = script(tmp_path / "args", f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/out\n')
    command = Script((*command.argv, "a b", "$HOME", ""), "args")

    await real.run(running(command))

    assert (tmp_path / "out").read_text() == "a b\n$HOME\n\n"


async def test_a_script_without_a_first_line_is_run_by_the_shell(real: Any, tmp_path: Path) -> None:
    command = script(tmp_path / "plain", "exit 7\n")

    assert await real.run(running(command)) == Passed("7 None False")


@pytest.mark.parametrize("kind", ["missing", "directory", "not executable"])
async def test_what_cannot_be_executed_is_a_fault(real: Any, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    if kind == "directory":
        path.mkdir()
    elif kind == "not executable":
        path.write_text("#!/bin/sh\n")

    verdict = await real.run(running(Script((str(path),), "thing")))

    assert isinstance(verdict, Failed)
    assert verdict.reason is Reason.FAULT
    assert str(path) in verdict.detail


async def test_an_unknown_user_is_our_own_trouble(real: Any) -> None:
    verdict = await real.run(running(Script(("/bin/true",), "true", user="no-such-user")))

    assert isinstance(verdict, Unknown)
    assert verdict.reason is Reason.LOCAL_ERROR


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")


@pytest.fixture(params=["chroot", "fork"])
def other_user(request: Any, real: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An engine whose children run as somebody else, in both ways there are."""
    if request.param == "fork":
        monkeypatch.setattr(children, "coreutils_chroot", lambda: None)
    elif children.coreutils_chroot() is None:
        pytest.skip("no chroot(1) of coreutils")
    open_to_all(tmp_path)
    real.engine.launcher._resolve = lambda _: Credentials(65534, 65534, (65534, 4242))
    return real


@needs_root
async def test_a_child_runs_as_who_it_should(other_user: Any, tmp_path: Path) -> None:
    command = Script(("/bin/sh", "-c", f"id -u > {tmp_path}/out; id -G >> {tmp_path}/out"), "id")

    assert await other_user.run(running(command)) == Passed("0 None False")
    user, groups = (tmp_path / "out").read_text().splitlines()
    assert user == "65534"
    assert set(groups.split()) == {"65534", "4242"}


@needs_root
@pytest.mark.parametrize("kind", ["missing", "directory", "not executable", "not for this user"])
async def test_what_another_user_cannot_execute_is_a_fault(
    other_user: Any, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "thing"
    if kind == "directory":
        path.mkdir()
    elif kind != "missing":
        path.write_text("#!/bin/sh\n")
        path.chmod(0o700 if kind == "not for this user" else 0o644)

    verdict = await other_user.run(running(Script((str(path),), "thing")))

    assert isinstance(verdict, Failed)
    assert verdict.reason is Reason.FAULT


@needs_root
@pytest.mark.parametrize("status", [0, 125, 126, 127])
async def test_the_exit_status_under_another_user_is_the_command_s_own(other_user: Any, status: int) -> None:
    command = Script(("/bin/sh", "-c", f"exit {status}"), "sh")

    assert await other_user.run(running(command)) == Passed(f"{status} None False")


@needs_root
async def test_another_user_s_script_without_a_first_line_is_run_by_the_shell(
    other_user: Any, tmp_path: Path
) -> None:
    command = script(tmp_path / "plain", "exit 7\n")

    assert await other_user.run(running(command)) == Passed("7 None False")


async def test_a_child_has_its_own_group_and_none_of_our_descriptors(real: Any, tmp_path: Path) -> None:
    command = script(
        tmp_path / "look",
        f"#!/bin/sh\nexec 9> {tmp_path}/out\nps -o pgid= -p $$ >&9; echo $$ >&9; ls -l /proc/$$/fd >&9\n",
    )

    await real.run(running(command))

    group, pid, _total, *descriptors = (tmp_path / "out").read_text().split("\n")
    assert group.strip() == pid
    open_files = [line.split(" -> ")[1] for line in descriptors if " -> " in line]
    assert open_files[:3] == ["/dev/null"] * 3 or open_files.count("/dev/null") >= 3
    assert not any("socket" in name or "eventpoll" in name for name in open_files)


def test_the_environment_keeps_out_what_changes_how_programs_load() -> None:
    environment = {"PATH": "/bin", "IFS": "x", "LD_PRELOAD": "x", "LD_LIBRARY_PATH": "x", "LD_BIND_NOW": "1"}

    assert clean_environment(environment) == {"PATH": "/bin", "LD_BIND_NOW": "1"}


# Time.


async def test_a_child_that_obeys_sigterm_ends_by_it(real: Any) -> None:
    command = Script(("/bin/sleep", "60"), "sleep")

    assert await real.run(running(command, 0.1)) == Passed(f"None {signal.SIGTERM.value} True")


async def test_a_child_that_ignores_sigterm_is_killed(real: Any, tmp_path: Path) -> None:
    real.engine.launcher.ladder = (0.1, 0.1)
    command = script(
        tmp_path / "stubborn",
        f"#!/bin/sh\ntrap 'echo term >> {tmp_path}/out' TERM\nwhile :; do sleep 0.02; done\n",
    )

    assert await real.run(running(command, 0.5)) == Passed(f"None {signal.SIGKILL.value} True")
    assert (tmp_path / "out").read_text() == "term\n"


async def test_the_whole_group_is_told_to_end(real: Any, tmp_path: Path) -> None:
    real.engine.launcher.ladder = (0.2, 0.2)
    command = script(
        tmp_path / "parent",
        f"#!/bin/sh\n(trap '' TERM; exec sleep 61) &\necho $! > {tmp_path}/child\nwait\n",
    )

    await real.run(running(command, 0.3))

    child = int((tmp_path / "child").read_text())
    await until(lambda: not alive(child))


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_a_removed_check_takes_its_child_with_it(real: Any) -> None:
    command = Script(("/bin/sleep", "62"), "sleep")
    asking = asyncio.ensure_future(real.run(running(command)))
    await until(lambda: len(real.engine.launcher.alive) == 1)
    asking.cancel()
    await until(lambda: not real.engine.launcher.alive)


async def test_close_kills_who_does_not_obey(real: Any, tmp_path: Path) -> None:
    real.engine.launcher.ladder = (100.0,)
    text = f"#!/bin/sh\ntrap '' TERM\ntouch {tmp_path}/ready\nwhile :; do sleep 0.02; done\n"
    command = script(tmp_path / "stubborn", text)
    asking = asyncio.ensure_future(real.run(running(command)))
    await until((tmp_path / "ready").exists)
    asking.cancel()
    await real.engine._children_end(0.05)
    (child,) = real.engine.launcher.alive
    child.expire(real.engine.clock())
    await real.engine._children_end(5.0)

    assert not real.engine.launcher.alive


async def test_a_lost_exit_status_is_not_a_success(real: Any) -> None:
    """With SIGCHLD ignored the kernel keeps no exit status."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        verdict = await real.run(running(Script(("/bin/true",), "true")))
    finally:
        signal.signal(signal.SIGCHLD, before)

    assert isinstance(verdict, Unknown)
    assert verdict.reason is Reason.LOCAL_ERROR
