"""Keeping the garbage collector away from what stays for long.

A configuration is hundreds of thousands of small values that live until the next reload and
form no cycles. Walking them again and again costs a large balancer tens of milliseconds each
time, in which no probe is served. What a reload replaces is freed by its count of references.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

SHORT_TURN = 0.0005  # seconds that a reading thread may keep the interpreter
USUAL_TURN = sys.getswitchinterval()

_readers = 0  # a reload and a preview may read at the same time; the last one out switches back


@contextlib.contextmanager
def growing() -> Iterator[None]:
    """What the body makes stays: the collector does not look at it, now or later. Before that the
    garbage goes, or it would stay, too; what was frozen earlier costs no time then."""
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
    global _readers
    _readers += 1
    sys.setswitchinterval(SHORT_TURN)
    try:
        with growing():
            yield
    finally:
        _readers -= 1
        if not _readers:
            sys.setswitchinterval(USUAL_TURN)
