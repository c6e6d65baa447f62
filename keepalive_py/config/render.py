"""Diagnostics as text for a person and as JSON for a tool. Pure.

What comes out can be written to any UTF-8 terminal: whatever of a file is no printable
character is shown as U+FFFD, so a file cannot send escape sequences.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from keepalive_py.config.diagnostics import Diagnostic, Severity, Span, exit_status
from keepalive_py.config.source import Source, SourceProblem

__all__ = ["SourceLines", "as_json", "render_json", "render_text"]

# The part of a source line that is shown, in characters.
_WIDTH = 120
_BEFORE_CARET = 80
_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}


@dataclass(slots=True)
class SourceLines:
    """Physical lines of the files that diagnostics point to; each file is read once."""

    source: Source
    _files: dict[str, list[str]] = field(default_factory=dict)

    def line(self, file: str, number: int) -> str | None:
        """Line `number` (from 1) without its end, or None when it cannot be had."""
        if file not in self._files:
            content = self.source.read(file)
            if isinstance(content, SourceProblem):
                content = b""
            self._files[file] = content.decode("utf-8", "surrogateescape").split("\n") if content else []
        lines = self._files[file]
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else None


def render_text(diagnostic: Diagnostic, lines: SourceLines, color: bool = False) -> str:
    """Headline, source line with a caret, notes; no line end at the end."""
    return "\n".join([_headline(diagnostic, color), *_excerpt(diagnostic, lines, color), *_notes(diagnostic)])


def _headline(diagnostic: Diagnostic, color: bool) -> str:
    kind = f"{diagnostic.severity.name.lower()}[{diagnostic.code}]"
    where = f"{printable(position(diagnostic.subject))}: " if diagnostic.subject else ""
    summary = printable(diagnostic.summary)
    if not color:
        return f"{where}{kind}: {summary}"
    loud = "1;" + _COLOURS[diagnostic.severity]
    return f"{_painted(where, '1')}{_painted(kind, loud)}: {_painted(summary, '1')}"


def position(span: Span) -> str:
    return f"{span.file}:{span.line}:{span.column}"


def _excerpt(diagnostic: Diagnostic, lines: SourceLines, color: bool) -> Iterator[str]:
    span = diagnostic.subject
    text = lines.line(span.file, span.line) if span else None
    if span is None or text is None:
        return
    start, end = span.column - 1, max(span.end_column - 1, span.column)
    shown, marked, before = _window(text, start, end)
    label = f" {printable(diagnostic.label)}" if diagnostic.label else ""
    pointer = "^" * max(1, _cells(marked)) + label
    yield f"{span.line:>5} | {printable(shown)}".rstrip()
    pad = "".join(each if each == "\t" else " " * _cells(each) for each in before)
    yield f"      | {pad}{_painted(pointer, _COLOURS[diagnostic.severity]) if color else pointer}"


def _window(text: str, start: int, end: int) -> tuple[str, str, str]:
    """The part of the line to show, what of it is marked, and what stands before that."""
    left = max(0, start - _BEFORE_CARET) if len(text) > _WIDTH else 0
    right = left + _WIDTH
    return text[left:right], text[start : min(end, right)], text[left:start]


def _notes(diagnostic: Diagnostic) -> Iterator[str]:
    where = ", ".join([*_block(diagnostic), *_inclusion(diagnostic.subject)])
    for note in (where, *diagnostic.notes):
        if note:
            yield f"  note: {printable(note)}"


def _block(diagnostic: Diagnostic) -> Iterator[str]:
    context = diagnostic.context
    if context is not None and diagnostic.context_title:
        same_file = diagnostic.subject is None or context.file == diagnostic.subject.file
        place = f"line {context.line}" if same_file else f"{context.file}:{context.line}"
        yield f"in {diagnostic.context_title} ({place})"


def _inclusion(span: Span | None) -> Iterator[str]:
    words = "included from"
    while span is not None and (span := span.origin.included_from) is not None:
        yield f"{words} {span.file}:{span.line}"
        words = "from"


def printable(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(each if each.isprintable() or each == "\t" else "\ufffd" for each in text)


def _cells(text: str) -> int:
    """How wide the text is in a terminal (Unicode Standard Annex 11; tabs count as one)."""
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def _painted(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if text else ""


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """One JSON object: `diagnostics` and the `exit_status` they add up to."""
    shown = list(diagnostics)
    return json.dumps({"exit_status": exit_status(shown), "diagnostics": [as_json(each) for each in shown]})


def as_json(diagnostic: Diagnostic) -> dict[str, object]:
    """Plain values for `json.dumps`."""
    return {
        "severity": diagnostic.severity.name.lower(),
        "code": diagnostic.code,
        "summary": diagnostic.summary,
        "label": diagnostic.label,
        "notes": list(diagnostic.notes),
        "where": _span_as_json(diagnostic.subject),
        "block": diagnostic.context_title or None,
        "block_where": _span_as_json(diagnostic.context),
        "exit_class": diagnostic.exit_class.name.lower() if diagnostic.exit_class is not None else None,
    }


def _span_as_json(span: Span | None) -> dict[str, object] | None:
    if span is None:
        return None
    return {
        "file": span.file,
        "line": span.line,
        "column": span.column,
        "end_column": span.end_column,
        "included_from": _span_as_json(span.origin.included_from),
    }
