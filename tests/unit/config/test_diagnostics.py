"""Diagnostics add up to keepalived's exit status."""

from __future__ import annotations

import pytest

from keepalive_py.config.diagnostics import (
    MOST_OF_A_KIND,
    Diagnostic,
    Diagnostics,
    ExitClass,
    Origin,
    Severity,
    Span,
    exit_status,
)


def told(exit_class: ExitClass | None, severity: Severity = Severity.ERROR, file: str = "a") -> Diagnostic:
    return Diagnostic(severity, "code", "summary", Span(Origin(file), 1), exit_class=exit_class)


@pytest.mark.parametrize(
    ("classes", "status"),
    [
        ([], 0),
        ([None], 0),
        ([ExitClass.OK], 0),
        ([ExitClass.FILE_NOT_FOUND], 4),
        ([ExitClass.BAD_INTERFACE, ExitClass.FATAL], 4),
        ([ExitClass.FATAL, ExitClass.UNKNOWN_KEYWORD], 5),
        ([ExitClass.MULTIPLE_FILES], 5),
        ([ExitClass.DEPRECATED, None], 5),
        ([ExitClass.SECURITY, ExitClass.GENERAL], 6),
        ([ExitClass.INCLUDE, ExitClass.GENERAL], 6),
        ([ExitClass.SECURITY, ExitClass.MISSING_PARAMETER], 2),
        ([ExitClass.MISSING_PARAMETER, ExitClass.INCLUDE], 2),
    ],
)
def test_the_largest_class_decides_and_a_missing_parameter_ends_at_once(
    classes: list[ExitClass | None], status: int
) -> None:
    assert exit_status(told(each) for each in classes) == status


def test_what_is_not_listed_still_counts() -> None:
    diagnostics = Diagnostics()
    for _ in range(MOST_OF_A_KIND):
        diagnostics.add(told(None, Severity.WARNING))
    diagnostics.add(told(ExitClass.SECURITY))
    diagnostics.add(told(None, Severity.NOTE))

    listed = list(diagnostics)
    assert len(listed) == MOST_OF_A_KIND + 1
    assert listed[-1].severity is Severity.ERROR
    assert exit_status(diagnostics) == 6


def test_each_file_and_each_code_has_its_own_count() -> None:
    diagnostics = Diagnostics()
    diagnostics.extend([told(None, file="a")] * MOST_OF_A_KIND + [told(None, file="b")] * MOST_OF_A_KIND)

    assert len(list(diagnostics)) == 2 * MOST_OF_A_KIND
