"""From files to logical lines: includes, conditions, definitions, sequences. Pure.

A file is read line by line and lazily, because the block layer may change the include
level (`include_check` of `global_defs`) while it consumes the lines. What an include, a
sequence or a definition puts in the place of a line stands on a stack: nothing here
recurses, so no text can exhaust the interpreter.

A line goes through these in turn (keepalived.conf(5)): comment, condition, definition,
sequence, references, comment again, include, braces. What follows a brace is a line of
its own and goes through all but the first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from keepalive_py.config import complaints
from keepalive_py.config.definitions import Definition, Definitions, Expansion, Trouble, Use, parse_definition
from keepalive_py.config.diagnostics import Diagnostic, Diagnostics, Origin, Span
from keepalive_py.config.includes import (
    MOST_ALTERNATIVES,
    Include,
    IncludeCheck,
    IncludeLevel,
    Missing,
    alternatives,
    parse_include,
    resolve,
)
from keepalive_py.config.lexer import (
    BLANKS,
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
from keepalive_py.config.sequences import BadSequence, is_sequence, parse_sequence
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

# Bytes of a physical line without its end, as keepalived's buffer has it.
LONGEST_LINE = 1022
# The largest example of keepalived.conf(5) makes a million lines out of sequences.
MOST_LINES_MADE = 2_000_000
MOST_FILES = 10_000
DEEPEST_NESTING = 100
# A comment out of a definition can uncover a reference, which is resolved in the next pass.
MOST_PASSES = 100
# A file with so many broken lines is not a configuration. A line with a NUL or one that
# takes long to fail weighs more.
MOST_BROKEN = 1000
MOST_BROKEN_IN_ALL = 3_000
_HEAVY = 50
# Odd references that are looked at; looking for what was meant takes time.
MOST_TROUBLES = 1000
# A longer line takes the slow way, where its length is judged.
_LONGEST_PLAIN = 250


def _lowest(low: int, high: int) -> int:
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
    random: Callable[[int, int], int] = _lowest
    directory: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole text. `files` were read, in order; `watched` are the glob(7) patterns that
    were looked for: a file that appears under one of them changes the text too."""

    lines: list[LogicalLine]
    diagnostics: list[Diagnostic]
    files: list[str]
    watched: list[str]


_CONDITION = re.compile(r"@(\^?)([^ \t\r\v\f]*)(?:[ \t\r\v\f]+(.*))?", re.DOTALL)


class _File:
    """A file that is being read. `number` and `continued` are of the line read last."""

    def __init__(self, origin: Origin, text: str, directory: str, checks_before: IncludeCheck) -> None:
        self.origin = origin
        self.directory = directory
        self.checks_before = checks_before
        self.number = 0
        self.continued = False
        self.broken = 0
        self.lines = enumerate(text.split("\n"), 1)

    def next_line(self) -> str | None:
        self.number, line = next(self.lines, (self.number, None))
        return line

    def abandon(self) -> None:
        for _ in self.lines:
            pass

    @property
    def place(self) -> Place:
        return Place(self.origin, self.number)


@dataclass(slots=True)
class _Files:
    """What an include names and is still to be read."""

    paths: Iterator[str]
    checks: IncludeCheck
    included_from: Span


@dataclass(slots=True)
class _Sequence:
    """The text after `~SEQ(…)`, once for each row. `lines` is how many lines this sequence
    makes together with those around it."""

    names: tuple[str, ...]
    rows: Iterator[tuple[str, ...]]
    text: Text
    place: Place
    lines: int


