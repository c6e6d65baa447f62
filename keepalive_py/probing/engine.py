"""The engine: which probe starts when, who is told, and the loop that drives it all."""

from __future__ import annotations

import asyncio
import select
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from keepalive_py.checkers.wishes import Checker
from keepalive_py.config.check import CheckConfig
from keepalive_py.config.model import SslFiles
from keepalive_py.health.verdict import Failed, Passed, Reason, Unknown, Verdict
from keepalive_py.net import Endpoint
from keepalive_py.probing.children import Launcher, Resolver, by_account
from keepalive_py.probing.flight import Flight, Ready
from keepalive_py.probing.limits import Limits
from keepalive_py.probing.pings import Pings
from keepalive_py.probing.sockets import SockAddr
from keepalive_py.probing.statistics import Statistics
from keepalive_py.probing.wheel import NOWHERE, Entry, Wheel

__all__ = ["Engine", "Loop", "Report", "Subscription", "Trouble"]

TICK: Final = 0.010
# A probe begins in the tick that is nearest to its due time: the time between two is the configured
# one to half a tick, exactly so for whole ticks, and not longer by up to a whole one.
EARLY: Final = TICK / 2
SLEPT: Final = 0.25  # seconds behind time
BATCH: Final = 256  # events taken at a time
STARTS: Final = 64  # probes started at a time
CHILD_COST: Final = 16  # what starting a child takes, in probes
SLACK: Final = 0.1  # of a subscriber's interval: so much early is on time for a shared verdict
GOOD_NEWS: Final = 0.5  # the same for a verdict that can only help
TROUBLE_EVERY: Final = 60.0
DIFFERENT_TROUBLES: Final = 1000
FOREVER: Final = float("inf")

# (verdict, started, ended) -> seconds until the next run.
Report = Callable[[Verdict, float, float], float]
Trouble = Callable[[Reason, str], None]


class Loop(Protocol):
    """The part of an asyncio loop that the engine needs."""

    def add_reader(self, fd: Any, callback: Callable[..., Any], /) -> Any: ...
    def remove_reader(self, fd: Any, /) -> Any: ...
    def call_later(self, delay: float, callback: Callable[..., Any], /) -> Any: ...
    def call_soon(self, callback: Callable[..., Any], /) -> Any: ...


class Subscription:
    """One check of one real server. `due` is when it wants its next verdict."""

    __slots__ = ("check", "delay", "due", "job", "report", "suspended")

    def __init__(self, job: Job, check: CheckConfig, report: Report, due: float, delay: float) -> None:
        self.job: Job | None = job
        self.check = check
        self.report = report
        self.due = due
        self.delay = delay
        self.suspended = False

    def takes(self, verdict: Verdict, started: float) -> bool:
        """Is a verdict of a probe that began at `started` for us? A success may come early, a
        failure not: that many failures in that time is what the operator has configured."""
        early = GOOD_NEWS if type(verdict) is Passed else SLACK
        return not self.suspended and self.due <= started + EARLY + early * self.delay


class Job:
    """One probe and its subscribers; an entry of the wheel while it waits for its time."""

    __slots__ = (
        "arguments",
        "at_most",
        "checker",
        "config",
        "due",
        "engine",
        "flight",
        "flying",
        "key",
        "slot",
        "started",
        "subscribers",
        "waiting",
    )

    def __init__(self, engine: Engine, checker: Checker, config: CheckConfig, key: object) -> None:
        self.engine = engine
        self.checker = checker
        self.config = config
        self.key = key
        self.arguments: tuple[Any, ...] = (config,)
        if checker.memory is not None:
            self.arguments = (config, checker.memory(config))
        self.at_most = FOREVER if checker.at_most is None else checker.at_most(config)
        self.subscribers: list[Subscription] = []
        self.flight = Flight(engine, self.landed)
        self.flying = False
        self.waiting = False
        self.due = FOREVER
        self.started = 0.0
        self.slot = NOWHERE

    def expire(self, now: float) -> None:
        self.engine.admit(self, now)

    def landed(self, verdict: Verdict) -> None:
        self.engine.landed(self, verdict)

    def schedule(self) -> None:
        """Into the wheel for the earliest subscriber, unless a probe is under way or queued."""
        if self.flying or self.waiting:
            return
        self.due = FOREVER
        for subscription in self.subscribers:
            if not subscription.suspended and subscription.due < self.due:
                self.due = subscription.due
        if self.due == FOREVER:
            self.engine.wheel.take(self)
        else:
            early = EARLY if self.due > self.started + TICK else 0.0
            self.engine.wheel.put(self, self.due - early)


