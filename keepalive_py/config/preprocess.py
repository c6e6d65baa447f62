"""From files to logical lines: includes, conditions, definitions, sequences. Pure.

A file is read line by line and lazily, because the block layer may change the include
level (`include_check` of `global_defs`) while it consumes the lines.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from keepalive_py.config.diagnostics import Diagnostic, Diagnostics, ExitClass, Origin, Severity, Span
from keepalive_py.config.lexer import (
    PLAIN,
    Place,
    Text,
    brace_line,
    logical_line,
    plain_logical_lines,
    split_brace,
    uncomment,
)
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.source import Source, SourceProblem, directory_of, join

__all__ = [
    "IncludeCheck",
    "IncludeLevel",
    "LineReader",
    "ReadOptions",
    "Reading",
    "iterate_lines",
    "read_lines",
]


class IncludeCheck(enum.IntFlag):
    """Which problems of an include count as errors (keepalived.conf(5) `include_check`)."""

    NONE = 0
    READ = 1
    MATCH = 2
    WILDCARD = 4
    BRACE = 8
    ALL = 15


@dataclass(slots=True)
class IncludeLevel:
    """The checks in force for the includes that come next. The block layer sets `checks`
    when it meets `include_check`; the reader restores it at the end of each file."""

    checks: IncludeCheck = IncludeCheck.NONE


def _smallest(low: int, high: int) -> int:
    return low


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What the text may depend on besides the files.

    `config_id` is what `@ID` compares with. `random(low, high)` answers an int, both ends
    included. `directory` is where the main file's relative path starts (for `${_PWD}`).
    """

    config_id: str = ""
    strict_includes: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    random: Callable[[int, int], int] = _smallest
    directory: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole text. `files` were read, in order; `watched` are the paths and patterns that
    were asked for (a file that appears there changes the text too)."""

    lines: list[LogicalLine]
    diagnostics: list[Diagnostic]
    files: list[str]
    watched: list[str]


class LineReader:
    """Iterate it once; it reads no further than it was asked.

    `diagnostics` may be shared with the block layer, so that all stand in reading order.
    """

    def __init__(
        self, path: str, source: Source, options: ReadOptions, diagnostics: Diagnostics | None = None
    ) -> None:
        self.path = path
        self.source = source
        self.options = options
        self.diagnostics = Diagnostics() if diagnostics is None else diagnostics
        self.include_level = IncludeLevel(IncludeCheck.ALL if options.strict_includes else IncludeCheck.NONE)
        self.files: list[str] = []
        self.watched: list[str] = []

    def __iter__(self) -> Iterator[LogicalLine]:
        return self._file(self.path, None)

    def _file(self, path: str, included_from: Span | None) -> Iterator[LogicalLine]:
        self.watched.append(path)
        content = self.source.read(path)
        if isinstance(content, SourceProblem):
            self._complain("file-problem", f"{path}: {content.value}", included_from)
            return
        self.files.append(path)
        origin = Origin(path, included_from)
        for number, physical in enumerate(content.decode("utf-8", "surrogateescape").split("\n"), 1):
            yield from self._physical(physical, origin, number)

    def _physical(self, physical: str, origin: Origin, number: int) -> Iterator[LogicalLine]:
        if PLAIN.fullmatch(physical) and not physical.lstrip().startswith("include"):
            yield from plain_logical_lines(physical, origin, number)
            return
        text = uncomment(Text.of_line(physical))
        if text.text.startswith("include "):
            yield from self._include(text, Place(origin, number))
        elif text:
            yield from self._logical(text, Place(origin, number))

    def _include(self, text: Text, place: Place) -> Iterator[LogicalLine]:
        span = place.whole(text)
        pattern = join(directory_of(place.origin.file), text.text[8:].strip())
        for path in self.source.glob(pattern):
            yield from self._file(path, span)

    def _logical(self, text: Text, place: Place) -> Iterator[LogicalLine]:
        while text:
            before, brace, text = split_brace(text)
            line, unclosed = logical_line(before, place)
            if unclosed:
                self._complain("unterminated-quote", "unterminated quote", unclosed)
            if line:
                yield line
            if brace:
                yield brace_line(brace, place)

    def _complain(self, code: str, summary: str, subject: Span | None) -> None:
        self.diagnostics.add(Diagnostic(Severity.ERROR, code, summary, subject, exit_class=ExitClass.GENERAL))


def iterate_lines(
    path: str, source: Source, options: ReadOptions, diagnostics: Diagnostics | None = None
) -> LineReader:
    return LineReader(path, source, options, diagnostics)


def read_lines(path: str, source: Source, options: ReadOptions) -> Reading:
    reader = LineReader(path, source, options)
    lines = list(reader)
    return Reading(lines, list(reader.diagnostics), reader.files, reader.watched)
