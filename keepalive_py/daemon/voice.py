"""What the daemon says: events in keepalived's words, and its own lines."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from typing import Final

import structlog

from keepalive_py.config.diagnostics import Diagnostic, Severity
from keepalive_py.health import wording
from keepalive_py.health.events import Event
from keepalive_py.health.facts import fields
from keepalive_py.health.verdict import Reason

SECURITY_CODE = "script-security"
OWN_CODE = "own-keyword"

SAID_EVERY: Final = 60.0  # seconds from one telling to the next of the same
DIFFERENT: Final = 1000

log = structlog.get_logger()
LEVELS: Final = {Severity.NOTE: "info", Severity.WARNING: "warning", Severity.ERROR: "error"}
mistakes: Counter[str] = Counter()  # of ours in this process, by where
_told: dict[Hashable, float] = {}


def tell(events: Iterable[Event]) -> None:
    for event in events:
        with apart("the log"):
            line = wording.log_line(event)
            if line is not None:
                log.info(line, **fields(event))


def say(text: str) -> None:
    log.info(text)


def warn(text: str) -> None:
    log.warning(text)


def complain(diagnostics: Iterable[Diagnostic]) -> None:
    """What is wrong with a configuration, each in one line as keepalived logs it. Words of our own are no
    fault: all of them get one line, and `-t` names each."""
    own: list[Diagnostic] = []
    for each in diagnostics:
        if each.code == OWN_CODE:
            own.append(each)
        elif each.code != SECURITY_CODE:  # the judge of the scripts says that, with what is insecure
            line = diagnostic_line(each)
            getattr(log, LEVELS[each.severity])(line, kind="diagnostic", code=each.code)
    if own:
        more = f", nor {len(own) - 1} other words of this configuration" if len(own) > 1 else ""
        log.info(diagnostic_line(own[0]) + more, kind="diagnostic", code=OWN_CODE)


def diagnostic_line(diagnostic: Diagnostic) -> str:
    """`(FILE: Line N) text`; without a place the text alone."""
    place = diagnostic.subject
    text = diagnostic.summary
    return text if place is None else f"({place.file}: Line {place.line}) {text}"


def trouble(reason: Reason, text: str) -> None:
    """The probing engine's own trouble: it never moves a server."""
    level = log.error if reason is Reason.BUG else log.warning
    mistakes["a check"] += reason is Reason.BUG
    level(f"Checker trouble ({reason.value}): {text.strip()}", kind="trouble", reason=reason.value)


def mistake(where: str, error: BaseException | None) -> None:
    """A mistake of ours, with all that helps to find it, in one line of the log. One that comes again
    and again is counted, and said once a minute."""
    mistakes[where] += 1
    if told_lately((where, type(error), place_of(error))):
        return
    text = "".join(traceback.format_exception(error)).strip() if error is not None else ""
    log.error(f"internal error in {where}: {text}", kind="mistake")


def seldom(text: str) -> None:
    """A warning that may come again and again: said once a minute."""
    if not told_lately(text):
        warn(text)


def told_lately(key: Hashable) -> bool:
    """If not, it is now."""
    now = time.monotonic()
    if now - _told.get(key, -SAID_EVERY) < SAID_EVERY:
        return True
    if len(_told) >= DIFFERENT:
        _told.clear()
    _told[key] = now
    return False


def place_of(error: BaseException | None) -> tuple[str, int | None]:
    frames = traceback.extract_tb(error.__traceback__) if error is not None else None
    return (frames[-1].filename, frames[-1].lineno) if frames else ("", 0)


@contextlib.contextmanager
def apart(where: str) -> Iterator[None]:
    """What goes wrong in the body is a mistake that is said, and nothing else suffers from it."""
    try:
        yield
    except Exception as error:
        mistake(where, error)
