"""FILE_CHECK: the number in a file moves a real server's weight, or takes it out. keepalived.conf(5).

Driven by events: the `track_file` room reads the file when it changes, `value_of` makes a number
of its first line, and `file_verdict` says what that means here.

| weight | the number v | verdict |
|---|---|---|
| 0 | v ≠ 0 (`reverse`: v = 0) | fault: the server is out |
| w | v × w ≤ -2^31 | fault |
| w | any other | v × w is added to the server's weight (`reverse`: taken off) |
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from keepalive_py.checkers.wishes import Checker
from keepalive_py.config.check import TIMING, CheckConfig
from keepalive_py.config.kinds import Integer, Word
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import BadValue, Draft, Empty, Keyword, Kind, MissingValue, keyword, loose
from keepalive_py.health.verdict import Failed, Passed, Reason, Verdict

__all__ = ["CHECKER", "FileCheck", "file_verdict", "value_of"]

LEAST: Final = -(2**31)
MOST: Final = 2**31 - 1
# strtol(3) with base 0: blanks, a sign, then 0x and hex digits, 0 and octal ones, or decimals.
NUMBER: Final = re.compile(rb"[ \t\v\f\r]*([-+]?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))")
LONGEST_LINE: Final = 256  # a number with more digits is out of range anyway


@dataclass(frozen=True, slots=True)
class SignedWeight(Kind):
    """NUMBER [reverse | noreverse]. The value: a pair (number, reverse or None if not written)."""

    name: str = "number [reverse | noreverse]"

    def parse(self, line: LogicalLine) -> tuple[int, bool | None]:
        if line.text(1) is None:
            raise MissingValue(line.keyword, "a weight")
        weight = Integer(-MOST, MOST).read(line.words[1].text)
        option = line.text(2)
        if option not in (None, "reverse", "noreverse"):
            raise BadValue(
                f"`{option}` is not an option of a weight", expected="reverse or noreverse", word=2
            )
        return weight, None if option is None else option == "reverse"

    def write(self, value: tuple[int, bool | None]) -> str:
        weight, reverse = value
        return f"{weight}{'' if reverse is None else ' reverse' if reverse else ' noreverse'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck(CheckConfig):
    """`weight` and `reverse` are effective: what is not written here is the track_file's."""

    KIND: ClassVar[str] = "FILE_CHECK"
    WITHOUT: ClassVar[tuple[str, ...]] = TIMING
    LOOSE: ClassVar[tuple[Keyword, ...]] = (
        loose(
            "weight",
            SignedWeight(),
            into="weight_line",
            empty=Empty.ERROR,
            doc="What the number in the file is multiplied by.",
        ),
    )

    track_file: str = keyword("track_file", Word(), doc="Name of the track_file to follow.")
    weight: int = 1
    reverse: bool = False

    @classmethod
    def finish(cls, draft: Draft) -> None:
        values = draft.values
        values["retry"] = 0  # a change of the file decides at once
        name = values.get("track_file")
        if name is None:
            return draft.refuse("no-track-file", "FILE_CHECK has no track_file: it is left out")
        followed = draft.context.track_files.get(name)
        if followed is None:
            summary = f"track_file `{name}` is not declared before this virtual_server"
            return draft.refuse("unknown-track-file", summary, "the check is left out", field="track_file")
        weight, reverse = values.get("weight_line", (followed.weight, None))
        values["weight"] = weight
        values["reverse"] = followed.reverse if reverse is None else reverse
        return None

    def loose_values(self) -> Iterator[tuple[str, Any]]:
        yield "weight", (self.weight, self.reverse)

    def identity(self) -> tuple[object, ...]:
        return (self.KIND, self.track_file)

    def label(self) -> str:
        return self.track_file


def value_of(content: bytes) -> int:
    """The number at the start of the first line, kept within 32 bits; 0 when there is none."""
    found = NUMBER.match(content[:LONGEST_LINE].partition(b"\n")[0])
    if found is None:
        return 0
    sign, hexadecimal, octal, decimal = found.groups()
    number = int(hexadecimal or octal or decimal, 16 if hexadecimal else 8 if octal else 10)
    return max(LEAST, min(MOST, -number if sign == b"-" else number))


def file_verdict(check: FileCheck, value: int, server_weight: int) -> Verdict:
    """What `value` in the file means for a real server configured with `server_weight`."""
    detail = f"{check.track_file} is {value}"
    if check.weight == 0:
        fault = (value != 0) is not check.reverse
        return Failed(Reason.FAULT, detail) if fault else Passed(detail)
    change = value * check.weight * (-1 if check.reverse else 1)
    if change <= LEAST:
        return Failed(Reason.FAULT, detail)
    return Passed(detail, weight=server_weight + min(change, MOST) if change else None)


CHECKER: Final = Checker("FILE_CHECK", FileCheck, None)
