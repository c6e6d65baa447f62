"""Virtual time for the engine, and a way to ask it for one verdict over real sockets."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from keepalive_py.checkers import REGISTRY
from keepalive_py.checkers.wishes import Checker, Probe
from keepalive_py.config.check import CheckConfig
from keepalive_py.health.verdict import Verdict
from keepalive_py.probing import Engine, Limits, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted(CheckConfig):
    """A check that does what its generator function says."""

    KIND: ClassVar[str] = "SCRIPTED"
    probe: Callable[[], Probe] = field(compare=False)
    key: object = None
    bound: float = 100.0


SCRIPTED = Checker(
    "SCRIPTED",
    Scripted,
    lambda check: check.probe(),
    identical=lambda check: check.key,
    at_most=lambda check: check.bound,
)


class Timer:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualLoop:
    """The engine's view of a loop; time passes only in `run`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.reader: Callable[[], None] | None = None
        self.timers: list[Timer] = []

    def add_reader(self, fd: Any, callback: Callable[[], None]) -> None:
        self.reader = callback

    def remove_reader(self, fd: Any) -> None:
        self.reader = None

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self.now + delay, callback))
        return self.timers[-1]

    def run(self, seconds: float) -> None:
        """Let `seconds` pass, timer by timer."""
        end = self.now + seconds
        while True:
            self.timers = [t for t in self.timers if t.callback is not None]
            first = min(self.timers, key=lambda t: t.when, default=None)
            if first is None or first.when > end:
                self.now = end
                return
            self.timers.remove(first)
            self.now = max(self.now, first.when)
            assert first.callback is not None
            first.callback()


@dataclass
class Troubles:
    told: list[tuple[Any, str]] = field(default_factory=list)

    def __call__(self, reason: Any, text: str) -> None:
        self.told.append((reason, text))


@pytest.fixture
def troubles() -> Troubles:
    return Troubles()


class VirtualEngine:
    """An engine in virtual time, and what its subscribers were told."""

    def __init__(self, troubles: Troubles, **options: Any) -> None:
        self.loop = VirtualLoop()
        self.engine = Engine(
            registry={"SCRIPTED": SCRIPTED, **REGISTRY},
            trouble=troubles,
            clock=lambda: self.loop.now,
            **options,
        )
        self.engine.attach(self.loop)
        self.log: list[tuple[str, float, Verdict]] = []

    def listen(
        self, name: str, probe: Callable[[], Probe], *, every: float = 1.0, first_in: float = 0.0, **more: Any
    ) -> Any:
        check = Scripted(probe=probe, delay_loop=every, **more)
        return self.engine.add(check, self.report(name, every), first_in=first_in)

    def report(self, name: str, every: float = 1000.0) -> Report:
        def told(verdict: Verdict, started: float, ended: float) -> float:
            self.log.append((name, round(started - 1000.0, 3), verdict))
            return every

        return told

    def times(self, name: str) -> list[float]:
        return [started for who, started, _ in self.log if who == name]

    def verdicts(self) -> list[Verdict]:
        return [verdict for _, _, verdict in self.log]


@pytest.fixture
def virtual(troubles: Troubles) -> Iterator[Callable[..., VirtualEngine]]:
    made: list[VirtualEngine] = []

    def make(**options: Any) -> VirtualEngine:
        made.append(VirtualEngine(troubles, **options))
        return made[-1]

    yield make
    for one in made:
        for subscription in list(one.engine._subscriptions):
            one.engine.remove(subscription)
        assert not one.engine.descriptors
        one.engine.poller.close()


class RealEngine:
    """An engine on the test's own loop."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def ask(self, check: CheckConfig) -> Verdict:
        """The first verdict on `check`."""
        found: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

        def report(verdict: Verdict, started: float, ended: float) -> float:
            if not found.done():
                found.set_result(verdict)
            return 1000.0

        subscription = self.engine.add(check, report, first_in=0.0)
        try:
            return await asyncio.wait_for(found, 20.0)
        finally:
            self.engine.remove(subscription)

    async def run(self, probe: Callable[[], Probe], bound: float = 10.0) -> Verdict:
        """The verdict of a generator."""
        return await self.ask(self.scripted(probe, bound))

    def scripted(self, probe: Callable[[], Probe], bound: float = 10.0) -> CheckConfig:
        return Scripted(probe=probe, bound=bound)


@pytest.fixture
async def real(troubles: Troubles) -> AsyncIterator[RealEngine]:
    engine = Engine(
        registry={"SCRIPTED": SCRIPTED, **REGISTRY}, trouble=troubles, limits=Limits(descriptors_kept_free=16)
    )
    engine.attach(asyncio.get_running_loop())
    yield RealEngine(engine)
    await engine.close()
    assert not engine.descriptors
    assert engine.statistics.in_flight == 0


@pytest.fixture
def icmp() -> None:
    """For tests that ping."""
    if os.geteuid() != 0 and not pings_without_rights():
        pytest.skip("needs CAP_NET_RAW or net.ipv4.ping_group_range")


def pings_without_rights() -> bool:
    low, high = map(int, Path("/proc/sys/net/ipv4/ping_group_range").read_text().split())
    return low <= os.getegid() <= high
