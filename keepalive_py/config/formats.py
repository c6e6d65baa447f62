"""Diagnostics in the forms that code review tools read. Pure.

`sarif`: SARIF 2.1.0 (OASIS), which GitHub, GitLab and editors show at the line. `github`: the
workflow commands of GitHub Actions. `checkstyle`: the XML that most other tools can read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from xml.sax.saxutils import quoteattr

from keepalive_py.config.diagnostics import Diagnostic, Severity, Span
from keepalive_py.config.render import printable

__all__ = ["checkstyle", "github", "sarif"]

SARIF_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
GITHUB_COMMANDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
CHECKSTYLE_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "info"}


def sarif(diagnostics: Iterable[Diagnostic], version: str) -> str:
    found = list(diagnostics)
    codes = sorted({each.code for each in found})
    driver = {
        "name": "keepalive_py",
        "version": version,
        "rules": [{"id": code, "shortDescription": {"text": code.replace("-", " ")}} for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": list(map(_result, found)),
    }
    whole = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(whole, indent=2) + "\n"


def _result(each: Diagnostic) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": each.code,
        "level": SARIF_LEVELS[each.severity],
        "message": {"text": _message(each)},
    }
    if each.subject is not None:
        result["locations"] = [_location(each.subject)]
    if each.context is not None:
        result["relatedLocations"] = [{**_location(each.context), "message": {"text": each.context_title}}]
    return result


def _location(span: Span) -> dict[str, Any]:
    region = {
        "startLine": span.line,
        "startColumn": span.column,
        "endColumn": max(span.end_column, span.column + 1),
    }
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(span.file)}, "region": region}}


def _uri(path: str) -> str:
    """Percent-encoded as RFC 3986 asks for a path."""
    plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/"
    parts = (
        chr(byte) if chr(byte) in plain else f"%{byte:02X}"
        for byte in path.encode("utf-8", "surrogateescape")
    )
    return "".join(parts)


def _message(each: Diagnostic) -> str:
    return "\n".join([printable(each.summary), *map(printable, filter(None, each.notes))])


def github(diagnostics: Iterable[Diagnostic]) -> str:
    """Lines for the log of a workflow."""
    return "".join(f"{_command(each)}\n" for each in diagnostics)


def _command(each: Diagnostic) -> str:
    place: Mapping[str, object] = {}
    if each.subject is not None:
        span = each.subject
        place = {"file": span.file, "line": span.line, "col": span.column}
    words = {**place, "title": each.code}
    properties = ",".join(f"{name}={_escaped(str(value), ':,')}" for name, value in words.items())
    return f"::{GITHUB_COMMANDS[each.severity]} {properties}::{_escaped(_message(each), '')}"


def _escaped(text: str, more: str) -> str:
    for char in f"%\r\n{more}":
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def checkstyle(diagnostics: Iterable[Diagnostic]) -> str:
    by_file: dict[str, list[Diagnostic]] = {}
    for each in diagnostics:
        by_file.setdefault(each.subject.file if each.subject is not None else "", []).append(each)
    lines = ['<?xml version="1.0" encoding="utf-8"?>', '<checkstyle version="4.3">']
    for file, found in by_file.items():
        lines += [f"  <file name={quoteattr(printable(file))}>", *_error_lines(found), "  </file>"]
    return "\n".join([*lines, "</checkstyle>", ""])


def _error_lines(found: Sequence[Diagnostic]) -> list[str]:
    return [
        f"    <error line={quoteattr(str(each.subject.line if each.subject else 1))}"
        f" column={quoteattr(str(each.subject.column if each.subject else 1))}"
        f" severity={quoteattr(CHECKSTYLE_LEVELS[each.severity])}"
        f" message={quoteattr(_message(each))} source={quoteattr(f'keepalive_py.{each.code}')}/>"
        for each in found
    ]