class Engine:
    """See the package's docstring for the contract.

    `ssl_files` is the client certificate of TLS probes that name none: set it at will.
    """

    def __init__(
        self,
        *,
        registry: Mapping[str, Checker],
        trouble: Trouble,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        resolve: Resolver = by_account,
        share: bool = True,
    ) -> None:
        self.clock = clock
        self.wheel = Wheel(TICK)
        self.poller = select.epoll()
        self.descriptors: dict[int, Ready] = {}
        self.hungry: list[Flight] = []
        self.pings = Pings(self)
        self.launcher = Launcher(self, resolve)
        self.statistics = Statistics()
        self.ssl_files: SslFiles | None = None
        self._registry = registry
        self._limits = limits or Limits()
        self._sockets = self._limits.sockets()
        self._trouble = trouble
        self._told: dict[object, float] = {}
        self._share = share
        self._jobs: dict[object, Job] = {}  # shared ones
        self._subscriptions: set[Subscription] = set()
        self._queue: deque[Job] = deque()
        self._child_queue: deque[Job] = deque()
        self._loop: Loop | None = None
        self._timer: Any = None
        self._timer_due = FOREVER

    # Subscriptions.

    def attach(self, loop: Loop) -> None:
        """Run in `loop` from now on."""
        self._loop = loop
        loop.add_reader(self.poller.fileno(), self.turn)
        self._arm()

    def add(self, check: CheckConfig, report: Report, *, first_in: float) -> Subscription:
        """Probe for `check`, first in `first_in` seconds. KeyError: no such kind of check."""
        checker = self._registry[check.KIND]
        if checker.probe is None:
            raise ValueError(f"{check.KIND} is not probed")
        job = self._job(checker, check)
        due = self.clock() + first_in
        subscription = Subscription(job, check, report, due, check.delay_loop)
        job.subscribers.append(subscription)
        self._subscriptions.add(subscription)
        job.schedule()
        self._arm()
        return subscription

    def _job(self, checker: Checker, check: CheckConfig) -> Job:
        key = checker.identical(check) if self._share and checker.identical is not None else None
        if key is None:
            return Job(self, checker, check, None)
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = Job(self, checker, check, key)
        return job

    def suspend(self, subscription: Subscription) -> None:
        """No verdicts until `resume`. A probe that nobody else waits for is ended."""
        subscription.suspended = True
        if subscription.job is not None:
            self._fewer(subscription.job)

    def resume(self, subscription: Subscription, first_in: float = 0.0) -> None:
        """Verdicts again, the first in `first_in` seconds."""
        if subscription.suspended:
            subscription.suspended = False
            self._due_in(subscription, first_in)

    def run_now(self, subscription: Subscription) -> None:
        """Probe at once. A suspended subscription stays so; a probe under way is not repeated."""
        if not subscription.suspended:
            self._due_in(subscription, 0.0)

    def _due_in(self, subscription: Subscription, seconds: float) -> None:
        if subscription.job is not None:
            subscription.due = self.clock() + seconds
            subscription.job.schedule()
            self._arm()

    def remove(self, subscription: Subscription) -> None:
        """No verdict ever again. Removing twice does nothing."""
        job = subscription.job
        if job is None:
            return
        subscription.job = None
        self._subscriptions.discard(subscription)
        job.subscribers.remove(subscription)
        if not job.subscribers and job.key is not None:
            del self._jobs[job.key]
        self._fewer(job)

    def _fewer(self, job: Job) -> None:
        """Somebody left: perhaps nobody waits any more, perhaps the others are due later."""
        if any(not s.suspended for s in job.subscribers):
            job.schedule()
            return
        job.waiting = False
        if job.flying:
            job.flying = False
            self.statistics.aborted += 1
            self._one_less(job)
            job.flight.abort()
        job.schedule()

    def under_way(self) -> list[tuple[Endpoint | None, SockAddr]]:
        """Of each probe in flight where it goes and where it comes from (() without a socket)."""
        jobs = {subscription.job for subscription in self._subscriptions}
        return [job.flight.where() for job in jobs if job is not None and job.flying]

    async def close(self) -> None:
        """End everything. Children get SIGTERM, and SIGKILL after a second."""
        for subscription in list(self._subscriptions):
            self.remove(subscription)
        await self._children_end(1.0)
        for child in list(self.launcher.alive):
            child.expire(self.clock())
        await self._children_end(1.0)
        self.pings.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._loop is not None:
            self._loop.remove_reader(self.poller.fileno())
            self._loop = None
        self.poller.close()

    async def _children_end(self, patience: float) -> None:
        end = self.clock() + patience
        while self.launcher.alive and self.clock() < end:
            await asyncio.sleep(0.02)
            self.turn()

    # Time.

    def turn(self) -> None:
        """Do what is due and what the kernel has news of; bounded, the rest comes next."""
        if not self._has_slept() or self._drain() < BATCH:
            self._start_due()
            self._go_on()
            self._drain()
        self._arm()

    def _has_slept(self) -> bool:
        """Somebody stopped the process, or the machine: answers that came meanwhile are to be
        taken before it is said that there were none in time."""
        due = self.wheel.next()
        return due is not None and self.clock() - due > SLEPT

    def _start_due(self) -> None:
        now = self.clock()
        budget = STARTS
        pop, queue, child_queue = self.wheel.pop, self._queue, self._child_queue
        while budget > 0:
            waiting = self._next_in_line() if queue or child_queue else None
            entry: Entry | None = waiting or pop(now)
            if waiting is not None:
                self._start_waiting(waiting, now)
            elif entry is not None:
                entry.expire(now)
            else:
                return
            budget -= CHILD_COST if isinstance(entry, Job) and entry.checker.child else 1

    def _go_on(self) -> None:
        """Who has read much in one go reads on."""
        flights, self.hungry = self.hungry, []
        for flight in flights:
            flight.ready(0)

    def _drain(self) -> int:
        """News of the kernel, and how many. No socket is opened here: a descriptor number in the
        batch that was closed on the way must not come to mean another probe."""
        news = self.poller.poll(0, BATCH)
        for fd, events in news:
            ready = self.descriptors.get(fd)
            if ready is not None:
                ready.ready(events)
        return len(news)

    def _arm(self) -> None:
        if self._loop is None:
            return
        due = self.clock() if self.hungry or self._next_in_line() is not None else self.wheel.next()
        if due is None or (self._timer is not None and self._timer_due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_later(max(0.0, due - self.clock()), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.turn()

    # Probes.

    def admit(self, job: Job, now: float) -> None:
        """It is time for `job`: start it, or let it wait its turn."""
        if self._full(job.checker):
            job.waiting = True
            (self._child_queue if job.checker.child else self._queue).append(job)
        else:
            self._start(job, now)

    def _full(self, checker: Checker) -> bool:
        if checker.child:
            return self.statistics.children >= self._limits.children
        return self.statistics.in_flight - self.statistics.children >= self._sockets

    def _next_in_line(self) -> Job | None:
        """Who waits longest, if there is room. Jobs that wait no more are dropped here."""
        for queue in (self._queue, self._child_queue):
            while queue and not queue[0].waiting:
                queue.popleft()
            if queue and not self._full(queue[0].checker):
                return queue[0]
        return None

    def _start_waiting(self, job: Job, now: float) -> None:
        (self._child_queue if job.checker.child else self._queue).popleft()
        job.waiting = False
        self._start(job, now)

    def _start(self, job: Job, now: float) -> None:
        statistics = self.statistics
        statistics.started += 1
        statistics.in_flight += 1
        statistics.children += job.checker.child
        late = now - job.due
        statistics.late.add(late if late > 0.0 else 0.0)
        job.flying = True
        job.started = now
        probe = job.checker.probe
        assert probe is not None
        job.flight.start(probe(*job.arguments), job.at_most)

    def _one_less(self, job: Job) -> None:
        self.statistics.in_flight -= 1
        self.statistics.children -= job.checker.child

    def landed(self, job: Job, verdict: Verdict) -> None:
        """A probe has its verdict: tell everybody that it is for, and plan the next run."""
        ended = self.clock()
        job.flying = False
        self._one_less(job)
        self._count(job, verdict, ended - job.started)
        base = job.started if job.checker.child else ended
        told = 0
        for subscription in list(job.subscribers):
            if subscription.job is job and subscription.takes(verdict, job.started):
                subscription.delay = self._tell(subscription, verdict, job.started, ended)
                due = base + subscription.delay
                subscription.due = due if due > ended else ended
                told += 1
        if told > 1:
            self.statistics.shared += told - 1
        job.schedule()

    def _tell(self, subscription: Subscription, verdict: Verdict, started: float, ended: float) -> float:
        try:
            delay = subscription.report(verdict, started, ended)
            return delay if delay > 0.0 else 0.0
        except Exception as error:  # whoever listens badly is told again, and the others too
            self.bug(error)
            return subscription.check.delay_loop

    def _count(self, job: Job, verdict: Verdict, took: float) -> None:
        kind = type(verdict)
        if kind is Passed:
            self.statistics.passed += 1
            self.statistics.lasted(job.config.KIND, took)
        elif kind is Failed:
            self.statistics.failed += 1
            self.statistics.lasted(job.config.KIND, took)
        else:
            assert isinstance(verdict, Unknown)
            self.statistics.unknown += 1
            if verdict.reason is not Reason.BUG:
                self._tell_trouble((job.config.KIND, verdict), verdict.reason, verdict.detail)

    # Trouble.

    def bug(self, error: Exception) -> None:
        """A programming error: its traceback is told once a minute for each place."""
        frames = traceback.extract_tb(error.__traceback__)
        place = (frames[-1].filename, frames[-1].lineno) if frames else ()
        text = "".join(traceback.format_exception(error))
        self._tell_trouble((type(error), place), Reason.BUG, text)

    def _tell_trouble(self, key: object, reason: Reason, text: str) -> None:
        now = self.clock()
        if now - self._told.get(key, -FOREVER) < TROUBLE_EVERY:
            return
        if len(self._told) >= DIFFERENT_TROUBLES:
            self._told.clear()
        self._told[key] = now
        self._trouble(reason, text)
