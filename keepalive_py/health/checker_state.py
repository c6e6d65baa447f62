"""One check's own state: up or down, and how many failures in a row. Pure.

The machine is the table `RULES`: position × answer → rule. `retry N` means that N failures are
forgiven and the next one decides; `rise N`, a keyword of ours, that the Nth success in a row
brings back what is down. What is not in the table is how a check starts:

- An alpha check starts down, any other starts up (optimistic).
- At a fresh start the forgiven failures count as spent, so that the first failure decides. A
  check that a reload adds has them all (keepalived 2.4.3, observed); if it starts down and has
  any, its first failure is not told, since nothing came of it (keepalived 2.2.7, observed).
- A check whose answer is known beforehand (a file, a BFD session) starts with it, in silence.

An `Unknown` verdict (our own trouble) never reaches the machine.

Kinds of checks differ in small ways, as keepalived's do; see `HABITS`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from keepalive_py.config.model import CheckConfig
from keepalive_py.health.history import History
from keepalive_py.health.verdict import Failed, Passed, Verdict

if TYPE_CHECKING:
    from keepalive_py.health.service_state import ServerState


class Position(enum.Enum):
    """Up or down, and whether the check ever ran to an end."""

    NEW_UP = "up, not yet run"
    NEW_DOWN = "down, not yet run"
    UP = "up"
    DOWN = "down"


class Answer(enum.Enum):
    PASSED = "passed"
    RISING = "passed while down, not often enough yet"
    PARTIAL = "one part passed, more to come"
    FAILED = "failed, retries left"
    DECIDED = "failed, no retries left"


class Change(enum.Enum):
    NONE = "nothing to tell"
    PART = "a part passed while down"
    CONFIRMED = "first success of a check that was taken for up"
    RECOVERED = "down, now up"
    ATTEMPT = "failed, will retry"
    WENT_DOWN = "up, now down"
    NEVER_UP = "first failure, and decisive, of a check that started down"


class Count(enum.Enum):
    """What becomes of the number of failures in a row."""

    ZERO = enum.auto()
    ONE_MORE = enum.auto()


class Wait(enum.Enum):
    """How long until the next run."""

    LOOP = "delay_loop"
    RETRY = "delay_before_retry"
    PART = "delay_loop, or none with fast_recovery"
    DOWN = "delay_loop; HTTP: the longer of the two"


class Rule(NamedTuple):
    position: Position
    change: Change
    failures: Count
    wait: Wait


Rules = Mapping[tuple[Position, Answer], Rule]

_NU, _ND, _UP, _DN = Position.NEW_UP, Position.NEW_DOWN, Position.UP, Position.DOWN
_PASSED, _PARTIAL, _FAILED, _DECIDED = Answer.PASSED, Answer.PARTIAL, Answer.FAILED, Answer.DECIDED
_RISING = Answer.RISING

RULES: Final[Rules] = {
    (_NU, _PASSED): Rule(_UP, Change.CONFIRMED, Count.ZERO, Wait.LOOP),
    (_NU, _RISING): Rule(_UP, Change.CONFIRMED, Count.ZERO, Wait.LOOP),
    (_NU, _PARTIAL): Rule(_NU, Change.NONE, Count.ZERO, Wait.LOOP),
    (_NU, _FAILED): Rule(_UP, Change.ATTEMPT, Count.ONE_MORE, Wait.RETRY),
    (_NU, _DECIDED): Rule(_DN, Change.WENT_DOWN, Count.ZERO, Wait.DOWN),
    (_ND, _PASSED): Rule(_UP, Change.RECOVERED, Count.ZERO, Wait.LOOP),
    (_ND, _RISING): Rule(_ND, Change.NONE, Count.ZERO, Wait.LOOP),
    (_ND, _PARTIAL): Rule(_ND, Change.PART, Count.ZERO, Wait.PART),
    (_ND, _FAILED): Rule(_DN, Change.NONE, Count.ZERO, Wait.DOWN),
    (_ND, _DECIDED): Rule(_DN, Change.NEVER_UP, Count.ZERO, Wait.DOWN),
    (_UP, _PASSED): Rule(_UP, Change.NONE, Count.ZERO, Wait.LOOP),
    (_UP, _RISING): Rule(_UP, Change.NONE, Count.ZERO, Wait.LOOP),
    (_UP, _PARTIAL): Rule(_UP, Change.NONE, Count.ZERO, Wait.LOOP),
    (_UP, _FAILED): Rule(_UP, Change.ATTEMPT, Count.ONE_MORE, Wait.RETRY),
    (_UP, _DECIDED): Rule(_DN, Change.WENT_DOWN, Count.ZERO, Wait.DOWN),
    (_DN, _PASSED): Rule(_UP, Change.RECOVERED, Count.ZERO, Wait.LOOP),
    (_DN, _RISING): Rule(_DN, Change.NONE, Count.ZERO, Wait.LOOP),
    (_DN, _PARTIAL): Rule(_DN, Change.PART, Count.ZERO, Wait.PART),
    (_DN, _FAILED): Rule(_DN, Change.NONE, Count.ZERO, Wait.DOWN),
    (_DN, _DECIDED): Rule(_DN, Change.NONE, Count.ZERO, Wait.DOWN),
}

# A down SMTP_CHECK makes retry + 1 attempts in each cycle, as an up one does.
RETRYING_WHILE_DOWN: Final[Rules] = {
    **RULES,
    (_ND, _FAILED): Rule(_ND, Change.NONE, Count.ONE_MORE, Wait.RETRY),
    (_DN, _FAILED): Rule(_DN, Change.NONE, Count.ONE_MORE, Wait.RETRY),
}

# An HTTP check that starts down tells nobody that it still is.
QUIET_UNTIL_UP: Final[Rules] = {
    **RULES,
    (_ND, _FAILED): Rule(_DN, Change.NONE, Count.ZERO, Wait.DOWN),
    (_ND, _DECIDED): Rule(_DN, Change.NONE, Count.ZERO, Wait.DOWN),
}


class Habits(NamedTuple):
    """How one kind of check differs. `spent_at_start`: see the top of this file."""

    rules: Rules = RULES
    spent_at_start: bool = True
    longer_wait_while_down: bool = False
    reports_first_success: bool = False


_HTTP: Final = Habits(rules=QUIET_UNTIL_UP, longer_wait_while_down=True)
USUAL: Final = Habits()
HABITS: Final[Mapping[str, Habits]] = {
    "HTTP_GET": _HTTP,
    "SSL_GET": _HTTP,
    "SMTP_CHECK": Habits(rules=RETRYING_WHILE_DOWN, spent_at_start=False),
    "MISC_CHECK": Habits(reports_first_success=True),
}


class Transition(NamedTuple):
    """What a verdict did to a check. `delay`: seconds until the next run; `was_up` and `had_run`:
    its position before; `attempt`: failures in a row before."""

    change: Change
    delay: float
    was_up: bool
    had_run: bool
    attempt: int


class CheckerState:
    """One check of one real server. Kept, with its identity, across reloads.

    `config` is the check as configured now. `failures` are those in a row that were forgiven,
    `successes` those in a row that were not enough to come up (`rise`).
    `asked` is the effective weight that a dynamic check asked for (None: the configured one).
    `last` is the latest verdict and `history` the latest runs, for people. `server` is None once a
    reload has removed it: a verdict that arrives after that is ignored.
    """

    __slots__ = ("asked", "config", "failures", "history", "last", "position", "server", "successes")

    def __init__(self, config: CheckConfig, *, up: bool, fresh: bool) -> None:
        self.config = config
        self.position = Position.NEW_UP if up else Position.NEW_DOWN
        self.failures = config.retry if fresh and habits(config).spent_at_start else 0
        self.successes = 0
        self.asked: int | None = None
        self.last: Verdict | None = None
        self.history: History | None = None
        self.server: ServerState | None = None

    @property
    def up(self) -> bool:
        return self.position in (Position.UP, Position.NEW_UP)

    @property
    def has_run(self) -> bool:
        return self.position in (Position.UP, Position.DOWN)

    def begin_with(self, verdict: Passed | Failed) -> None:
        """Start from what is known already, as if it had always been so."""
        self.last = verdict
        self.failures = self.successes = 0
        self.position = Position.UP if isinstance(verdict, Passed) else Position.DOWN
        self.asked = verdict.weight if isinstance(verdict, Passed) else None

    def remember(self, verdict: Verdict, started: float, ended: float) -> None:
        """That it has run, for people."""
        if self.history is None:
            self.history = History()
        self.history.add(verdict, started, ended)

    def take(self, verdict: Passed | Failed) -> Transition:
        """Move by one verdict."""
        was_up, had_run, attempt = self.up, self.has_run, self.failures
        answer = self._answer(verdict)
        rule = habits(self.config).rules[self.position, answer]
        self.position = rule.position
        self.failures = attempt + 1 if rule.failures is Count.ONE_MORE else 0
        if answer is not Answer.PARTIAL:  # the parts of one success are not many
            self.successes = self.successes + 1 if answer is Answer.RISING else 0
        return Transition(rule.change, delay(self.config, rule.wait), was_up, had_run, attempt)

    def adopt(self, config: CheckConfig) -> None:
        """Go on under a changed configuration of the same check."""
        self.config = config
        self.failures = min(self.failures, config.retry)
        self.successes = min(self.successes, config.rise - 1)

    def _answer(self, verdict: Passed | Failed) -> Answer:
        if isinstance(verdict, Passed):
            if verdict.partial:
                return Answer.PARTIAL
            rising = not self.up and self.successes + 1 < self.config.rise
            return Answer.RISING if rising else Answer.PASSED
        return Answer.FAILED if self.failures < self.config.retry else Answer.DECIDED


def habits(config: CheckConfig) -> Habits:
    return HABITS.get(config.KIND, USUAL)


def delay(config: CheckConfig, wait: Wait) -> float:
    """Seconds."""
    if wait is Wait.RETRY:
        return config.delay_before_retry
    if wait is Wait.PART:
        return config.partial_delay()
    if wait is Wait.DOWN and habits(config).longer_wait_while_down:
        return max(config.delay_before_retry, config.delay_loop)
    return config.delay_loop
