"""Wait for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from keepalive_py.errors import KeepaliveError
from keepalive_py.lab.live_time import COUNTS_AS

T = TypeVar("T")


class LabError(KeepaliveError, AssertionError):
    """The lab is not as it was expected to be."""


def eventually(
    probe: Callable[[], T], *, within: float, what: str | Callable[[], str], every: float = 0.05
) -> T:
    """The first true value of `probe`; LabError after `within` seconds, in which this machine ran,
    without one. A callable `what` is asked then, so that it can tell how things stand at the end."""
    ran = 0.0
    last = time.monotonic()
    while True:
        value = probe()
        if value:
            return value
        if ran >= within:
            raise LabError(f"not within {within:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(every)
        now = time.monotonic()
        ran += min(now - last, COUNTS_AS)
        last = now


def equal(probe: Callable[[], T], wanted: T, *, within: float, what: str | Callable[[], str]) -> None:
    """Wait until `probe` gives `wanted`; LabError shows what it gave instead."""
    last: list[T] = []

    def reached() -> bool:
        last[:] = [probe()]
        return last[0] == wanted

    try:
        eventually(reached, within=within, what=what)
    except LabError as late:
        raise LabError(f"{late}\nwanted: {wanted}\nhave:   {last[0]}") from None
