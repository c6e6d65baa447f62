"""The words in which the language layer complains. Pure: place in, `Diagnostic` out.

`exit_class` is what keepalived counts the same problem as; None where it is silent or
where its message does not change the exit status of `-t`.
"""

from __future__ import annotations

from collections.abc import Iterable

from keepalive_py.config.definitions import Trouble
from keepalive_py.config.diagnostics import Diagnostic, ExitClass, Severity, Span
from keepalive_py.config.includes import Missing
from keepalive_py.config.sequences import BadSequence
from keepalive_py.config.source import SourceProblem
from keepalive_py.config.spelling import nearest


def _error(code: str, summary: str, subject: Span | None, label: str = "", *notes: str) -> Diagnostic:
    return Diagnostic(
        Severity.ERROR, code, summary, subject, label=label, notes=notes, exit_class=ExitClass.GENERAL
    )


def _warning(code: str, summary: str, subject: Span | None, label: str = "", *notes: str) -> Diagnostic:
    return Diagnostic(Severity.WARNING, code, summary, subject, label=label, notes=notes)


# Physical lines


def line_too_long(subject: Span, length: int, most: int) -> Diagnostic:
    return _error(
        "line-too-long",
        f"a line of {length} bytes; the longest is {most}",
        subject,
        "",
        "the whole line is ignored (keepalived reads what follows its first 1023 bytes as a line)",
    )


def nul_byte(subject: Span) -> Diagnostic:
    return _error("nul-byte", "a NUL byte; the line is ignored", subject)


def byte_order_mark(subject: Span) -> Diagnostic:
    summary = "a byte order mark, which nobody sees, is part of the first word"
    return Diagnostic(Severity.NOTE, "byte-order-mark", summary, subject, notes=("save the file without it",))


def not_text(subject: Span) -> Diagnostic:
    return _error("not-text", "too many broken lines; the rest of this file is not read", subject)


def unterminated_quote(subject: Span) -> Diagnostic:
    return Diagnostic(
        Severity.ERROR,
        "unterminated-quote",
        "a double quote that nothing closes",
        subject,
        label="opened here",
        notes=("the words before the quote are kept, the rest of the line is dropped",),
        exit_class=ExitClass.QUOTE,
    )


def trailing_backslash(subject: Span) -> Diagnostic:
    return _warning(
        "trailing-backslash",
        "a backslash does not continue a line, except in a definition",
        subject,
        "taken as part of the word",
    )


# Definitions and sequences


def reference_trouble(trouble: Trouble, subject: Span, known: Iterable[str]) -> Diagnostic | None:
    """None for `${NAME}` in double quotes that resembles no definition: a shell's variable."""
    if trouble.code == "definition-not-last":
        return _warning(
            trouble.code,
            f"`{trouble.name}` has several lines, so it must be the last thing on its line",
            subject,
            "not replaced",
        )
    meant = nearest(trouble.name, known)
    label = f"did you mean `{meant}`?" if meant else "left as it is"
    summary = f"`{trouble.name}` is not defined"
    if trouble.code == "undefined-reference":
        note = "outside double quotes its braces open and close a block"
        return _warning(trouble.code, summary, subject, label, note)
    return _warning("undefined-reference", summary, subject, label) if meant else None


def endless_definition(name: str, subject: Span) -> Diagnostic:
    return _error(
        "endless-definition",
        f"`{name}` has no end: it leads back to itself",
        subject,
        "",
        "the line is ignored",
    )


def comment_after_expansion(subject: Span) -> Diagnostic:
    return _warning(
        "comment-after-expansion",
        "what a reference stands for begins a comment",
        subject,
        "",
        "put the text in double quotes to keep a `#` or `!` that comes out of a definition",
    )


def bad_sequence(problem: BadSequence, subject: Span) -> Diagnostic:
    return _error("bad-sequence", str(problem), subject, "", "the line is ignored")


def too_many_lines(subject: Span, most: int) -> Diagnostic:
    return _error(
        "too-many-lines",
        f"sequences and definitions make more than {most} lines",
        subject,
        "",
        "the rest of what they stand for is ignored",
    )


# Files


def unreadable_main_file(path: str, problem: SourceProblem) -> Diagnostic:
    """Of these, keepalived counts only an unreadable file; else `-t` ends with 0."""
    unreadable = problem in (SourceProblem.UNREADABLE, SourceProblem.TOO_LARGE)
    return Diagnostic(
        Severity.ERROR,
        "configuration-file",
        f"{path}: {problem.value}",
        notes=("nothing is configured",),
        exit_class=ExitClass.FILE_NOT_FOUND if unreadable else None,
    )


def several_main_files(pattern: str, paths: list[str]) -> Diagnostic:
    return Diagnostic(
        Severity.WARNING,
        "several-files",
        f"{pattern} matches {len(paths)} files; all are read",
        notes=tuple(paths[:10]),
        exit_class=ExitClass.MULTIPLE_FILES,
    )


def _include(code: str, summary: str, subject: Span | None, counts: bool, *notes: str) -> Diagnostic:
    severity = Severity.ERROR if counts else Severity.WARNING
    return Diagnostic(
        severity, code, summary, subject, notes=notes, exit_class=ExitClass.INCLUDE if counts else None
    )


def include_unreadable(path: str, problem: SourceProblem, subject: Span | None, counts: bool) -> Diagnostic:
    notes = ("a file with an execute bit is taken for a program",) * (problem is SourceProblem.EXECUTABLE)
    return _include("include-unreadable", f"{path}: {problem.value}; skipped", subject, counts, *notes)


def include_missing(missing: Missing, names: tuple[str, ...], subject: Span, counts: bool) -> Diagnostic:
    listed = ", ".join(names[:10])
    if missing is Missing.WILDCARD:
        return _include("include-missing", f"nothing matches {listed}", subject, counts)
    skipped = ("the other files of this include are not read either",)
    notes = skipped if counts and missing is Missing.ALTERNATIVE else ()
    return _include("include-missing", f"no such file: {listed}", subject, counts, *notes)


def include_too_wide(subject: Span, most: int) -> Diagnostic:
    return _error(
        "include-too-wide", f"the braces stand for more than {most} names", subject, "", "nothing is read"
    )


def include_loop(path: str, subject: Span | None, chain: list[str]) -> Diagnostic:
    return _error(
        "include-loop",
        f"{path} includes itself",
        subject,
        "not read again",
        f"the loop: {' -> '.join([*chain, path])}",
    )


def too_deep(subject: Span | None, deepest: int) -> Diagnostic:
    return _error("too-deep", f"more than {deepest} includes and definitions in each other", subject)


def too_many_files(subject: Span | None, most: int) -> Diagnostic:
    return _error("too-many-files", f"more than {most} files; this one is not read", subject)
