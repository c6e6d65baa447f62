"""What the daemon says: events in keepalived's words, and its own lines."""

from __future__ import annotations

import traceback
from collections.abc import Iterable

import structlog

from keepalive_py.config.diagnostics import Diagnostic, Severity
from keepalive_py.health import wording
from keepalive_py.health.events import Event
from keepalive_py.health.facts import fields
from keepalive_py.health.verdict import Reason

SECURITY_CODE = "script-security"

log = structlog.get_logger()


def tell(events: Iterable[Event]) -> None:
    for event in events:
        line = wording.log_line(event)
        if line is not None:
            log.info(line, **fields(event))


def say(text: str) -> None:
    log.info(text)


def warn(text: str) -> None:
    log.warning(text)


def complain(diagnostics: Iterable[Diagnostic]) -> None:
    """What is wrong with a configuration, each in one line as keepalived logs it."""
    for each in diagnostics:
        if each.code == SECURITY_CODE:  # the judge of the scripts says it, with what is insecure
            continue
        level = log.error if each.severity is Severity.ERROR else log.warning
        level(diagnostic_line(each), kind="diagnostic", code=each.code)


def diagnostic_line(diagnostic: Diagnostic) -> str:
    """`(FILE: Line N) text`; without a place the text alone."""
    place = diagnostic.subject
    text = diagnostic.summary
    return text if place is None else f"({place.file}: Line {place.line}) {text}"


def trouble(reason: Reason, text: str) -> None:
    """The probing engine's own trouble: it never moves a server."""
    level = log.error if reason is Reason.BUG else log.warning
    level(f"Checker trouble ({reason.value}): {text.strip()}", kind="trouble", reason=reason.value)


def mistake(where: str, error: BaseException | None) -> None:
    """A mistake of ours, with all that helps to find it, in one line of the log."""
    text = "".join(traceback.format_exception(error)).strip() if error is not None else ""
    log.error(f"internal error in {where}: {text}", kind="mistake")
