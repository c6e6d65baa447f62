"""Keeping the garbage collector away from what stays for long.

A configuration is hundreds of thousands of small values that live until the next reload and
form no cycles. Walking them again and again costs a large balancer tens of milliseconds each
time, in which no probe is served. What a reload replaces is freed by its count of references.

What else is there at that moment is frozen with it, for instance a request under way, and that has
cycles: almost one kilobyte a reload, which would never be free again. So everything is looked at once
in a while.

And the C library keeps what Python gave back, in holes that the next configuration does not fit into:
the heap of a balancer with some included files grew from 18 to 27 MB in 5,000 reloads, with 13 MB of it
in use all the time. It is asked to return whole pages, at the same times: malloc_trim(3).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator
from itertools import count
from typing import Final

from keepalive_py.turns import short_turns

THAW_EVERY: Final = 64  # times; a look at 10,000 real servers takes some 0.1 s

_times = count(1)


@contextlib.contextmanager
def growing() -> Iterator[None]:
    """What the body makes stays: the collector does not look at it, now or later. Before that the
    garbage goes, or it would stay, too; what was frozen earlier costs no time then, but for every
    THAW_EVERYth time."""
    thawing = next(_times) % THAW_EVERY == 0
    if thawing:
        gc.unfreeze()
    gc.collect()
    if thawing:
        return_pages()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def return_pages() -> None:
    """To the kernel, what is free in the heap of the C library; only glibc can do it."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """While a thread reads a configuration: short turns, so that the loop is not kept waiting."""
    with short_turns(), growing():
        yield
