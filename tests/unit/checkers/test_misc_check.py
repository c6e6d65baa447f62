"""MISC_CHECK: what an exit status means."""

from __future__ import annotations

from typing import Any

import pytest

from keepalive_py.checkers.misc import CHECKER, MiscCheck, judge, misc_check
from keepalive_py.checkers.wishes import Exit, Run
from keepalive_py.config.kinds import Script
from keepalive_py.health.verdict import PASSED, Failed, Passed, Reason

SCRIPT = Script(("/bin/check", "a b"), "/bin/check 'a b'")


def check(**more: Any) -> MiscCheck:
    return MiscCheck(script=SCRIPT, **more)


@pytest.mark.parametrize(
    ("status", "dynamic", "verdict"),
    [
        (0, False, PASSED),
        (0, True, PASSED),
        (1, False, Failed(Reason.EXIT_STATUS, "exit status 1", exit_status=1)),
        (1, True, Failed(Reason.EXIT_STATUS, "exit status 1", exit_status=1)),
        (2, False, Failed(Reason.EXIT_STATUS, "exit status 2", exit_status=2)),
        (2, True, Passed(weight=0)),
        (52, True, Passed(weight=50)),
        (255, True, Passed(weight=253)),
        (255, False, Failed(Reason.EXIT_STATUS, "exit status 255", exit_status=255)),
    ],
)
def test_the_exit_status(status: int, dynamic: bool, verdict: Any) -> None:
    assert judge(Exit(status=status), dynamic) == verdict


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_signal_is_a_failure(dynamic: bool) -> None:
    assert judge(Exit(signal=11), dynamic) == Failed(Reason.KILLED, "killed by signal 11", signal=11)


@pytest.mark.parametrize("ended", [Exit(signal=15, timed_out=True), Exit(status=0, timed_out=True)])
def test_out_of_time_is_a_timeout_however_it_ended(ended: Exit) -> None:
    found = judge(ended, True)

    assert isinstance(found, Failed)
    assert (found.reason, found.signal, found.exit_status) == (Reason.TIMEOUT, ended.signal, ended.status)


@pytest.mark.parametrize(("timeout", "wanted"), [(0, 7.5), (3, 3)])
def test_the_time_is_misc_timeout_or_the_delay_loop_of_the_service(timeout: int, wanted: float) -> None:
    config = check(timeout=timeout, service_delay_loop=7.5, delay_loop=1.0)

    assert next(misc_check(config)) == Run(SCRIPT, wanted)


def test_a_reload_compares_the_command_and_who_runs_it() -> None:
    other = Script(SCRIPT.argv, SCRIPT.command, user="nobody")

    assert check(timeout=3).identity() == check().identity()
    assert check(dynamic=True).identity() != check().identity()
    assert MiscCheck(script=other).identity() != check().identity()


def test_only_the_same_command_with_the_same_time_is_shared() -> None:
    assert CHECKER.identical is not None
    assert CHECKER.identical(check()) == CHECKER.identical(check(retry=3))
    assert CHECKER.identical(check()) != CHECKER.identical(check(timeout=1))


def test_the_label_is_the_program() -> None:
    assert check().label() == "/bin/check"


def test_a_command_is_a_child_and_counts_from_its_start() -> None:
    assert CHECKER.child
