"""The one writer of the dataplane.

Verdicts of one turn of the loop become one batch: whoever changes something marks its
virtual server (`touch`), and the writer's task compares what is wanted now with its mirror of
the table, sends the difference, and only then lets the notifications out. The mirror is
what the kernel was read to hold, plus every step it took.

After a refusal, and now and then, the table is read again: what somebody else changed in our
services is said and repaired, refused steps are tried again, and what is not ours is left alone.
The block `reconcile` may say otherwise. Where nothing is repaired the mirror stays what we made of
the table, so that a change of health is one step, and what was found stays as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

from keepalive_py.config.reconcile import DriftPolicy, ForeignPolicy, Reconcile
from keepalive_py.daemon import voice
from keepalive_py.daemon.drift import Drift, Told
from keepalive_py.daemon.refusals import RefusalNews
from keepalive_py.dataplane.port import Dataplane
from keepalive_py.errors import KeepaliveError
from keepalive_py.health.events import Event
from keepalive_py.plan.apply import apply
from keepalive_py.plan.diff import diff
from keepalive_py.plan.steps import DeleteService, Step
from keepalive_py.plan.table import ServiceKey, Table

RETRY_FIRST = 5.0  # seconds from a refusal to the next reading; doubled while it persists

# The wanted table in parts: those of the given virtual servers, or of all of them.
Wanted = Callable[[Iterable[int] | None], Iterator[Table]]
Say = Callable[[str], None]


class TableWriter:
    """`interval`: seconds between readings of the table, 0 for none but after a refusal."""

    def __init__(
        self,
        dataplane: Dataplane,
        wanted: Wanted,
        notify: Callable[[Sequence[Event]], None],
        warn: Say,
        interval: float,
        told: Told = lambda reason, text, service: None,
    ) -> None:
        self.dataplane = dataplane
        self.wanted = wanted
        self.notify = notify
        self.warn = warn
        self.interval = self.usual_interval = interval
        self.policy = Reconcile()
        self.news = RefusalNews(warn)
        self.present: Table = {}
        self.owned: dict[ServiceKey, None] = {}  # in the order of the configuration
        self.touched: set[int] = set()
        self.everything = False
        self.reading_due = False
        self.events: list[Event] = []
        self.refused = 0  # steps of the last comparison of everything, and since
        self.trouble = ""  # why nobody knows whether the table is as wanted
        self.retry_in = RETRY_FIRST
        self.drift = Drift(warn, told)
        self.missing: frozenset[ServiceKey] = frozenset()  # ours, gone, and not to be repaired
        self.foreign: frozenset[ServiceKey] = frozenset()  # not ours, at the last reading
        self.ordered = False  # to repair whatever the policy says
        self.closed = False
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._free = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()

    # What others call.

    def follow(self, policy: Reconcile) -> None:
        """From the next reading on."""
        self.policy = policy
        self.interval = self.usual_interval if policy.interval is None else policy.interval

    @property
    def known(self) -> Table:
        """The kernel's table as far as we know it."""
        if not self.missing:
            return self.present
        return {key: entry for key, entry in self.present.items() if key not in self.missing}

    def touch(self, index: int) -> None:
        """The pool of this virtual server changed."""
        self.touched.add(index)
        self.wake()

    def touch_everything(self) -> None:
        self.everything = True
        self.touched.clear()
        self.wake()

    def notify_after(self, events: Iterable[Event]) -> None:
        """Notifications go out when the table is as the events say."""
        self.events += events
        self.wake()

    def read_again(self) -> None:
        """Read the table and see to what differs."""
        self.reading_due = True
        self.wake()

    def repair(self) -> None:
        """The same, and somebody wants it repaired in any case."""
        self.ordered = True
        self.read_again()

    def wake(self) -> None:
        self._idle.clear()
        self._wake.set()

    async def settled(self) -> None:
        """Until all that was asked for so far has been tried."""
        await self._idle.wait()

    @property
    def is_settled(self) -> bool:
        return self._idle.is_set()

    @contextlib.asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Nothing is compared or sent in the body: what is wanted is not whole there."""
        async with self._free:
            yield

    async def run(self) -> None:
        """The task. Ends by cancellation."""
        self.arm(self.interval)
        while True:
            await self._wake.wait()
            self._wake.clear()
            async with self._free:
                await self.one_pass()
            if not self._wake.is_set():
                self._idle.set()

    # One pass.

    async def one_pass(self) -> None:
        events, self.events = self.events, []
        try:
            if self.reading_due:
                await self.reconcile()
            elif self.everything:
                await self.bring_everything()
            else:
                await self.bring_touched()
        except (KeepaliveError, OSError) as error:
            if str(error) != self.trouble:
                self.warn(f"IPVS: {error}; it stays as it is, and is tried again")
            self.failed(str(error))
        except Exception as error:  # a mistake of ours: the table stays as it is, and is read again
            voice.mistake("the table", error)
            self.failed("a mistake of ours, the log has it")
        with voice.apart("notifications"):
            self.notify(events)

    def failed(self, why: str) -> None:
        self.trouble = why
        self.reading_due = False
        self.touched.clear()
        self.arm_retry()

    async def bring_touched(self) -> None:
        touched, self.touched = self.touched, set()
        for part in self.wanted(touched) if touched else ():
            if refused := await self.bring(part):
                self.refused += refused
                self.arm_retry()

    async def bring_everything(self) -> None:
        """In parts, with a yield after each: ten thousand servers must not stop the probes."""
        self.everything = False
        self.touched.clear()
        wanted: set[ServiceKey] = set()
        self.refused = 0
        self.news.begin()
        for part in self.wanted(None):
            wanted |= part.keys()
            self.refused += await self.bring(part)
            await asyncio.sleep(0)
        if not self.everything:  # else the configuration changed meanwhile: again, all of it
            await self.drop([key for key in self.owned if key not in wanted])
            self.news.end()
        if self.refused:
            self.arm_retry()
        else:
            self.retry_in = RETRY_FIRST

    async def bring(self, part: Table) -> int:
        """Make the services of `part` as wanted. The number of steps refused."""
        self.owned.update(dict.fromkeys(part))
        have = {key: entry for key in part if (entry := self.present.get(key)) is not None}
        return await self.run_steps(diff(part, have))

    async def drop(self, keys: Sequence[ServiceKey]) -> None:
        self.refused += await self.run_steps([DeleteService(key) for key in keys])
        for key in keys:
            if key not in self.present:
                self.owned.pop(key, None)

    async def run_steps(self, steps: list[Step]) -> int:
        if not steps:
            return 0
        refusals = await self.dataplane.apply(steps)
        refused = {id(refusal.step) for refusal in refusals}
        taken = [step for step in steps if id(step) not in refused] if refused else steps
        try:
            self.present = apply(taken, self.present)
        except KeyError:  # the kernel knows a service that we do not: look again
            self.reading_due = True
            self.wake()
        self.news.told(steps, refusals)
        return len(refusals)

    # Reading.

    async def reconcile(self) -> None:
        """Read the table, say and see to what somebody else did to our services."""
        self.reading_due = False
        repairing, self.ordered = self.ordered or self.policy.drift is DriftPolicy.REPAIR, False
        have = await self.dataplane.read()
        if self.trouble:
            self.warn("IPVS: the table can be read again")
            self.trouble = ""
        believed, found = self.ours(self.present), self.ours(have)
        self.drift.found(diff(believed, found), repairing=repairing)
        self.missing = frozenset() if repairing else frozenset(believed.keys() - found.keys())
        self.present = have if repairing else {**have, **believed}
        await self.bring_everything()
        await self.see_to_foreign(have)
        self.arm(self.interval)

    async def differences(self) -> list[Step]:
        """What our services in the table have become since we wrote them. Raises KeepaliveError,
        OSError."""
        async with self._free:
            have = await self.dataplane.read()
            return diff(self.ours(self.present), self.ours(have))

    def ours(self, table: Table) -> Table:
        return {key: entry for key, entry in table.items() if key in self.owned}

    async def see_to_foreign(self, have: Table) -> None:
        """Services that the configuration does not name are nobody's business of ours, unless it
        says that they are."""
        if self.everything:  # a reload came in between: what is ours is not known yet
            return
        foreign = [key for key in have if key not in self.owned]
        if foreign and self.policy.foreign_services is ForeignPolicy.REMOVE:
            self.drift.foreign(foreign)
            await self.run_steps([DeleteService(key) for key in foreign])
            foreign = [key for key in foreign if key in self.present]
        self.foreign = frozenset(foreign)

    def arm_retry(self) -> None:
        self.arm(self.retry_in)
        self.retry_in = min(self.retry_in * 2, max(self.interval, RETRY_FIRST))

    def arm(self, seconds: float) -> None:
        """The next reading. An earlier one that is due already stays."""
        if not seconds:
            return
        loop = asyncio.get_running_loop()
        if self._timer is not None and not self._timer.cancelled():
            if self._timer.when() > loop.time() and self._timer.when() <= loop.time() + seconds:
                return
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self.read_again)

    # Start and stop.

    async def adopt(self) -> None:
        """Take what is there as the starting point: nothing is flushed."""
        self.present = await self.dataplane.read()

    async def flush(self) -> None:
        await self.dataplane.flush()
        self.present = {}

    async def remove_all(self) -> None:
        """Every service of ours; the kernel drops the destinations with their service."""
        steps: list[Step] = [DeleteService(key) for key in self.owned]
        with contextlib.suppress(KeepaliveError, OSError):
            await self.run_steps(steps)

    def close(self) -> None:
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
