"""What one probe found. Pure.

Refused, timed out, wrong answer: `Failed`. Our own trouble (no descriptors, no source
address, a bug in a checker): `Unknown`; it is counted and shown and never moves a server.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Reason(enum.Enum):
    """Why something failed or changed: one word, the same in log, API, metrics and scripts."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    RESET = "reset"
    CLOSED = "closed"
    TLS = "tls"
    STATUS = "status"
    DIGEST = "digest"
    REGEX = "regex"
    NO_DATA = "no-data"
    BAD_ANSWER = "bad-answer"
    EXIT_STATUS = "exit-status"
    KILLED = "killed"
    FAULT = "fault"
    PEER_DOWN = "peer-down"
    AGENT = "agent"
    # transitions that no probe caused
    START = "start"
    RELOAD = "reload"
    STOP = "stop"
    RECOVERED = "recovered"
    QUORUM = "quorum"
    WEIGHT = "weight"
    SUSPENDED = "suspended"
    # what guards do
    RELEASED = "released"
    FLAPPING = "flapping"
    DAMPING_OVER = "damping-over"
    NEEDED = "needed"
    SLOW_START = "slow-start"
    # our own trouble
    NO_DESCRIPTORS = "no-descriptors"
    LOCAL_ADDRESS = "local-address"
    LOCAL_ERROR = "local-error"
    BUG = "bug"


@dataclass(frozen=True, slots=True)
class Passed:
    """`weight` is the effective weight a dynamic checker asks for (None: configured).
    `partial`: one part of a check with several has passed, not yet all (the urls of HTTP_GET);
    `detail` is then what matched and `part` which one, as in "MD5 digest" and "/index.html"."""

    detail: str = ""
    weight: int | None = None
    partial: bool = False
    part: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    reason: Reason
    detail: str = ""
    exit_status: int | None = None  # MISC_CHECK
    signal: int | None = None  # MISC_CHECK


@dataclass(frozen=True, slots=True)
class Unknown:
    reason: Reason
    detail: str = ""


Verdict = Passed | Failed | Unknown

PASSED = Passed()
