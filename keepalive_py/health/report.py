"""What one verdict means for its check, its real server and its virtual server. Pure.

The events come in keepalived's order: the check's own line, the real server's change, what the
quorum makes of it, and last the mail about the check.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from keepalive_py.health.checker_state import Change, CheckerState, Position, Transition, habits
from keepalive_py.health.events import (
    AttemptFailed,
    CheckFailed,
    CheckPassed,
    CheckReported,
    Event,
    PartPassed,
    ServerDown,
    WeightChanged,
)
from keepalive_py.health.membership import came_up, release, step_in, went_down
from keepalive_py.health.quorum import weigh
from keepalive_py.health.service_state import ServerState, ServiceState
from keepalive_py.health.verdict import Failed, Passed, Reason, Unknown, Verdict

NO_EVENTS: Final[tuple[Event, ...]] = ()


def report(checker: CheckerState, verdict: Verdict, now: float) -> tuple[float, Sequence[Event]]:
    """A check has run: seconds until its next run, and what happened.

    The usual case (up, passed once more, same weight) is decided by the first condition.
    A verdict of a check that a reload has removed, or that is suspended, is ignored.
    """
    if (
        type(verdict) is Passed
        and checker.position is Position.UP
        and checker.failures == 0
        and (verdict.weight == checker.asked or verdict.partial)
    ):
        checker.last = verdict
        return checker.config.delay_loop, NO_EVENTS
    server = checker.server
    service = server.service if server is not None else None
    if server is None or service is None or service.suspended:
        return checker.config.delay_loop, NO_EVENTS
    checker.last = verdict
    if isinstance(verdict, Unknown):
        return checker.config.delay_loop, NO_EVENTS
    consequences = _Consequences(service, server, checker, now)
    transition = checker.take(verdict)
    if isinstance(verdict, Passed):
        consequences.of_success(transition, verdict)
    else:
        consequences.of_failure(transition, verdict)
    return transition.delay, consequences.events


class _Consequences:
    """What follows from one verdict, in order."""

    __slots__ = ("checker", "events", "now", "server", "service", "was_alive")

    def __init__(self, service: ServiceState, server: ServerState, checker: CheckerState, now: float) -> None:
        self.service, self.server, self.checker, self.now = service, server, checker, now
        self.was_alive = server.alive
        self.events: list[Event] = []

    def of_success(self, transition: Transition, verdict: Passed) -> None:
        change, about = transition.change, self._about_check(Reason.RECOVERED)
        if verdict.part and not transition.was_up:
            self.events.append(PartPassed(verdict=verdict, **about))
        if verdict.partial or not self.checker.up:  # `rise` wants more of them
            return
        self._reweigh(verdict.weight)
        if change in (Change.CONFIRMED, Change.RECOVERED):
            recovered = change is Change.RECOVERED
            self.events.append(CheckPassed(verdict=verdict, recovered=recovered, **about))
            if recovered:
                self._recovered()
            if recovered or habits(self.checker.config).reports_first_success:
                self._mail(verdict, Reason.RECOVERED)

    def of_failure(self, transition: Transition, verdict: Failed) -> None:
        change, about = transition.change, self._about_check(verdict.reason)
        last = change is Change.WENT_DOWN
        if (last or change is Change.ATTEMPT) and self.checker.config.log_all_failures:
            self.events.append(AttemptFailed(verdict=verdict, attempt=transition.attempt, last=last, **about))
        if last or change is Change.NEVER_UP:
            self.events.append(CheckFailed(verdict=verdict, first_run=not transition.had_run, **about))
        if change is Change.NEVER_UP:
            self.events.append(ServerDown(quiet=True, **self._about(verdict.reason)))
        elif last:
            self._went_down(verdict.reason)
            self._mail(verdict, verdict.reason)

    def _recovered(self) -> None:
        server = self.server
        server.failed -= 1
        if not server.alive:
            return
        server.since = self.now
        self.events += came_up(self.service, server, self.now)
        self.events += weigh(self.service, self.now, Reason.RECOVERED)

    def _went_down(self, reason: Reason) -> None:
        server = self.server
        server.failed += 1
        if self.was_alive:
            server.since = self.now
            self.events += went_down(self.service, server, self.now, reason)
        # A check that is down asks for no weight. Nobody is told: the server is out anyway.
        self.checker.asked, before = None, server.weight
        server.weight = server.asked_weight()
        if server.serving:  # it is held
            self.service.alive_weight += server.weight - before
            self.events += release(self.service, self.now)
        if self.was_alive or server.serving:
            self.events += weigh(self.service, self.now, reason)

    def _reweigh(self, asked: int | None) -> None:
        server, before = self.server, self.server.weight
        self.checker.asked = asked
        server.weight = after = server.asked_weight()
        if after == before:
            return
        about = self._about(Reason.WEIGHT)
        self.events.append(WeightChanged(before=before, after=after, active=server.serving, **about))
        if server.serving:
            self.service.alive_weight += after - before
        # A held one without a weight helps nobody, and with this one's weight another may go.
        others = [*step_in(self.service, self.now), *release(self.service, self.now)]
        self.events += others
        if server.serving or others:
            self.events += weigh(self.service, self.now, Reason.WEIGHT)

    def _mail(self, verdict: Passed | Failed, reason: Reason) -> None:
        alive = self.server.alive
        self.events.append(
            CheckReported(
                verdict=verdict,
                server_up=alive,
                server_changed=alive != self.was_alive,
                **self._about_check(reason),
            )
        )

    def _about(self, reason: Reason) -> dict[str, Any]:
        return {"at": self.now, "reason": reason, "vs": self.service.vs, "rs": self.server.rs}

    def _about_check(self, reason: Reason) -> dict[str, Any]:
        return {**self._about(reason), "check": self.checker.config}
