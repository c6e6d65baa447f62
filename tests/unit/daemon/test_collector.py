"""What is frozen at a reload does not stay for ever, nor do the pages that it was in."""

from __future__ import annotations

import gc
import platform
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepalive_py.daemon.memory import THAW_EVERY, growing


class Request:
    """With a cycle, as a connection and its protocol have one."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_was_under_way_at_a_reload_is_freed_some_reloads_later() -> None:
    under_way = Request()
    seen = weakref.ref(under_way)
    with growing():
        pass
    del under_way
    gc.collect()
    assert seen() is not None, "it was not frozen: the test proves nothing"

    for _ in range(THAW_EVERY):
        with growing():
            pass
    assert seen() is None


def test_what_was_made_is_frozen_and_the_collector_goes_on() -> None:
    gc.unfreeze()
    with growing():
        assert not gc.isenabled()
        made = Request()
        seen = weakref.ref(made)
    assert gc.isenabled()
    del made
    gc.collect()
    assert seen() is not None


def resident() -> int:
    """kB, counted page by page."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can do it")
def test_holes_in_the_heap_go_back_some_reloads_later() -> None:
    made = [bytes(50_000) for _ in range(2000)]
    del made[1::2]
    with_holes = resident()

    for _ in range(THAW_EVERY):
        with growing():
            pass
    assert resident() < with_holes - 30_000
    assert len(made) == 1000
