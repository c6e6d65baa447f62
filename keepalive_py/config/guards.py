"""Keywords of ours that keep a service from harm by its own checks. Pure.

All are off unless written, so that a service behaves as with keepalived. What they do, and the
numbers behind it, is in `health/`: `depool`, `slow_start`, `damping`, `checker_state`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from keepalive_py.config.kinds import Integer, only_word
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import BadValue, Kind, loose

__all__ = ["COUNT_DEFAULTS", "FALL", "RISE", "SOURCE", "Failures", "Percentage"]

SOURCE: Final = "docs/guards.md"
MOST_COUNT: Final = 1000

_PERCENT = re.compile(r"([0-9]{1,3})%")
_FRACTION = re.compile(r"([01])(?:\.([0-9]{1,2}))?|\.([0-9]{1,2})")


@dataclass(frozen=True, slots=True)
class Percentage(Kind):
    """`50%` or the fraction `0.5`. The value is whole percent."""

    name: str = "percent % | fraction 0..1"

    def parse(self, line: LogicalLine) -> int:
        text = only_word(line, "a share such as 50% or 0.5")
        value = self._percent(text)
        if value is None or value > 100:
            raise BadValue(
                f"`{text}` is not a share of the pool",
                expected="0%..100% or 0..1 in hundredths",
                code="bad-number",
            )
        return value

    def _percent(self, text: str) -> int | None:
        percent, fraction = _PERCENT.fullmatch(text), _FRACTION.fullmatch(text)
        if percent:
            return int(percent[1])
        if fraction:
            whole, decimals, bare = fraction.groups()
            return 100 * int(whole or 0) + int((decimals or bare or "0").ljust(2, "0"))
        return None

    def write(self, value: int) -> str:
        return f"{value}%"


@dataclass(frozen=True, slots=True)
class Failures(Integer):
    """A number of failures in a row; the value is how many of them are forgiven, as `retry` has it."""

    def read(self, text: str, word: int = 1) -> int:
        return Integer.read(self, text, word) - 1

    def write(self, value: int) -> str:
        return str(value + 1)


FALL: Final = loose(
    "fall",
    Failures(1, MOST_COUNT),
    into="retry",
    since="ours",
    source=SOURCE,
    doc="So many failures in a row, the first included, take the server down: fall 3 is retry 2.",
)
RISE: Final = Integer(1, MOST_COUNT)

# Of servers and services, for their checks.
COUNT_DEFAULTS: Final = (
    FALL,
    loose("rise", RISE, since="ours", source=SOURCE, doc="Default of its checks."),
)
