"""The heart of the daemon: configuration, health, probes, table and notifications, wired.

All of it runs in one thread, on the event loop. State changes happen in plain functions
between two awaits; the only thing that waits is the dataplane, behind the writer's task.

```
engine -> verdict -> health.report -> events -> log
                                   -> writer (what is wanted - mirror = steps) -> dataplane
                                                                               -> notifications
```
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from keepalive_py.checkers import REGISTRY
from keepalive_py.config.model import Config, LvsFlushOnStop
from keepalive_py.config.reconcile import DriftPolicy, ForeignPolicy, reconcile_of
from keepalive_py.control.journal import Journal
from keepalive_py.daemon import voice
from keepalive_py.daemon.addresses import AddressWatch
from keepalive_py.daemon.announcing import Announcing
from keepalive_py.daemon.drift import MOST_SHOWN, VIP_MOVED
from keepalive_py.daemon.files import FileChecks
from keepalive_py.daemon.guard_clock import GuardClock
from keepalive_py.daemon.kernel_settings import KernelSettings, refusals_said
from keepalive_py.daemon.local_addresses import LocalAddresses
from keepalive_py.daemon.modules import Modules
from keepalive_py.daemon.probes import Probes
from keepalive_py.daemon.remembering import Remembering
from keepalive_py.daemon.sessions import BfdChecks
from keepalive_py.daemon.slices import SLICE, reload_slices, sliced
from keepalive_py.daemon.state_directory import StateDirectory
from keepalive_py.daemon.steering import Steering
from keepalive_py.daemon.writer import TableWriter
from keepalive_py.dataplane.port import Dataplane
from keepalive_py.health import lifecycle, suspension, wording
from keepalive_py.health.checker_state import CheckerState
from keepalive_py.health.events import Event
from keepalive_py.health.fitness import Standing
from keepalive_py.health.names import rs_name, vs_name
from keepalive_py.health.override import Override
from keepalive_py.health.reload import reload as reload_health
from keepalive_py.health.remembered import Memory
from keepalive_py.health.report import report
from keepalive_py.health.service_state import ServiceState
from keepalive_py.health.verdict import Reason, Verdict
from keepalive_py.net import Address
from keepalive_py.notify.notifier import Notifier
from keepalive_py.plan.desired import Overrides, desired, sharing
from keepalive_py.plan.marks import NO_MARKS, MarkSettings, allocate
from keepalive_py.plan.table import Table
from keepalive_py.probing import Engine, Statistics
from keepalive_py.probing.tls import client_context

STOP_PATIENCE = 1.0  # seconds for scripts and mails at stop (keepalived's)


class Closable(Protocol):
    def close(self) -> None: ...


class Supervisor:
    """Runs one configuration after the other on one dataplane. `present` are the addresses of
    this host, for ha_suspend; `state` is where health is kept over a restart."""

    def __init__(
        self,
        config: Config,
        dataplane: Dataplane,
        engine: Engine,
        notifier: Notifier,
        *,
        router_id: str,
        reconcile_interval: float = 60.0,
        present: frozenset[Address] = frozenset(),
        state: StateDirectory | None = None,
    ) -> None:
        self.config = config
        self.dataplane = dataplane
        self.engine = engine
        self.notifier = notifier
        self.router_id = router_id
        self.present = present
        self.services: list[ServiceState] = []
        self.index: dict[ServiceState, int] = {}
        self.marks = NO_MARKS
        self.sharing: tuple[tuple[int, ...], ...] = ()
        self.probes = Probes(engine, REGISTRY, self.verdict)
        self.files = FileChecks(asyncio.get_running_loop(), self.event_verdict)
        self.sessions = BfdChecks(asyncio.get_running_loop(), self.event_verdict)
        self.writer = TableWriter(
            dataplane, self.wanted, self.notify, voice.warn, reconcile_interval, self.drifted
        )
        self.writer.news.heard = self.step_refused
        self.addresses: AddressWatch | None = None
        self.kernel = KernelSettings(dataplane)
        self.announcing = Announcing(self)
        self.modules = Modules(state or StateDirectory(""), self.announcing.wake)
        self.local_addresses = LocalAddresses(dataplane.name, state.path if state else "")
        self.remembering = Remembering(self, state or StateDirectory(""))
        self.guards = GuardClock(engine.clock, self.guards_moved)
        self.events = Counter[str]()
        self.journal = Journal()
        self.steering = Steering(state or StateDirectory(""), self.journal, self.steered)
        self.reloads = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def now(self) -> float:
        return self.engine.clock()

    @property
    def table(self) -> Table:
        """The kernel's table as far as we know it."""
        return self.writer.known

    @property
    def table_settled(self) -> bool:
        return self.writer.is_settled

    @property
    def probe_statistics(self) -> Statistics:
        return self.engine.statistics

    @property
    def writing(self) -> bool:
        """Whether the table's writer is at work."""
        return self._task is not None and not self._task.done()

    def counts(self) -> dict[str, object]:
        """What happened so far, by name."""
        return {
            "reloads": self.reloads,
            "table_repairs": self.writer.drift.repaired,
            "drift": dict(self.writer.drift.counts),
            "refused_steps": self.writer.refused,
            "notify_scripts": self.notifier.scripts.started,
            "fifo_lines_lost": self.notifier.lines_lost,
            "mails_waiting": len(self.notifier.mailer.waiting),
            "events": dict(self.events),
            "internal_errors": dict(voice.mistakes),
        }

    def statistics_kept(self) -> Mapping[str, object]:
        """What is counted on over a restart."""
        drift = self.writer.drift
        return {
            "reloads": self.reloads,
            "table_repairs": drift.repaired,
            "drift": dict(drift.counts),
            "events": dict(self.events),
        }

    def next_run(self, checker: CheckerState) -> float | None:
        return self.probes.next_run(checker)

    def table_state(self) -> dict[str, object]:
        """How the kernel's table is."""
        writer, drift = self.writer, self.writer.drift.as_json()
        return {
            "dataplane": self.dataplane.name,
            "settled": writer.is_settled and not writer.trouble,
            "trouble": writer.trouble,
            "refused_steps": writer.refused,
            "repaired": writer.drift.repaired,
            "policy": writer.policy.drift.value,
            "drift": [each["step"] for each in drift["standing"]],
            "differences": drift["standing"],
            "drift_counts": drift["counts"],
            "foreign_policy": writer.policy.foreign_services.value,
            "foreign_services": sorted(map(str, writer.foreign))[:MOST_SHOWN],
        }

    def announcer_state(self) -> dict[str, Any] | None:
        return None if self.announcing.work is None else self.announcing.work.status

    def modules_state(self) -> list[dict[str, Any]]:
        return self.modules.rows()

    def module_standing(self, name: str) -> Standing | None:
        """None: it is no module of the `toa` block."""
        return self.modules.standing(name)

    def local_addresses_state(self) -> Mapping[str, object]:
        return self.local_addresses.as_json()

    # Start.

    async def start(self) -> None:
        """Adopt the table, make it as wanted, and let the checks begin. Raises KeepaliveError
        when the dataplane does not even answer."""
        defs = self.config.global_defs
        if defs.lvs_flush:
            await self.writer.flush()
        self.dataplane.watch(self.writer.read_again)
        await self.writer.adopt()
        await self.kernel.apply(None, defs)
        self.local_addresses.prepare(self.config)
        self.notifier.configure(defs, router_id=self.router_id)
        self.watch_addresses(self.config)
        self.files.prepare(self.config.track_files)
        memory = self.recalled()
        self.services, events = lifecycle.start(
            self.config, self.now, self.present, self.files.known, memory.restore
        )
        self.probes.remembered = memory.due
        if memory.servers:
            voice.say(f"Health of {memory.servers} real servers is remembered, {memory.down} are down")
        await self.give_marks(self.config)
        self.take_over(self.config, self.services)
        self.steering.load()
        self.happened(events)
        self.guards.watch(self.services)
        self.follow_events(self.probes.follow(self.services))
        self._task = asyncio.get_running_loop().create_task(self.writer.run(), name="table writer")
        self.writer.touch_everything()
        if self.writer.policy.foreign_services is ForeignPolicy.REMOVE:
            self.writer.read_again()
        await self.tell_armed(Reason.START)
        await self.writer.settled()
        self.remembering.start()
        self.modules.follow(self.config)
        self.local_addresses.release(self.config)
        await self.announcing.follow(self.config)

    def recalled(self) -> Memory:
        """What a former process left of health; its statistics are counted on."""
        memory, kept = self.remembering.recalled()
        self.reloads += counted(kept.get("reloads"))
        self.writer.drift.repaired += counted(kept.get("table_repairs"))
        for counter, name in ((self.events, "events"), (self.writer.drift.counts, "drift")):
            numbers = kept.get(name)
            if isinstance(numbers, Mapping):
                counter.update({str(each): counted(number) for each, number in numbers.items()})
        return memory

    async def give_marks(self, config: Config) -> None:
        """Of groups that are served by mark. In a thread: there may be ten thousand lines."""
        if self.dataplane.serves_by_mark and config.global_defs.nftables_ipvs is not None:
            if MarkSettings.of(config.global_defs) != MarkSettings.of(self.config.global_defs):
                voice.warn(
                    "nftables_ipvs_priority, nftables_counters: a change takes effect at the next start"
                )
            self.marks = await asyncio.to_thread(allocate, config, self.marks, dict(self.table))

    def take_over(self, config: Config, services: list[ServiceState]) -> None:
        """What the table is made from, all at once."""
        self.config = config
        self.services = services
        self.writer.follow(reconcile_of(config.extensions))
        self.index = {service: place for place, service in enumerate(services)}
        self.sharing = sharing(config, self.marks)
        self.engine.ssl_files = config.ssl
        client_context.cache_clear()  # a certificate may have been renewed under its old name

    def follow_events(self, driven: Sequence[CheckerState]) -> None:
        self.files.follow(driven)
        self.sessions.follow(driven, self.config.bfd_instances)

    async def tell_armed(self, reason: Reason) -> None:
        """A line for each check; with yields, since ten thousand take a while."""
        for some in sliced(self.services):
            voice.tell(suspension.armed(some, self.now, reason))
            await asyncio.sleep(0)

    def happened(self, events: Sequence[Event]) -> None:
        """Log now, notify when the table is as the events say. Whoever hears of it badly keeps nobody
        else from hearing, and the table from nothing."""
        self.writer.notify_after(events)
        voice.tell(events)
        with voice.apart("the journal"):
            self.events.update(type(event).__name__ for event in events)
            self.journal.add(events)
        with voice.apart("the announcer"):
            self.announcing.wake()

    # Verdicts.

    def verdict(self, checker: CheckerState, verdict: Verdict, started: float, ended: float) -> float:
        """The engine's report: a check has run. Seconds until its next run."""
        checker.remember(verdict, started, ended)
        delay, events = report(checker, verdict, ended)
        if events:
            self.happened(events)
            self.changed(checker)
        elif checker.failures:
            self.remember(checker)
        return delay

    def event_verdict(self, checker: CheckerState, verdict: Verdict) -> None:
        self.verdict(checker, verdict, self.now, self.now)

    def changed(self, checker: CheckerState) -> None:
        server = checker.server
        place = self.index.get(server.service) if server is not None and server.service is not None else None
        if place is not None:
            self.writer.touch(place)
            with voice.apart("the guards"):
                self.guards.watch((self.services[place],))
        self.remember(checker)

    def step_refused(self, reason: str, text: str) -> None:
        """The kernel did not take a step; `reason` is its errno's name."""
        self.journal.say("step_refused", text, reason=reason)

    def drifted(self, reason: str, text: str, service: str) -> None:
        """Somebody else changed what is ours in the kernel."""
        self.events["Drift"] += 1
        self.journal.say("drift", text, reason=reason, **({"service": service} if service else {}))

    @property
    def repairs(self) -> bool:
        """Whether what others changed is put right."""
        return self.writer.policy.drift is DriftPolicy.REPAIR

    def vip_drifted(self, text: str) -> None:
        self.writer.drift.also(VIP_MOVED, text)

    def guards_moved(self, services: Sequence[ServiceState], events: Sequence[Event]) -> None:
        """Time alone changed these: a slow start goes on, a server is not held back any more."""
        self.happened(events)
        for service in services:
            if service in self.index:  # a reload may have removed it
                self.writer.touch(self.index[service])
        self.remembering.touch(services)

    def remember(self, checker: CheckerState) -> None:
        server = checker.server
        if server is not None and server.service is not None:
            with voice.apart("remembering"):
                self.remembering.touch((server.service,))

    def notify(self, events: Iterable[Event]) -> None:
        with voice.apart("the announcer"):
            self.announcing.wake()
        for event in events:
            with voice.apart("notifications"):
                self.notifier.tell((event,))

    def wanted(self, places: Iterable[int] | None) -> Iterator[Table]:
        """What the table should hold, in parts, each as health sees it when it is taken."""
        config, services, together, marks = self.config, self.services, self.sharing, self.marks
        holds = self.dataplane.service_options

        def made(part: list[int]) -> Table:
            weights = self.steered_weights(part)
            return desired(config, services, only=part, holds=holds, overrides=weights, marks=marks)

        if places is None:
            places = range(len(services))
        done: set[int] = set()
        part: list[int] = []
        for place in places:
            if place in done:
                continue
            done.update(together[place])
            part += together[place]
            if len(part) >= SLICE:
                yield made(part)
                part = []
        if part:
            yield made(part)

    def steered_weights(self, places: Iterable[int]) -> Overrides:
        """What operators want of these."""
        found = ((place, self.steering.weights(self.services[place])) for place in places)
        return {place: weights for place, weights in found if weights}

    def steered(self, which: Iterable[Override]) -> None:
        """Operators changed their mind about these: see to the virtual servers that have them."""
        addresses = {each.server for each in which}
        for place, service in enumerate(self.services):
            if any(
                str(server.rs.endpoint.address) in addresses or str(server.rs.endpoint) in addresses
                for server in service.servers
            ):
                self.writer.touch(place)

    def watch_addresses(self, config: Config) -> None:
        """Only ha_suspend needs to know this host's addresses. When they cannot be known its
        virtual servers count as present: better checked too often than never."""
        wanted = [vs for vs in config.virtual_servers if vs.ha_suspend]
        if wanted and self.addresses is None:
            try:
                loop = asyncio.get_running_loop()
                self.addresses = AddressWatch(self.addresses_changed, loop)
                self.present = self.addresses.known
            except OSError as error:
                voice.warn(f"ha_suspend: the addresses of this host cannot be read: {error.strerror}")
                self.present = frozenset(vs.endpoint.address for vs in wanted if vs.endpoint is not None)
        elif not wanted and self.addresses is not None:
            self.addresses.close()
            self.addresses = None

    def addresses_changed(self, present: frozenset[Address]) -> None:
        """For ha_suspend: this host's addresses are now these."""
        for address in sorted(present ^ self.present, key=str):
            if self.is_waited_for(address):
                voice.say(wording.address_line(address, added=address in present))
        self.present = present
        before = [service.suspended for service in self.services]
        voice.tell(suspension.addresses_changed(self.services, present, self.now))
        for service, was in zip(self.services, before, strict=True):
            if service.suspended != was:
                self.probes.suspend(service)

    def is_waited_for(self, address: Address) -> bool:
        """Whether a virtual server with ha_suspend has it."""
        alone = frozenset((address,))
        return any(
            service.vs.ha_suspend and not suspension.is_suspended(service, alone) for service in self.services
        )

    # Reload.

    async def reload(self, config: Config) -> None:
        """Go on under `config`. Returns when the table is as wanted, or was tried.

        In slices, so that probes go on: each virtual server passes from the old configuration
        to the new one between two yields, and the table waits until all have.
        """
        before = self.config
        self.notifier.configure(config.global_defs, router_id=self.router_id)
        self.watch_addresses(config)
        await self.announcing.before(config)
        self.local_addresses.prepare(config)
        self.files.prepare(config.track_files)
        async with self.writer.paused():
            services, driven = await self.passed_over(config)
            await self.give_marks(config)
            self.take_over(config, services)
        self.probes.forget_removed()
        self.journal.forget_others(
            (vs_name(service.vs), rs_name(service.vs, server.rs.endpoint))
            for service in services
            for server in service.servers
        )
        self.follow_events(driven)
        self.remembering.touch(services)
        self.guards.follow(services)
        self.reloads += 1
        # Read as well: an operator who reloads because the table is wrong gets it made right.
        self.writer.touch_everything()
        self.writer.repair()
        await self.tell_armed(Reason.RELOAD)
        await self.kernel.apply(before.global_defs, config.global_defs)
        await self.writer.settled()
        self.modules.follow(config)
        self.local_addresses.release(config)
        await self.announcing.follow(config)
        await self.journal.write_down()

    async def passed_over(self, config: Config) -> tuple[list[ServiceState], list[CheckerState]]:
        """The services under `config`, in its order, and the checks that events drive."""
        after: dict[int, ServiceState] = {}
        driven: list[CheckerState] = []
        for old, new in reload_slices(self.services, config.virtual_servers):
            part = dataclasses.replace(
                config, virtual_servers=tuple(config.virtual_servers[at] for at in new)
            )
            services, events = reload_health(old, part, self.now, self.present, self.files.known)
            self.happened(events)
            driven += self.probes.follow(services)
            after.update(zip(new, services, strict=True))
            await asyncio.sleep(0)
        return [after[at] for at in range(len(after))], driven

    # Stop.

    async def stop(self, *, keep_table: bool) -> None:
        """As keepalived stops: real servers out, then services; only omega notifies. With
        `keep_table` nothing is removed and nobody is told. Processes can still be started. What goes
        wrong with one of these does not keep the others from their end."""
        with voice.apart("the announcer"):
            await self.announcing.leave(keep_table=keep_table)
        with voice.apart("the end of the checks"):
            for subscription in list(self.probes.subscriptions.values()):
                self.engine.remove(subscription)
        self.close_all(self.files, self.sessions, self.steering, self.guards, self.addresses)
        with voice.apart("the table"):
            await self.end_writer()
        with voice.apart("remembering"):
            await self.remembering.close()
        if not keep_table:
            await self.leave_table()
        with voice.apart("local addresses"):
            self.local_addresses.close(keep_table=keep_table)
        with voice.apart("the announcer"):
            await self.announcing.close(keep_table=keep_table)
        with voice.apart("the modules"):
            await self.modules.close()
        with voice.apart("notifications"):
            await self.notifier.close(STOP_PATIENCE)

    def close_all(self, *rooms: Closable | None) -> None:
        for room in rooms:
            with voice.apart(type(room).__name__):
                if room is not None:
                    room.close()

    async def leave_table(self) -> None:
        events: Sequence[Event] = ()
        with voice.apart("the last state"):
            events = lifecycle.stop(self.services, self.config.global_defs, self.now)
            voice.tell(events)
        with voice.apart("the table"):
            await self.empty_table()
        self.notify(events)
        with voice.apart("kernel settings"):
            await self.kernel.restore(self.config.global_defs)

    async def close(self) -> None:
        """After `stop`: let go of everything."""
        await self.engine.close()
        await self.dataplane.close()

    async def end_writer(self) -> None:
        self.writer.close()
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self.writer.settled()), STOP_PATIENCE)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def empty_table(self) -> None:
        if self.config.global_defs.lvs_flush_on_stop is LvsFlushOnStop.ALL:
            with refusals_said():
                await self.writer.flush()
        else:
            await self.writer.remove_all()


def counted(value: object) -> int:
    """A number that is remembered, if it is one."""
    return value if isinstance(value, int) and value > 0 else 0
