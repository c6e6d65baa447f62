"""The subscriptions of all checks: which check is probed by which subscription of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from keepalive_py.checkers.wishes import Checker
from keepalive_py.config.check import CheckConfig
from keepalive_py.health.checker_state import CheckerState
from keepalive_py.health.names import rs_name, vs_name
from keepalive_py.health.service_state import ServiceState
from keepalive_py.health.verdict import Verdict
from keepalive_py.probing import Engine, Subscription, phase

FIRST_CHECK = 1.0  # seconds from a start or reload, before the warmup (keepalived's)

# (check, verdict, started, ended) -> seconds until the next run.
OnVerdict = Callable[[CheckerState, Verdict, float, float], float]


class Probes:
    """Keeps the engine's subscriptions in step with the checks there are."""

    def __init__(self, engine: Engine, registry: Mapping[str, Checker], on_verdict: OnVerdict) -> None:
        self.engine = engine
        self.registry = registry
        self.on_verdict = on_verdict
        self.subscriptions: dict[CheckerState, Subscription] = {}
        self.remembered: dict[CheckerState, float] = {}  # when a former process would have run it

    def follow(self, services: Iterable[ServiceState]) -> list[CheckerState]:
        """Probe the checks of `services`; those that are as before just go on. Returns the
        checks that nobody probes, because events drive them."""
        driven: list[CheckerState] = []
        for service in services:
            for server in service.servers:
                for place, checker in enumerate(server.checkers):
                    if self.registry[checker.config.KIND].probe is None:
                        driven.append(checker)
                    else:
                        name = f"{vs_name(service.vs)} {rs_name(service.vs, server.rs.endpoint)} {place}"
                        self.follow_one(service, checker, name)
        return driven

    def follow_one(self, service: ServiceState, checker: CheckerState, name: str) -> None:
        subscription = self.going_on(self.subscriptions.get(checker), checker)
        if subscription is None:
            subscription = self.added(checker, self.first_for(checker, name))
        self.subscriptions[checker] = subscription
        if service.suspended and not subscription.suspended:
            self.engine.suspend(subscription)

    def first_for(self, checker: CheckerState, name: str) -> float:
        """Seconds until the first run: one that is remembered keeps its place in the interval."""
        due = self.remembered.pop(checker, None)
        if due is None:
            return first_in(self.registry, checker.config, name)
        return (due - self.engine.clock()) % checker.config.delay_loop

    def next_run(self, checker: CheckerState) -> float | None:
        """When it is due, on the engine's clock; None: nobody probes it."""
        subscription = self.subscriptions.get(checker)
        return None if subscription is None or subscription.suspended else subscription.due

    def forget_removed(self) -> None:
        """Probe no more for checks that a reload has removed."""
        removed = [checker for checker in self.subscriptions if is_removed(checker)]
        for checker in removed:
            self.engine.remove(self.subscriptions.pop(checker))

    def going_on(self, known: Subscription | None, checker: CheckerState) -> Subscription | None:
        """The subscription of a check that a reload kept. A changed one keeps its place in the
        interval, or comes earlier if the interval is now shorter."""
        if known is None or (known.check == checker.config and not known.suspended):
            return known
        if known.check == checker.config:
            self.engine.resume(known, first_in=FIRST_CHECK)
            return known
        left = max(0.0, known.due - self.engine.clock())
        self.engine.remove(known)
        return self.added(checker, min(left, checker.config.delay_loop))

    def added(self, checker: CheckerState, seconds: float) -> Subscription:
        return self.engine.add(checker.config, partial(self.on_verdict, checker), first_in=seconds)

    def suspend(self, service: ServiceState) -> None:
        """ha_suspend: put to sleep, or wake, as the service says."""
        for checker in service.checkers():
            subscription = self.subscriptions.get(checker)
            if subscription is None:
                continue
            if service.suspended:
                self.engine.suspend(subscription)
            else:
                self.engine.resume(subscription)


def is_removed(checker: CheckerState) -> bool:
    return checker.server is None or checker.server.service is None


def first_in(registry: Mapping[str, Checker], check: CheckConfig, name: str) -> float:
    """Seconds until the first run: spread over the warmup, always the same for one check.
    Checks that share a probe have one place, so that they stay together."""
    identical = registry[check.KIND].identical
    identity = name if identical is None else repr(identical(check))
    return FIRST_CHECK + phase(identity, check.warmup)
