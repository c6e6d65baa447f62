"""Keeping the garbage collector away from what stays for long.

A configuration is hundreds of thousands of small values that live until the next reload and
form no cycles. Walking them again and again costs a large balancer tens of milliseconds each
time, in which no probe is served. What a reload replaces is freed by its count of references.

What else is there at that moment is frozen with it, for instance a request under way, and that has
cycles: almost one kilobyte a reload, which would never be free again. So everything is looked at once
in a while.
"""

from __future__ import annotations

import contextlib
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
    if next(_times) % THAW_EVERY == 0:
        gc.unfreeze()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """While a thread reads a configuration: short turns, so that the loop is not kept waiting."""
    with short_turns(), growing():
        yield
