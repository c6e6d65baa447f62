"""What is wrong with a configuration, as values. Pure.

Nothing in `config/` throws for a mistake in a file: it appends a `Diagnostic`
and goes on, so that one run reports them all. Rendering is apart from meaning.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


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
    """keepalived's classes of problems, smallest to worst (keepalived lib/scheduler.h).

    `-t` ends with the status of the numerically largest class seen; see `exit_status`.
    MISSING_PARAMETER is for a keyword that cannot stand without its value: keepalived
    ends at once, with status 2. A missing value that it only reports is GENERAL.
    INCLUDE is ours: an include problem that counts as an error ends with 6 after the
    whole text was read.
    """

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
    INCLUDE = 14


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


def exit_status(diagnostics: Iterable[Diagnostic], besides: ExitClass = ExitClass.OK) -> int:
    """What `keepalived -t` ends with: 0, 2, 4, 5 or 6. `besides` is what the text does not show.

    A missing parameter ends keepalived on the spot (2), so nothing later is ever seen;
    otherwise the largest class decides. keepalived(8) documents 3, 4 and 5 where the
    program gives 4, 5 and 6 (keepalived issue 2457).
    """
    classes = {diagnostic.exit_class or ExitClass.OK for diagnostic in diagnostics} | {besides}
    if ExitClass.MISSING_PARAMETER in classes:
        return 2
    worst = max(classes)
    if worst is ExitClass.OK:
        return 0
    if worst <= ExitClass.FATAL:
        return 4
    return 5 if worst < ExitClass.SECURITY else 6


MOST_OF_A_KIND = 50


@dataclass(slots=True)
class Diagnostics:
    """Collects in order, and keeps a hopeless file from burying the operator.

    Of one code in one file the first `MOST_OF_A_KIND` are kept; the rest is counted and
    told in one closing diagnostic, which carries the worst severity and exit class of them.
    """

    kept: list[Diagnostic] = field(default_factory=list)
    _seen: dict[tuple[str, str], int] = field(default_factory=dict)
    _dropped: dict[tuple[str, str], Diagnostic] = field(default_factory=dict)

    def add(self, diagnostic: Diagnostic) -> None:
        key = (diagnostic.subject.file if diagnostic.subject else "", diagnostic.code)
        self._seen[key] = self._seen.get(key, 0) + 1
        if self._seen[key] <= MOST_OF_A_KIND:
            self.kept.append(diagnostic)
        else:
            self._dropped[key] = _worse(self._dropped.get(key, diagnostic), diagnostic)

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        for diagnostic in diagnostics:
            self.add(diagnostic)

    def __iter__(self) -> Iterator[Diagnostic]:
        yield from self.kept
        for key, worst in self._dropped.items():
            yield _and_more(worst, self._seen[key] - MOST_OF_A_KIND)


def _worse(one: Diagnostic, other: Diagnostic) -> Diagnostic:
    return max(one, other, key=lambda each: (each.severity, each.exit_class or ExitClass.OK))


def _and_more(worst: Diagnostic, count: int) -> Diagnostic:
    return Diagnostic(
        worst.severity,
        worst.code,
        f"and {count} more of this kind in this file",
        subject=worst.subject,
        exit_class=worst.exit_class,
    )