@dataclass(slots=True)
class _Body:
    """The lines of a definition that stands at the end of a line."""

    name: str
    lines: Iterator[Text]
    place: Place


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
        self._stack: list[_File | _Files | _Sequence | _Body] = []
        self._definitions = Definitions(
            config_id=options.config_id, environment=options.environment, random=options.random
        )
        self._made = 0
        self._broken = 0
        self._quote_told: Place | None = None
        self._troubles: set[Span] = set()

    def __iter__(self) -> Iterator[LogicalLine]:
        for path in self._main_files():
            self._open_main(path)
            while self._stack:
                yield from self._advance(self._stack[-1])

    def _advance(self, frame: _File | _Files | _Sequence | _Body) -> Iterator[LogicalLine]:
        if isinstance(frame, _File):
            return self._read_file(frame)
        if isinstance(frame, _Files):
            return self._open_next(frame)
        return self._next_row(frame) if isinstance(frame, _Sequence) else self._next_of_body(frame)

    @property
    def _file(self) -> _File:
        """The file that the current line stands in."""
        return next(frame for frame in reversed(self._stack) if isinstance(frame, _File))

    # Files

    def _main_files(self) -> list[str]:
        names = alternatives(self.path) or [self.path]
        found = [path for name in names for path in self.source.glob(name)]
        self.watched.extend(names)
        if not found or self.path in found or self.source.read(self.path) is not SourceProblem.MISSING:
            return [self.path]
        if len(found) > 1:
            self.diagnostics.add(complaints.several_main_files(self.path, found))
        return found

    def _open_main(self, path: str) -> None:
        content = self.source.read(path)
        if isinstance(content, SourceProblem):
            self.diagnostics.add(complaints.unreadable_main_file(path, content))
        else:
            self._push_file(path, content, None)

    def _open_next(self, include: _Files) -> Iterator[LogicalLine]:
        path = next(include.paths, None)
        if path is None:
            self._stack.pop()
        elif refusal := self._refusal(path, include.included_from):
            self.diagnostics.add(refusal)
        else:
            self._open_included(path, include)
        return iter(())

    def _refusal(self, path: str, included_from: Span) -> Diagnostic | None:
        """An include loop ends in keepalived only when it has no descriptors left."""
        chain = [frame.origin.file for frame in self._stack if isinstance(frame, _File)]
        if path in chain:
            return complaints.include_loop(path, included_from, chain[chain.index(path) :])
        if len(self._stack) > DEEPEST_NESTING:
            return complaints.too_deep(included_from, DEEPEST_NESTING)
        if len(self.files) >= MOST_FILES:
            return complaints.too_many_files(included_from, MOST_FILES)
        return None

    def _open_included(self, path: str, include: _Files) -> None:
        content = self.source.read(path)
        if isinstance(content, SourceProblem):
            counts = bool(include.checks & IncludeCheck.READ)
            self.diagnostics.add(complaints.include_unreadable(path, content, include.included_from, counts))
        else:
            self._push_file(path, content, include.included_from)

    def _push_file(self, path: str, content: bytes, included_from: Span | None) -> None:
        self.files.append(path)
        directory = join(self.options.directory, directory_of(path)) or "."
        text = content.decode("utf-8", "surrogateescape")
        origin = Origin(path, included_from)
        if text.startswith("\ufeff"):
            self.diagnostics.add(complaints.byte_order_mark(Span(origin, 1, 1, 2)))
        self._stack.append(_File(origin, text, directory, self.include_level.checks))

    def _include(self, include: Include, text: Text, place: Place) -> None:
        span = place.whole(text)
        checks = self.include_level.checks | include.checks
        resolution = resolve(include.pattern, directory_of(self._file.origin.file), self.source)
        if resolution is None:
            self.diagnostics.add(complaints.include_too_wide(span, MOST_ALTERNATIVES))
            return
        self.watched.extend(resolution.watched)
        missing = resolution.missing
        counts = missing is not None and bool(checks & missing.value)
        if missing is not None and (counts or missing is not Missing.WILDCARD):
            self.diagnostics.add(complaints.include_missing(missing, resolution.absent, span, counts))
        if not (counts and missing is Missing.ALTERNATIVE):
            self._stack.append(_Files(iter(resolution.paths), checks, span))

    # Physical lines

    def _read_file(self, file: _File) -> Iterator[LogicalLine]:
        """Reads to the end of the file, or until something stands above it on the stack."""
        plain, stack, origin = PLAIN.match, self._stack, file.origin
        for number, line in file.lines:
            if not line:
                continue
            if len(line) < _LONGEST_PLAIN and "include" not in line and (match := plain(line)):
                end = match.end()
                if end == len(line) or (line[end] in "#!" and "\0" not in line):
                    yield from plain_logical_lines(line[:end], origin, number)
                    continue
            file.number = number
            yield from self._physical_line(line, file)
            if stack[-1] is not file:
                return
        stack.pop()
        self.include_level.checks = file.checks_before

    def _physical_line(self, line: str, file: _File) -> Iterator[LogicalLine]:
        text = self._uncommented(line, file)
        if text is None:
            return
        if text.text.endswith("\\"):
            text = text.cut(0, len(text) - 1).strip().joined(text.cut(len(text) - 1))
        yield from self._line(text, file.place)

    def _uncommented(self, line: str, file: _File) -> Text | None:
        """The text of a physical line; None when nothing is left of it."""
        line = line.rstrip("\r")
        if not self._acceptable(line, file):
            return None
        text, unclosed = uncomment(Text.of_line(line))
        file.continued = text.text.endswith("\\") or line.rstrip(BLANKS).endswith("\\")
        if unclosed is not None:
            self._tell_quote(unclosed, file.place)
        return text if text.text else None

    def _acceptable(self, line: str, file: _File) -> bool:
        place = file.place
        if "\0" in line:
            at = line.index("\0") + 1
            self._tell_broken(complaints.nul_byte(place.span(at, at + 1)), _HEAVY)
            return False
        length = len(line) if line.isascii() else len(line.encode("utf-8", "surrogateescape"))
        if length > LONGEST_LINE:
            self._tell_broken(complaints.line_too_long(place.span(1, 1), length, LONGEST_LINE))
        return length <= LONGEST_LINE

    def _tell_quote(self, unclosed: Text, place: Place) -> None:
        """Once for each physical line."""
        if self._quote_told != place:
            self._quote_told = place
            self._tell_broken(complaints.unterminated_quote(place.part(unclosed, 0, 1)))

    def _tell_broken(self, complaint: Diagnostic, weight: int = 1) -> None:
        """A hopeless file is left, and in the end a hopeless configuration."""
        self.diagnostics.add(complaint)
        file = self._file
        file.broken += weight
        self._broken += weight
        if file.broken >= MOST_BROKEN:
            self.diagnostics.add(complaints.not_text(file.place.span(1, 1)))
            file.abandon()
            self._abandon_line()
        if self._broken >= MOST_BROKEN_IN_ALL:
            files = [frame for frame in self._stack if isinstance(frame, _File)]
            for each in files:
                each.abandon()
            self._stack[:] = files

    # Lines

    def _line(self, text: Text, place: Place) -> Iterator[LogicalLine]:
        """A line whose comment is gone. Every brace leaves the rest as a line of its own."""
        rest: Text | None = text
        while rest is not None and (rest := self._prepared(rest, place)) is not None:
            before, brace, rest = split_brace(rest)
            if before.text:
                yield from self._words(before, place)
            if not brace.text:
                return
            yield brace_line(brace, place)

    def _words(self, text: Text, place: Place) -> Iterator[LogicalLine]:
        line, unclosed = logical_line(text, place)
        if unclosed is not None:
            self._tell_quote(unclosed, place)
        if text.text.endswith("\\"):
            self.diagnostics.add(complaints.trailing_backslash(place.part(text, len(text) - 1, len(text))))
        if line is not None:
            yield line

    def _prepared(self, text: Text, place: Place) -> Text | None:
        """The line ready to be cut at its first brace. None when nothing is left of it or
        when what stands for it is now on the stack."""
        conditional = self._condition(text)
        if conditional is None:
            return None
        expanded = self._expanded(conditional, place)
        if expanded is None:
            return None
        include = parse_include(expanded.text)
        if include is None:
            return expanded if expanded.text else None
        self._include(include, expanded, place)
        return None

    def _condition(self, text: Text) -> Text | None:
        """`@ID rest` and `@^ID rest`: the rest when the condition holds."""
        match = _CONDITION.fullmatch(text.text)
        if match is None:
            return text
        differs, name, rest = match.groups()
        kept = text.cut(match.start(3)) if rest else None
        if (name == self.options.config_id) != bool(differs):
            return kept
        if kept is not None and parse_definition(kept.text):
            self._continuation()
        return None

    # Definitions

    def _defines(self, text: Text) -> bool:
        parsed = parse_definition(text.text)
        if parsed is None:
            return False
        name, value = parsed
        following = self._continuation()
        if following is None:
            self._definitions.define(name, Definition((value,)))
            return True
        lines = [line for line in (value.removesuffix("\\").strip(BLANKS), *following) if line]
        self._definitions.define(name, Definition(tuple(lines) or ("",), spread=bool(lines)))
        return True

    def _continuation(self) -> list[str] | None:
        """The further lines of a definition; None when it has none. An empty line ends it; a
        line that holds only blanks or a comment does not."""
        file = self._stack[-1]
        if not isinstance(file, _File) or not file.continued:
            return None
        lines: list[str] = []
        while file.continued and (line := file.next_line()) is not None:
            if not line.rstrip("\r"):
                break
            text = self._uncommented(line, file)
            if text is None:
                file.continued = True
            else:
                lines.append(text.text.removesuffix("\\").rstrip(BLANKS))
        file.continued = False
        return lines

    def _expanded(self, text: Text, place: Place) -> Text | None:
        """The text with its references resolved. None when it was a definition, or when
        lines on the stack stand for it."""
        for _ in range(MOST_PASSES):
            if is_sequence(text.text):
                self._start_sequence(text, place)
                return None
            if self._defines(text):
                return None
            if "$" not in text.text:
                return text
            expansion = self._definitions.expand(text, self._file.directory)
            if expansion.use is not None:
                self._start_body(expansion.text, expansion.use, place)
                return None
            if not expansion.changed or not expansion.text.text:
                self._tell_troubles(expansion, place)
                return expansion.text
            text = self._uncommented_again(expansion.text, place)
        self._tell_broken(complaints.endless_definition(text.text, place.whole(text)), _HEAVY)
        return None

    def _uncommented_again(self, text: Text, place: Place) -> Text:
        """A line that is a comment as a whole is meant so: a definition can switch lines off."""
        again, unclosed = uncomment(text)
        if unclosed is not None:
            self._tell_quote(unclosed, place)
        before = text.strip()
        if again.text and len(again) < len(before) and before.text.startswith(again.text):
            comment = place.part(before, len(again), len(before))
            self.diagnostics.add(complaints.comment_after_expansion(comment))
        return again

    def _tell_troubles(self, expansion: Expansion, place: Place) -> None:
        for trouble in expansion.troubles:
            at = place.whole(trouble.at)
            if trouble.code == "endless-definition":
                self._tell_broken(complaints.endless_definition(trouble.name, at), _HEAVY)
            elif at not in self._troubles and len(self._troubles) < MOST_TROUBLES:
                self._tell_trouble(trouble, at)

    def _tell_trouble(self, trouble: Trouble, at: Span) -> None:
        """Once for each place: what follows a brace, and each row of a sequence, is expanded
        again."""
        self._troubles.add(at)
        complaint = complaints.reference_trouble(trouble, at, self._definitions.names())
        if complaint is not None:
            self.diagnostics.add(complaint)

    def _start_body(self, before: Text, use: Use, place: Place) -> None:
        """The first line of the definition goes on where the reference stands."""
        at = place.whole(use.at)
        if use.name in [frame.name for frame in self._stack if isinstance(frame, _Body)]:
            self.diagnostics.add(complaints.endless_definition(use.name, at))
        elif len(self._stack) > DEEPEST_NESTING:
            self.diagnostics.add(complaints.too_deep(at, DEEPEST_NESTING))
        else:
            first, *others = (Text.at(line, at) for line in use.lines)
            if before.text.strip(BLANKS):
                first = self._uncommented_again(before.joined(first), place)
            self._stack.append(_Body(use.name, iter([first, *others]), place))

    def _next_of_body(self, body: _Body) -> Iterator[LogicalLine]:
        text = next(body.lines, None)
        if text is None:
            self._stack.pop()
        elif self._may_make_another(text, body.place):
            yield from self._line(text, body.place)

    # Sequences

    def _start_sequence(self, text: Text, place: Place) -> None:
        try:
            sequence = parse_sequence(text.text, self._value)
        except BadSequence as problem:
            subject = place.part(text, problem.start, problem.end)
            self.diagnostics.add(complaints.bad_sequence(problem, subject))
            return
        around = next((frame.lines for frame in reversed(self._stack) if isinstance(frame, _Sequence)), 1)
        rest = text.cut(sequence.text_at).strip()
        lines = around * sequence.count
        if lines > MOST_LINES_MADE:
            self._refuse_more(text, place)
        else:
            self._stack.append(_Sequence(sequence.names, iter(sequence.values), rest, place, lines))

    def _value(self, text: str) -> str:
        return self._definitions.expand_value(text, self._file.directory)

    def _next_row(self, sequence: _Sequence) -> Iterator[LogicalLine]:
        row = next(sequence.rows, None)
        if row is None:
            self._stack.pop()
        elif self._may_make_another(sequence.text, sequence.place):
            for name, value in zip(sequence.names, row, strict=True):
                self._definitions.set(name, value)
            yield from self._line(sequence.text, sequence.place)

    def _may_make_another(self, text: Text, place: Place) -> bool:
        self._made += 1
        if self._made > MOST_LINES_MADE:
            self._refuse_more(text, place)
            return False
        return True

    def _refuse_more(self, text: Text, place: Place) -> None:
        self.diagnostics.add(complaints.too_many_lines(place.whole(text), MOST_LINES_MADE))
        self._abandon_line()

    def _abandon_line(self) -> None:
        """Drops what stands for the current line of the file."""
        while not isinstance(self._stack[-1], _File):
            self._stack.pop()


def iterate_lines(
    path: str, source: Source, options: ReadOptions, diagnostics: Diagnostics | None = None
) -> LineReader:
    """The lines one by one, for a consumer that changes the include level as it reads."""
    return LineReader(path, source, options, diagnostics)


def read_lines(path: str, source: Source, options: ReadOptions) -> Reading:
    reader = LineReader(path, source, options)
    lines = list(reader)
    return Reading(lines, list(reader.diagnostics), reader.files, reader.watched)
