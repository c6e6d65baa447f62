"""The watch tells of a change of the configuration, once, and of nothing else."""

# ruff: noqa: ASYNC240  # the files are small, and what the test is about
from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from keepalive_py.sources.watch import TICK, FileWatch

QUIET = 0.05
LONG = 5.0  # a limit, not a wait


class Watched:
    def __init__(self) -> None:
        self.changes = 0
        self.troubles: list[str] = []
        self.heard = asyncio.Event()
        self.watch = FileWatch(self.changed, self.troubles.append, quiet=QUIET, poll=QUIET)

    def changed(self) -> None:
        self.changes += 1
        self.heard.set()

    async def change(self) -> None:
        await asyncio.wait_for(self.heard.wait(), LONG)
        self.heard.clear()

    async def nothing(self, marker: Path) -> None:
        """Nothing was told until now: a change that must be told comes after it, as the first."""
        before = self.changes
        marker.write_text(str(os.urandom(4)))
        await self.change()
        assert self.changes == before + 1


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    made = Watched()
    yield made
    made.watch.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "keepalived.conf"
    made.write_text("one\n")
    return made


async def test_a_file_that_is_written_is_told(watched: Watched, file: Path) -> None:
    watched.watch.follow([str(file)])

    file.write_text("two\n\n")

    await watched.change()


async def test_a_file_that_is_renamed_into_place_is_told(watched: Watched, file: Path) -> None:
    watched.watch.follow([str(file)])

    for text in ("two\n", "three\n"):
        fresh = file.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(file)
        await watched.change()


async def test_a_file_that_goes_and_returns_is_told(watched: Watched, file: Path) -> None:
    watched.watch.follow([str(file)])

    file.unlink()
    await watched.change()
    file.write_text("again\n")
    await watched.change()


async def test_many_writes_at_once_are_one_change(watched: Watched, file: Path) -> None:
    watched.watch.follow([str(file)])

    for number in range(20):
        file.write_text("x" * number)
    await watched.change()
    await watched.nothing(file)


async def test_other_files_of_the_directory_are_not_told(watched: Watched, file: Path) -> None:
    watched.watch.follow([str(file)])

    (file.parent / "other").write_text("noise")
    file.read_text()

    await watched.nothing(file)


async def test_a_file_that_appears_under_a_pattern_is_told(watched: Watched, file: Path) -> None:
    watched.watch.follow([str(file), str(file.parent / "conf.d" / "*.conf"), str(file.parent / "*.inc")])

    (file.parent / "new.inc").write_text("x")

    await watched.change()


async def test_a_swapped_link_is_told(watched: Watched, tmp_path: Path) -> None:
    """As a mounted ConfigMap does it: file -> ..data/file, ..data -> a directory per version."""
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "keepalived.conf").write_text(version)
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "keepalived.conf").symlink_to("..data/keepalived.conf")
    watched.watch.follow([str(tmp_path / "keepalived.conf")])

    (tmp_path / "..next").symlink_to("v2")
    (tmp_path / "..next").rename(tmp_path / "..data")

    await watched.change()
    assert (tmp_path / "keepalived.conf").read_text() == "v2"
    (tmp_path / "v2" / "keepalived.conf").write_text("v2 edited")
    await watched.change()


async def test_only_what_changes_after_follow_counts(watched: Watched, file: Path) -> None:
    watched.watch.follow([str(file)])
    file.write_text("read by a reload already\n")
    watched.watch.follow([str(file)])

    await watched.nothing(file)


async def test_a_change_while_the_files_are_read_is_told(watched: Watched, file: Path) -> None:
    watched.watch.follow([str(file)])

    watched.watch.mark()
    file.write_text("written after it was read\n")
    watched.watch.follow([str(file)])

    await watched.change()


async def test_a_new_file_that_changes_while_it_is_read_is_told(watched: Watched, file: Path) -> None:
    watched.watch.follow([str(file)])
    old, half = file.with_name("old"), file.with_name("half")
    old.write_text("whole since long\n")
    await asyncio.sleep(3 * TICK / 1e9)

    watched.watch.mark()
    read = time.time_ns()
    watched.watch.follow([str(file), str(old)], read)
    await asyncio.sleep(3 * QUIET)
    assert watched.changes == 0

    watched.watch.mark()
    half.write_text("the rest came after it was read\n")
    watched.watch.follow([str(file), str(old), str(half)], read)
    await watched.change()
    await watched.nothing(file)


async def test_a_change_between_reading_and_the_first_look_is_told(watched: Watched, file: Path) -> None:
    await asyncio.sleep(3 * TICK / 1e9)
    read = time.time_ns()
    file.write_text("written while the daemon started\n")
    watched.watch.follow([str(file)], read)

    await watched.change()
    await watched.nothing(file)


async def test_a_file_that_is_named_no_more_is_no_change(watched: Watched, file: Path) -> None:
    other = file.with_name("other")
    other.write_text("included until now\n")
    watched.watch.follow([str(file), str(other)])

    watched.watch.mark()
    watched.watch.follow([str(file)])
    await asyncio.sleep(3 * QUIET)

    await watched.nothing(file)


async def test_a_file_in_a_directory_that_does_not_exist_is_no_trouble(watched: Watched, file: Path) -> None:
    watched.watch.follow([str(file), str(file.parent / "nowhere" / "x.conf")])

    assert watched.troubles == []
    await watched.nothing(file)


async def test_a_directory_that_comes_later_is_watched(watched: Watched, file: Path) -> None:
    later = file.parent / "later" / "on"
    watched.watch.follow([str(file), str(later / "*.conf")])
    later.mkdir(parents=True)
    await asyncio.sleep(4 * QUIET)
    assert watched.changes == 0

    (later / "a.conf").write_text("one\n")
    await watched.change()


async def test_a_directory_that_a_pattern_leaves_open_is_watched(watched: Watched, file: Path) -> None:
    watched.watch.follow([str(file), str(file.parent / "*" / "on" / "lb.conf")])
    (file.parent / "web").mkdir()
    await asyncio.sleep(4 * QUIET)
    (file.parent / "web" / "on").mkdir()
    await asyncio.sleep(4 * QUIET)
    assert watched.changes == 0

    (file.parent / "web" / "on" / "lb.conf").write_text("one\n")
    await watched.change()


async def test_a_directory_that_is_replaced_is_watched(watched: Watched, tmp_path: Path) -> None:
    directory = tmp_path / "etc"
    directory.mkdir()
    file = directory / "lb.conf"
    file.write_text("one\n")
    watched.watch.follow([str(file)])

    directory.rename(tmp_path / "old")
    await watched.change()
    directory.mkdir()
    await asyncio.sleep(4 * QUIET)
    file.write_text("two\n\n")
    await watched.change()
    await watched.nothing(file)


@pytest.mark.parametrize("which", ["Observer", "BaseObserver.schedule"])
async def test_without_inotify_the_files_are_looked_at(
    which: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel has 128 instances for each user, and a daemon must not end for want of one."""

    def exhausted(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr(f"keepalive_py.sources.watch.{which}", exhausted)
    watched = Watched()
    try:
        watched.watch.follow([str(file)])
        assert "inotify instance limit reached; the configuration is looked at" in watched.troubles[0]
        file.write_text("another\n")
        await watched.change()
        await watched.nothing(file)
    finally:
        watched.watch.close()
