"""When a file asks for a reload."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keepalive_py.daemon.reload_time import ReloadTime, ReloadTimeFile, parse

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC).timestamp()


@pytest.fixture(autouse=True)
def _a_zone_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "XYZ-2")  # two hours before UTC
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds", "dated"),
    [
        ("12:00:05Z", 5, False),
        ("14:00:05", 5, False),
        ("11:59:00Z", 86400 - 60, False),
        ("12:00:00Z", 86400, False),
        ("26-11-23 12:00:01 Z", 1, True),
        ("2026-11-24 14:00:00\n", 86400, True),
    ],
)
def test_times_to_come(text: str, seconds: int, dated: bool) -> None:
    assert parse(text, NOON) == ReloadTime(NOON + seconds, dated)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00:00", "12:60:00", "2026-02-30 12:00:00", "2020-01-01 00:00:00", "12:00", "9999999999"],
)
def test_what_is_no_time_to_come(text: str) -> None:
    assert parse(text, NOON) is None


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(("before", "reloads"), [(True, 1), (False, 0)])
def test_a_time_that_came_since_the_last_look_counts(
    before: bool, reloads: int, tmp_path: Path, clock: Clock
) -> None:
    """`before`: the file was not there yet when we last looked, so it is not an old one."""
    asked: list[str] = []
    path = tmp_path / "when"
    file = ReloadTimeFile(lambda: asked.append("reload"), clock)
    file.configure(str(path), repeat=False)
    if before:
        file.look()
    path.write_text("2026-11-23 12:00:03 Z")
    os.utime(path, (NOON + 1, NOON + 1))
    clock.now = NOON + 5
    file.look()

    assert len(asked) == reloads


def test_the_file_goes_after_its_reload(tmp_path: Path, clock: Clock) -> None:
    reloads: list[float] = []
    path = tmp_path / "when"
    file = ReloadTimeFile(lambda: reloads.append(clock.now), clock)
    file.configure(str(path), repeat=False)
    file.look()
    path.write_text("12:00:10Z")
    file.look()
    clock.now += 9
    file.look()
    assert (reloads, path.exists()) == ([], True)
    clock.now += 1
    file.look()
    assert (reloads, path.exists()) == ([NOON + 10], False)
    clock.now += 86400
    file.look()
    assert len(reloads) == 1


def test_every_day(tmp_path: Path, clock: Clock) -> None:
    reloads: list[float] = []
    path = tmp_path / "when"
    path.write_text("12:00:10Z")
    file = ReloadTimeFile(lambda: reloads.append(clock.now), clock)
    file.configure(str(path), repeat=True)
    for _ in range(3 * 86400 // 10):
        file.look()
        clock.now += 10
    assert reloads == [NOON + 10, NOON + 86410, NOON + 2 * 86400 + 10]


def test_a_changed_file_counts_and_one_that_is_removed_does_not(tmp_path: Path, clock: Clock) -> None:
    reloads: list[float] = []
    path = tmp_path / "when"
    path.write_text("12:00:10Z")
    file = ReloadTimeFile(lambda: reloads.append(clock.now), clock)
    file.configure(str(path), repeat=False)
    file.look()
    path.write_text("12:01:00Z")
    os.utime(path, (1, 1))
    file.look()
    clock.now += 30
    file.look()
    assert reloads == []
    path.unlink()
    clock.now += 60
    file.look()
    assert reloads == []
