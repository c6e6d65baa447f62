"""Tables and colours on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TextIO

COLOURS: Final = {"green": "32", "red": "31", "yellow": "33", "grey": "90", "bold": "1"}
BARS: Final = "▁▂▃▄▅▆▇█"


class Paint:
    """Colours for a terminal that wants them; NO_COLOR (https://no-color.org) says it does not."""

    def __init__(self, stream: TextIO | None = None) -> None:
        out = sys.stdout if stream is None else stream
        self.on = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def __call__(self, colour: str, text: str) -> str:
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self.on and colour else text


Cell = str | tuple[str, str]  # a text, or a colour and a text


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]], paint: Paint) -> Iterator[str]:
    """Columns as wide as they need to be; numbers to the right. The last one is not padded."""
    body = [[cell if isinstance(cell, tuple) else ("", cell) for cell in row] for row in rows]
    widths = [max([len(head), *(len(row[at][1]) for row in body)]) for at, head in enumerate(heads)]
    right = [bool(body) and all(is_number(row[at][1]) for row in body) for at in range(len(heads))]
    yield paint("bold", "  ".join(fit(head, widths[at], right[at]) for at, head in enumerate(heads)).rstrip())
    for row in body:
        cells = [paint(colour, fit(text, widths[at], right[at])) for at, (colour, text) in enumerate(row)]
        yield "  ".join(cells).rstrip()


def fit(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)


def is_number(text: str) -> bool:
    return text == "-" or text.lstrip("-").isdecimal()


def sparkline(history: Sequence[Mapping[str, Any]]) -> str:
    """One character for each run of a check: how long it took beside the longest; × failed, · unknown."""
    most = max((run["took"] for run in history if run["passed"]), default=0.0)
    return "".join(bar(run, most) for run in history)


def bar(run: Mapping[str, Any], most: float) -> str:
    if not run["passed"]:
        return "·" if run["passed"] is None else "×"
    return BARS[round(run["took"] / most * (len(BARS) - 1)) if most else 0]


def spoken(seconds: float) -> str:
    """93784 -> 1d 2h; 75 -> 1m 15s."""
    whole, parts = int(seconds), list[str]()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, whole = divmod(whole, size)
        if number or (unit == "s" and not parts):
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2])


def many(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"
