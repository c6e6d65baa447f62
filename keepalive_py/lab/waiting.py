"""Wait for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from keepalive_py.errors import KeepaliveError

T = TypeVar("T")


class LabError(KeepaliveError, AssertionError):
    """The lab is not as it was expected to be."""


def eventually(probe: Callable[[], T], *, within: float, what: str, every: float = 0.05) -> T:
    """The first true value of `probe`; LabError after `within` seconds without one."""
    deadline = time.monotonic() + within
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise LabError(f"not within {within:g} s: {what}")
        time.sleep(every)


def equal(probe: Callable[[], T], wanted: T, *, within: float, what: str) -> None:
    """Wait until `probe` gives `wanted`; LabError shows what it gave instead."""
    last: list[T] = []

    def reached() -> bool:
        last[:] = [probe()]
        return last[0] == wanted

    try:
        eventually(reached, within=within, what=what)
    except LabError as late:
        raise LabError(f"{late}\nwanted: {wanted}\nhave:   {last[0]}") from None
