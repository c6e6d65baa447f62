"""What is wrong with a configuration, as values. Pure.

Nothing in `config/` throws for a mistake in a file: it appends a `Diagnostic`
and goes on, so that one run reports them all. Rendering is apart from meaning.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """A file in the include chain: who read it, and from which line."""

    file: str
    included_from: Span | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one physical line: 1-based line and columns, end exclusive."""

    origin: Origin
    line: int
    column: int = 1
    end_column: int = 1

    @property
    def file(self) -> str:
        return self.origin.file


class Severity(enum.IntEnum):
    NOTE = 0
    WARNING = 1
    ERROR = 2


class ExitClass(enum.IntEnum):
    """keepalived's classes of problems, smallest to worst; `-t` ends with the status of
    the numerically largest class seen (keepalived lib/scheduler.h; keepalived(8) EXIT STATUS).
    See `exit_status`."""

    OK = 0
    FILE_NOT_FOUND = 1
    BAD_INTERFACE = 2
    FATAL = 3
    MULTIPLE_FILES = 4
    UNKNOWN_KEYWORD = 5
    BRACES = 6
    QUOTE = 7
    MISSING_PARAMETER = 8
    NUMBER = 9
    GENERAL = 10
    WARNING = 11
    DEPRECATED = 12
    SECURITY = 13


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing to tell the operator.

    `code` is a stable kebab-case word for tools; `summary` says what is wrong, in one
    line; `label` stands under the caret; `subject` is the tight place at fault, `context`
    the block around it (its head line); `notes` say what happens now and what to do.
    `exit_class` is what keepalived would count it as (None: keepalived is silent).
    """

    severity: Severity
    code: str
    summary: str
    subject: Span | None = None
    context: Span | None = None
    context_title: str = ""
    label: str = ""
    notes: tuple[str, ...] = ()
    exit_class: ExitClass | None = None
