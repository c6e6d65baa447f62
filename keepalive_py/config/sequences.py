"""`~SEQ(…) text` and `~LST(…) text`: one line for each value. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["MOST_VALUES", "BadSequence", "Sequence", "is_sequence", "parse_sequence"]

# keepalived.conf(5) shows an example of 65024 values. A billion is a slip of the hand.
MOST_VALUES = 1_000_000

_HEAD = re.compile(r"~(SEQx|SEQ|LST)[ \t]*\(")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_VALUE = r"(?:\$\{[^{}]*\}|[^ \t,(){}])*"
_SET = re.compile(r"[ \t]*(?:\{(?P<set>(?:\$\{[^{}]*\}|[^{}])*)\}|(?P<one>" + _VALUE + r"))[ \t]*([,)])")
_LONGEST_NUMBER = 20


@dataclass(frozen=True, slots=True)
class Sequence:
    """`values` has `count` rows of as many values as there are `names`; `text_at` is where
    the text begins that is read once for each row."""

    names: tuple[str, ...]
    values: Iterable[tuple[str, ...]]
    count: int
    text_at: int


class BadSequence(ValueError):
    """`start` and `end` are the part of the line that is wrong."""

    def __init__(self, summary: str, start: int, end: int) -> None:
        super().__init__(summary)
        self.start = start
        self.end = end


def is_sequence(text: str) -> bool:
    return text.startswith(("~SEQ", "~LST"))


def parse_sequence(text: str, expand: Callable[[str], str]) -> Sequence:
    """The sequence at the start of `text`, or BadSequence. `expand` resolves references in
    the numbers of a `~SEQ`; the values of a `~LST` are taken as they are."""
    head = _HEAD.match(text)
    if not head:
        raise BadSequence("a sequence begins with ~SEQ(, ~SEQx( or ~LST(", 0, min(4, len(text)))
    if head.group(1) == "LST":
        return _list(text, head.end())
    return _numbers(text, head.end(), expand, hexadecimal=head.group(1) == "SEQx")


def _numbers(text: str, start: int, expand: Callable[[str], str], *, hexadecimal: bool) -> Sequence:
    end = text.find(")", start)
    if end < 0:
        raise BadSequence("the sequence has no closing parenthesis", 0, len(text))
    name, *numbers = (each.strip(" \t") for each in expand(text[start:end]).split(","))
    if not _NAME.fullmatch(name):
        raise BadSequence(f"`{name}` cannot be the name of a sequence", start, end)
    try:
        steps = _range([_number(each) for each in numbers])
        count = _count(steps)
        if hexadecimal and min(steps[0], steps[-1]) < 0:
            raise ValueError("~SEQx is for numbers from 0 up")
    except ValueError as problem:
        raise BadSequence(str(problem), start, end) from None
    values = ((f"{each:x}" if hexadecimal else str(each),) for each in steps)
    return Sequence((name,), values, count, end + 1)


def _number(text: str) -> int:
    """A number in C's syntax: decimal, 0x hexadecimal, 0 octal."""
    if not _NUMBER.fullmatch(text) or len(text) > _LONGEST_NUMBER:
        raise ValueError(f"`{text}` is not a number")
    digits = text.lstrip("+-")
    if digits[:2] in {"0x", "0X"}:
        value = int(digits[2:], 16)
    else:
        value = int(digits, 8 if digits.startswith("0") else 10)
    return -value if text.startswith("-") else value


def _range(numbers: list[int]) -> range:
    if not 1 <= len(numbers) <= 3:
        raise ValueError("a sequence is ~SEQ(name,end), (name,start,end) or (name,start,step,end)")
    end = numbers[-1]
    if len(numbers) == 1:
        start, step = (1 if end >= 0 else -1), (-1 if end < 1 else 1)
    else:
        start = numbers[0]
        step = numbers[1] if len(numbers) == 3 else (1 if end >= start else -1)
    if step == 0 or (end - start) * step < 0:
        raise ValueError(f"from {start} in steps of {step} there is no way to {end}")
    return range(start, end + (1 if step > 0 else -1), step)


def _count(steps: range) -> int:
    count = abs(steps.stop - steps.start + (-1 if steps.step > 0 else 1)) // abs(steps.step) + 1
    if count > MOST_VALUES:
        raise ValueError(f"a sequence of {count} values; the most is {MOST_VALUES}")
    return count


def _list(text: str, start: int) -> Sequence:
    items: list[tuple[str, ...]] = []
    position = start
    while True:
        match = _SET.match(text, position)
        if not match:
            raise BadSequence("this list is not `~LST(name,value,…)`", position, len(text))
        items.append(_row(match))
        position = match.end()
        if match.group(3) == ")":
            break
    names, *rows = items
    _check_list(names, rows, start, position)
    padded = [row + ("",) * (len(names) - len(row)) for row in rows]
    return Sequence(names, padded, len(rows), position)


def _row(match: re.Match[str]) -> tuple[str, ...]:
    if match["set"] is None:
        return (match["one"],)
    return tuple(each.strip(" \t") for each in match["set"].split(","))


def _check_list(names: tuple[str, ...], rows: list[tuple[str, ...]], start: int, end: int) -> None:
    if not all(_NAME.fullmatch(name) for name in names):
        raise BadSequence(f"`{','.join(names)}` cannot be the name of a list", start, end)
    if not rows:
        raise BadSequence("the list has no values", start, end)
    for row in rows:
        if len(row) > len(names):
            raise BadSequence(f"`{','.join(row)}` has more values than there are names", start, end)
        if any(" " in value or "\t" in value for value in row):
            raise BadSequence(f"a value of a list cannot hold a blank: `{','.join(row)}`", start, end)
