"""These tests change the kernel's tables, so they want a kernel of their own: run them by
tests/kernel/run, which boots one. Anywhere else they fail and say what is lacking, unless
KEEPALIVE_WITHOUT_KERNEL=1 asks to leave them out."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LEFT_OUT = pytest.StashKey[int]()


def lacking() -> list[str]:
    """What this machine lacks to run these tests."""
    found = []
    if os.environ.get("KEEPALIVE_BOOTED") != "1":
        found.append("a kernel of their own (run tests/kernel/run)")
    if os.geteuid() != 0:
        found.append("root")
    # With IPVS as a module the file appears when it is loaded, which opening a dataplane does.
    if not Path("/proc/net/ip_vs").exists() and not any(
        Path("/lib/modules").glob("*/kernel/net/netfilter/ipvs")
    ):
        found.append("a kernel with IPVS")
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("KEEPALIVE_WITHOUT_KERNEL") != "1" or not lacking():
        return
    mine = [item for item in items if HERE in item.path.parents]
    items[:] = [item for item in items if item not in mine]
    config.hook.pytest_deselected(items=mine)
    config.stash[LEFT_OUT] = len(mine)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    count = config.stash.get(LEFT_OUT, 0)
    if count:
        terminalreporter.section("tests on a real kernel")
        terminalreporter.write_line(
            f"{count} tests left out (KEEPALIVE_WITHOUT_KERNEL=1); they need {' and '.join(lacking())}"
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Nothing left to run is what was asked for."""
    if session.config.stash.get(LEFT_OUT, 0) and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK


@pytest.fixture(autouse=True, scope="session")
def _a_kernel_of_our_own() -> Iterator[None]:
    needs = lacking()
    if needs:
        pytest.fail(f"the tests on a real kernel need {' and '.join(needs)}", pytrace=False)
    return


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Which test failed, at once: a kernel that dies takes pytest's own account with it."""
    if report.failed:
        print(f"\nFAILED {report.nodeid} ({report.when})", file=sys.__stdout__, flush=True)
