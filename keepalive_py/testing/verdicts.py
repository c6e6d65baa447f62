"""Checks that answer at once, with what the test says."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keepalive_py.checkers.wishes import Checker, Probe
from keepalive_py.daemon.probes import OnVerdict, Probes
from keepalive_py.health.checker_state import CheckerState
from keepalive_py.health.names import rs_name, vs_name
from keepalive_py.health.verdict import PASSED, Failed, Passed, Reason, Unknown, Verdict
from keepalive_py.probing import Engine, Subscription

__all__ = ["ScriptedProbes", "Verdicts", "as_verdict"]

UNKNOWN = (Reason.NO_DESCRIPTORS, Reason.LOCAL_ADDRESS, Reason.LOCAL_ERROR, Reason.BUG)


def as_verdict(said: Verdict | Reason | str) -> Verdict:
    """For "passed", a Reason or its word: Failed, or Unknown where the trouble would be our own.
    ValueError: no such word."""
    if isinstance(said, (Passed, Failed, Unknown)):
        return said
    if said == "passed":
        return PASSED
    reason = Reason(said)
    return Unknown(reason) if reason in UNKNOWN else Failed(reason)


# Virtual server, real server, and which of its checks: the same after a reload.
Name = tuple[str, str, int]


def name_of(checker: CheckerState) -> Name:
    server = checker.server
    service = None if server is None else server.service
    if server is None or service is None:
        return ("", "", 0)
    return vs_name(service.vs), rs_name(service.vs, server.rs.endpoint), server.checkers.index(checker)


@dataclass
class Verdicts:
    """What the checks of each real server find: first what is left of `queued`, then `standing`."""

    standing: dict[Name, Verdict] = field(default_factory=dict)
    queued: dict[Name, deque[Verdict]] = field(default_factory=dict)

    def say(self, checkers: Iterable[CheckerState], *said: Verdict | Reason | str) -> None:
        """The next runs end like this, one after the other, and all later ones like the last."""
        verdicts = [as_verdict(each) for each in said]
        if not verdicts:
            raise ValueError("no verdict")
        for checker in checkers:
            self.queued[name_of(checker)] = deque(verdicts)

    def next_of(self, checker: CheckerState) -> Verdict:
        name = name_of(checker)
        queue = self.queued.get(name)
        if queue:
            self.standing[name] = queue.popleft()
        return self.standing.get(name, PASSED)

    def probe(self, checker: CheckerState) -> Callable[..., Probe]:
        def scripted(*_: Any) -> Probe:
            return self.next_of(checker)
            yield  # a generator that wishes for nothing

        return scripted


class ScriptedProbes(Probes):
    """Subscriptions whose probes are the test's verdicts."""

    def __init__(
        self, engine: Engine, registry: Mapping[str, Checker], on_verdict: OnVerdict, verdicts: Verdicts
    ) -> None:
        super().__init__(engine, registry, on_verdict)
        self.verdicts = verdicts

    def added(self, checker: CheckerState, seconds: float) -> Subscription:
        subscription = super().added(checker, seconds)
        job = subscription.job
        assert job is not None
        job.checker = dataclasses.replace(job.checker, probe=self.verdicts.probe(checker), child=False)
        return subscription
