"""The top-level block `track_file NAME { }`: a file whose number moves real servers. Pure.

It must come before the virtual_server whose FILE_CHECK names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from keepalive_py.config.diagnostics import Span
from keepalive_py.config.kinds import Integer, Text
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import (
    Again,
    BadValue,
    Draft,
    Empty,
    Keyword,
    Kind,
    MissingValue,
    keyword,
    loose,
)

WEIGHT_LIMIT: Final = 254


@dataclass(frozen=True, slots=True)
class WeightLine(Kind):
    """NUMBER [reverse]: a pair; a bad word after the number is an error, the number counts."""

    limit: int = WEIGHT_LIMIT
    name: str = "number [reverse]"

    def parse(self, line: LogicalLine) -> tuple[int, bool]:
        text = line.text(1)
        if text is None:
            raise MissingValue(line.keyword, "a weight")
        weight = Integer(-self.limit, self.limit).read(text)
        option = line.text(2)
        if option not in (None, "reverse"):
            raise BadValue(
                f"`{option}` is not an option of a weight", expected="reverse", word=2, used=(weight, False)
            )
        return weight, option == "reverse"

    def write(self, value: tuple[int, bool]) -> str:
        weight, reverse = value
        return f"{weight} reverse" if reverse else str(weight)


@dataclass(frozen=True, slots=True)
class InitLine(Kind):
    """[VALUE] [overwrite], in any order; the value of an absent VALUE is 0."""

    name: str = "[number] [overwrite]"

    def parse(self, line: LogicalLine) -> tuple[int, bool]:
        value, overwrite = 0, False
        for index, word in enumerate(line.words[1:], 1):
            if word.text == "overwrite":
                overwrite = True
            elif word.text[:1].isdigit() or word.text[:1] in "+-":
                value = Integer(-(2**31), 2**31 - 1).read(word.text, index)
            else:
                raise BadValue(
                    f"`{word.text}` is not an option of init_file", expected="overwrite", word=index
                )
        if abs(value) > WEIGHT_LIMIT:
            raise BadValue(f"{value} is outside -{WEIGHT_LIMIT}..{WEIGHT_LIMIT}", used=(value, overwrite))
        return value, overwrite

    def write(self, value: tuple[int, bool]) -> str:
        number, overwrite = value
        return f"{number} overwrite" if overwrite else str(number)


@dataclass(frozen=True, slots=True)
class TrackFile:
    LOOSE: ClassVar[tuple[Keyword, ...]] = (
        loose(
            "weight",
            WeightLine(),
            into="weight_line",
            again=Again.REFUSED,
            empty=Empty.ERROR,
            doc="What the file's number is multiplied by; 0: a number other than 0 is a fault.",
        ),
        loose("init_file", InitLine(), into="init_line", doc="Create the file with this number."),
    )

    name: str
    path: str = keyword(
        "file",
        Text(),
        again=Again.REFUSED,
        empty=Empty.ERROR,
        doc="The file to watch; its first line is a number.",
    )
    weight: int = 1
    reverse: bool = False
    init_value: int | None = None
    init_overwrite: bool = False
    where: Span | None = field(default=None, compare=False)

    def loose_values(self) -> Iterator[tuple[str, Any]]:
        if (self.weight, self.reverse) != (1, False):
            yield "weight", (self.weight, self.reverse)
        if self.init_value is not None:
            yield "init_file", (self.init_value, self.init_overwrite)

    @classmethod
    def finish(cls, draft: Draft) -> None:
        values = draft.values
        values["name"] = draft.head
        if "path" not in values:
            draft.refuse("no-file", f"track_file {draft.head} has no file: it is left out")
        values["weight"], values["reverse"] = values.get("weight_line", (1, False))
        values["init_value"], values["init_overwrite"] = values.get("init_line", (None, False))
