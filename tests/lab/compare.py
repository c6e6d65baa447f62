"""Two performances of a scenario side by side, and the differences that are meant."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.stage import Record

UNORDERED = ("fifo", "log")  # in steps of any order


@dataclass(frozen=True)
class Difference:
    """What differs in one aspect of one step (from 1): `- ` lines only the first performer
    has, `+ ` lines only the second; a line that moved is there twice."""

    scenario: str
    step: int
    aspect: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        rows = "".join(f"\n    {line!r}," for line in self.lines)
        return (
            f'[[difference]]\nscenario = "{self.scenario}"\nstep = {self.step}\n'
            f'aspect = "{self.aspect}"\nreason = ""\nlines = [{rows}\n]\n'
        )


def differences(scenario: str, first: Sequence[Record], second: Sequence[Record]) -> list[Difference]:
    found = []
    for number, (one, other) in enumerate(zip(first, second, strict=True), 1):
        for aspect in Record.ASPECTS:
            before, after = (_lines(record, aspect) for record in (one, other))
            changed = [line.rstrip() for line in difflib.ndiff(before, after) if line[0] in "-+"]
            if changed:
                found.append(Difference(scenario, number, aspect, tuple(changed)))
    return found


def _lines(record: Record, aspect: str) -> list[str]:
    lines: list[str] = getattr(record, aspect)
    return sorted(lines) if record.any_order and aspect in UNORDERED else lines


def meant(path: Path) -> dict[Difference, str]:
    """The differences listed in a file, each with its reason."""
    content = tomllib.loads(path.read_text())
    listed = {}
    for row in content.get("difference", []):
        reason = content["reasons"][row.pop("reason")]
        listed[Difference(**{**row, "lines": tuple(row["lines"])})] = reason
    return listed


def verdict(found: Sequence[Difference], listed: Sequence[Difference]) -> str:
    """Empty when exactly the listed differences were found; otherwise what to do."""
    new = [str(one) for one in found if one not in listed]
    gone = [str(one) for one in listed if one not in found]
    text = ""
    if new:
        text += "\n# differs from keepalived (- keepalived, + keepalive-py) and is not listed:\n" + "\n".join(
            new
        )
    if gone:
        text += "\n# listed, but does not occur (any more):\n" + "\n".join(gone)
    return text
