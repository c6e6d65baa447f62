"""One line of text: comments, quotes, braces, words. Pure.

The rules are keepalived's (keepalived.conf(5); lib/parser.c of 2.4). Text is decoded as
UTF-8 where it is that; any other byte becomes a lone surrogate and survives unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

from keepalive_py.config.diagnostics import Origin, Span
from keepalive_py.config.lines import LogicalLine, Word

__all__ = [
    "BLANKS",
    "PLAIN",
    "Place",
    "Text",
    "logical_line",
    "plain_logical_lines",
    "split_brace",
    "uncomment",
]

BLANKS = " \t\r\n\v\f"

# How far a line that includes nothing needs only to be cut at quotes, braces and blanks.
# A comment may follow.
PLAIN = re.compile(r"""[^#!"$~@\\\0]*(?:"[^"$~@\\\0]*"[^#!"$~@\\\0]*)*""")
_PLAIN_TOKEN = re.compile(r"""[{}]|"[^"]*"|[^ \t\r\n\v\f{}"]+""")
_WORD = re.compile(r"""[ \t\r\n\v\f]+|"([^"]*)"|([^ \t\r\n\v\f"]+)|(")""")
_BEFORE_BRACE = re.compile(r"""(?:[^"{}]|"[^"]*(?:"|$))*""")
_COMMENT_MARKS = re.compile(r"""["#!\\]""")


@dataclass(frozen=True, slots=True)
class Text:
    """Text with the columns of the physical line that each character came from.

    `starts` and `ends` are as long as `text`. Text that was put in for a reference has
    the columns of that reference.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    @classmethod
    def of_line(cls, line: str) -> Text:
        return cls(line, range(1, len(line) + 1), range(2, len(line) + 2))

    @classmethod
    def at(cls, text: str, place: Span) -> Text:
        """`text` as if every character stood at `place`."""
        return cls(text, [place.column] * len(text), [place.end_column] * len(text))

    def __len__(self) -> int:
        return len(self.text)

    def cut(self, start: int, end: int | None = None) -> Text:
        return Text(self.text[start:end], self.starts[start:end], self.ends[start:end])

    def joined(self, other: Text) -> Text:
        return Text(self.text + other.text, [*self.starts, *other.starts], [*self.ends, *other.ends])

    def without(self, index: int) -> Text:
        """The text less one character."""
        return self.replace(index, index + 1, "")

    def replace(self, start: int, end: int, new: str) -> Text:
        return Text(
            self.text[:start] + new + self.text[end:],
            [*self.starts[:start], *repeat(self.starts[start], len(new)), *self.starts[end:]],
            [*self.ends[:start], *repeat(self.ends[end - 1], len(new)), *self.ends[end:]],
        )

    def strip(self) -> Text:
        start = len(self.text) - len(self.text.lstrip(BLANKS))
        return self.cut(start, max(start, len(self.text.rstrip(BLANKS))))


@dataclass(frozen=True, slots=True)
class Place:
    """The physical line that is being read."""

    origin: Origin
    line: int

    def span(self, column: int, end_column: int) -> Span:
        return Span(self.origin, self.line, column, end_column)

    def whole(self, text: Text) -> Span:
        return self.part(text, 0, len(text))

    def part(self, text: Text, start: int, end: int) -> Span:
        """Where `text[start:end]` stands; of an empty part, where the text ends."""
        if start < min(end, len(text)):
            return self.span(text.starts[start], text.ends[min(end, len(text)) - 1])
        after = text.ends[-1] if text.text else 1
        return self.span(after, after)


def uncomment(text: Text) -> tuple[Text, Text | None]:
    r"""The text without comment and outer blanks, `\#` and `\!` resolved; and what follows a
    double quote that nothing closes.

    Double quotes protect, single quotes do not. A backslash before any other character
    hides that character from the quote state.
    """
    opened: int | None = None
    index = 0
    while mark := _COMMENT_MARKS.search(text.text, index):
        index = mark.start()
        if mark.group() == '"':
            opened = index if opened is None else None
        elif mark.group() == "\\":
            following = text.text[index + 1 : index + 2]
            if following not in {"#", "!"}:
                index += 1
            elif opened is None:
                text = text.without(index)
        elif opened is None:
            return text.cut(0, index).strip(), None
        index += 1
    return text.strip(), None if opened is None else text.cut(opened)


def split_brace(text: Text) -> tuple[Text, Text, Text]:
    """What stands before the first brace outside double quotes, the brace, and the rest."""
    matched = _BEFORE_BRACE.match(text.text)
    end = matched.end() if matched else 0
    return text.cut(0, end).strip(), text.cut(end, end + 1), text.cut(end + 1).strip()


def logical_line(text: Text, place: Place) -> tuple[LogicalLine | None, Text | None]:
    """The words of one logical line, and what follows a quote that nothing closes."""
    words: list[Word] = []
    unclosed = None
    for match in _WORD.finditer(text.text):
        quoted, bare, quote = match.groups()
        if quote:
            unclosed = text.cut(match.start())
            break
        if quoted is not None or bare:
            words.append(Word(bare or quoted or "", place.part(text, *match.span())))
    if not words:
        return None, unclosed
    return LogicalLine(tuple(words), text.text, place.whole(text)), unclosed


def brace_line(brace: Text, place: Place) -> LogicalLine:
    span = place.whole(brace)
    return LogicalLine((Word(brace.text, span),), brace.text, span, brace.text)


def plain_logical_lines(line: str, origin: Origin, number: int) -> Iterator[LogicalLine]:
    """The fast way for a line that `PLAIN` matches: no references."""
    words: list[Word] = []
    for match in _PLAIN_TOKEN.finditer(line):
        text = match.group()
        start, end = match.span()
        span = Span(origin, number, start + 1, end + 1)
        if text == "{" or text == "}":
            if words:
                yield _joined(line, words)
                words = []
            yield LogicalLine((Word(text, span),), text, span, text)
        else:
            words.append(Word(text[1:-1] if text[0] == '"' else text, span))
    if words:
        yield _joined(line, words)


def _joined(line: str, words: list[Word]) -> LogicalLine:
    first, last = words[0].span, words[-1].span
    raw = line[first.column - 1 : last.end_column - 1]
    if len(words) == 1:
        return LogicalLine(tuple(words), raw, first)
    span = Span(first.origin, first.line, first.column, last.end_column)
    return LogicalLine(tuple(words), raw, span)
