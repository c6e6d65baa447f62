"""Tracked files in a real directory, with the kernel's real events, read by hand."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keepalive_py.config.track_file import TrackFile
from keepalive_py.track_file import Watch
from keepalive_py.track_file.inotify import Inotify, parse


class Desk:
    """A watch, and what it said."""

    def __init__(self, mounts: str = os.devnull) -> None:
        self.values: list[int] = []
        self.troubles: list[str] = []
        self.timers: list[Any] = []
        self.watch = Watch(
            lambda _name, value: self.values.append(value),
            lambda _name, text: self.troubles.append(text),
            mounts=mounts,
        )
        self.watch.attach(self)

    # The loop: events are read when a test says so.

    def add_reader(self, fd: Any, callback: Any) -> None:
        pass

    def remove_reader(self, fd: Any) -> None:
        pass

    def call_later(self, delay: float, callback: Any) -> Desk:
        self.timers.append(callback)
        return self

    def cancel(self) -> None:
        self.timers.clear()

    def follow(self, path: Path | str, **more: Any) -> None:
        self.watch.apply({"load": TrackFile("load", str(path), **more)})

    def news(self) -> list[int]:
        """What was reported since the last call."""
        self.watch.changed()
        said, self.values = self.values, []
        return said


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.watch.close()


@pytest.fixture
def load(tmp_path: Path) -> Path:
    return tmp_path.resolve() / "load"


def test_the_first_number_is_reported_at_once(desk: Desk, load: Path) -> None:
    load.write_text("7\n")
    desk.follow(load)
    assert desk.values == [7]
    assert desk.watch.value("load") == 7


def test_a_missing_file_is_0(desk: Desk, load: Path) -> None:
    desk.follow(load)
    assert desk.news() == [0]


def test_every_way_to_change_a_file_is_seen(desk: Desk, load: Path) -> None:
    desk.follow(load)
    assert desk.news() == [0]
    load.write_text("1\n")
    assert desk.news() == [1]
    load.write_text("2\n")
    assert desk.news() == [2]
    load.with_name("new").write_text("3\n")
    load.with_name("new").rename(load)
    assert desk.news() == [3]
    load.rename(load.with_name("old"))
    assert desk.news() == [0]
    load.with_name("old").rename(load)
    assert desk.news() == [3]
    load.unlink()
    assert desk.news() == [0]


def test_the_same_number_again_is_no_news(desk: Desk, load: Path) -> None:
    load.write_text("5\n")
    desk.follow(load)
    desk.news()
    load.write_text("5 still\n")
    assert desk.news() == []


def test_other_files_beside_it_are_no_news(desk: Desk, load: Path) -> None:
    desk.follow(load)
    desk.news()
    load.with_name("other").write_text("5\n")
    assert desk.news() == []


def test_a_file_is_seen_through_links_that_are_swapped(desk: Desk, load: Path) -> None:
    here = load.parent
    for number in ("1", "2"):
        (here / number).mkdir()
        (here / number / "load").write_text(number)
    (here / "data").symlink_to("1")
    load.symlink_to("data/load")
    desk.follow(load)
    assert desk.news() == [1]
    (here / "next").symlink_to("2")
    (here / "next").rename(here / "data")
    assert desk.news() == [2]
    (here / "2" / "load").write_text("22")
    assert desk.news() == [22]
    (here / "1" / "load").write_text("11")
    assert desk.news() == []


def test_directories_may_come_and_go(desk: Desk, load: Path) -> None:
    deep = load.parent / "a" / "b" / "load"
    desk.follow(deep)
    assert desk.news() == [0]
    deep.parent.mkdir(parents=True)
    deep.write_text("4\n")
    assert desk.news() == [4]
    deep.unlink()
    deep.parent.rmdir()
    deep.parent.parent.rmdir()
    assert desk.news() == [0]
    deep.parent.mkdir(parents=True)
    desk.news()
    deep.write_text("5\n")
    assert desk.news() == [5]


def test_a_directory_that_is_moved_away_takes_its_file_along(desk: Desk, load: Path) -> None:
    inner = load.parent / "a" / "load"
    inner.parent.mkdir()
    inner.write_text("4\n")
    desk.follow(inner)
    assert desk.news() == [4]
    inner.parent.rename(load.parent / "b")
    assert desk.news() == [0]
    (load.parent / "b").rename(inner.parent)
    assert desk.news() == [4]


def test_a_fifo_does_not_block(desk: Desk, load: Path) -> None:
    os.mkfifo(load)
    desk.follow(load)
    assert desk.news() == [0]


# init_file.


def test_a_file_is_created_with_its_number(desk: Desk, load: Path) -> None:
    desk.follow(load, init_value=3)
    assert load.read_text() == "3\n"
    assert desk.news() == [3]


@pytest.mark.parametrize(("overwrite", "content"), [(False, "9\n"), (True, "3\n")])
def test_a_file_that_exists_is_only_overwritten_if_asked(
    desk: Desk, load: Path, overwrite: bool, content: str
) -> None:
    load.write_text("9\n")
    desk.follow(load, init_value=3, init_overwrite=overwrite)
    assert load.read_text() == content


def test_a_kept_file_is_not_written_again_by_a_reload(desk: Desk, load: Path) -> None:
    desk.follow(load, init_value=3, init_overwrite=True)
    load.write_text("9\n")
    desk.follow(load, init_value=4, init_overwrite=True)
    assert load.read_text() == "9\n"


def test_nothing_is_written_through_a_link(desk: Desk, load: Path) -> None:
    victim = load.with_name("victim")
    victim.write_text("precious")
    load.symlink_to(victim)
    desk.follow(load, init_value=3, init_overwrite=True)
    assert victim.read_text() == "precious"
    assert "cannot be written" in desk.troubles[0]


def test_a_file_that_cannot_be_created_is_told(desk: Desk, load: Path) -> None:
    desk.follow(load.parent / "nowhere" / "load", init_value=3)
    assert "No such file or directory" in desk.troubles[0]
    assert desk.news() == [0]


# Reload.


def test_a_file_that_is_no_longer_followed_is_no_news(desk: Desk, load: Path) -> None:
    desk.follow(load)
    desk.news()
    desk.watch.apply({})
    load.write_text("5\n")
    assert desk.news() == []
    assert desk.watch.value("load") is None


def test_another_path_is_another_file(desk: Desk, load: Path) -> None:
    load.write_text("5\n")
    desk.follow(load)
    desk.follow(load.with_name("other"))
    assert desk.news() == [5, 0]
    load.write_text("6\n")
    assert desk.news() == []


def test_two_names_of_one_file_are_both_told(desk: Desk, load: Path) -> None:
    both = {name: TrackFile(name, str(load)) for name in ("one", "two")}
    desk.watch.apply(both)
    desk.news()
    load.write_text("8\n")
    assert desk.news() == [8, 8]


# Where events are missing.


def test_a_file_on_a_pseudo_file_system_is_read_again_and_again(tmp_path: Path, load: Path) -> None:
    load.write_text("1\n")
    device = load.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 {os.major(device)}:{os.minor(device)} / / rw - sysfs none rw\n")
    desk = Desk(str(mounts))
    desk.follow(load)
    assert desk.troubles == [f"{load} is on sysfs, which reports no changes: it is read once a second"]
    os.truncate(load, 0)  # which inotify is not asked about
    desk.timers.pop()()
    assert desk.values == [1, 0]
    assert len(desk.timers) == 1
    desk.watch.apply({})
    desk.timers.pop()()
    assert desk.timers == []
    desk.watch.close()


def test_the_real_proc_is_known_as_such() -> None:
    desk = Desk("/proc/self/mountinfo")
    desk.follow("/proc/sys/net/ipv4/ip_forward")
    assert len(desk.troubles) == 1
    desk.watch.close()


def test_without_inotify_files_are_read_again_and_again(
    desk: Desk, load: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: Inotify, _directory: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Inotify, "add", refuse)
    load.write_text("1\n")
    desk.follow(load)
    assert "cannot be watched" in desk.troubles[0]
    load.write_text("2\n")
    desk.timers.pop()()
    assert desk.news() == [1, 2]


def test_without_descriptors_the_number_stays_until_there_are_some(
    desk: Desk, load: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load.write_text("1\n")
    desk.follow(load)
    usual = os.open

    def refuse(path: Any, *more: Any) -> int:
        if path == str(load):
            raise OSError(errno.EMFILE, "Too many open files")
        return usual(path, *more)

    with monkeypatch.context() as without:
        without.setattr(os, "open", refuse)
        load.write_bytes(b"2\n")
        assert desk.news() == [1]
        assert "cannot be read now: Too many open files" in desk.troubles[0]
    desk.timers.pop()()
    assert desk.news() == [2]


# The kernel's side.


def test_events_are_read_whatever_their_names() -> None:
    header = (1).to_bytes(4, "little") + (0x100).to_bytes(4, "little") + bytes(4)
    events = parse(header + (16).to_bytes(4, "little") + b"load".ljust(16, b"\0") + header + bytes(4))
    assert [(event.mask, event.name) for event in events] == [(0x100, "load"), (0x100, "")]


async def test_in_a_loop_it_all_happens_by_itself(load: Path) -> None:
    values: asyncio.Queue[int] = asyncio.Queue()
    watch = Watch(lambda _name, value: values.put_nowait(value), lambda _name, _text: None)
    watch.attach(asyncio.get_running_loop())
    watch.apply({"load": TrackFile("load", str(load))})
    try:
        async with asyncio.timeout(10.0):
            assert await values.get() == 0
            await asyncio.to_thread(load.write_text, "12\n")
            assert await values.get() == 12
    finally:
        watch.close()


def test_a_thousand_files_cost_one_descriptor(desk: Desk, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    files = {f"f{i}": TrackFile(f"f{i}", f"{tmp_path}/{i}") for i in range(1000)}
    desk.watch.apply(files)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    (tmp_path / "500").write_text("1\n")
    desk.values.clear()
    assert desk.news() == [1]
