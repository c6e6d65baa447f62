"""A daemon to ask questions of: the real one, on tables of memory."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from keepalive_py.config.render import SourceLines, render_text
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.supervisor import Supervisor
from keepalive_py.dataplane.memory import MemoryDataplane
from keepalive_py.errors import ConfigError
from keepalive_py.health.checker_state import CheckerState
from keepalive_py.health.events import Event
from keepalive_py.health.names import rs_name, vs_name
from keepalive_py.health.verdict import Reason, Verdict
from keepalive_py.probing.engine import TICK
from keepalive_py.sources.files import FileSystem
from keepalive_py.testing.clock import VirtualClock
from keepalive_py.testing.happenings import Happening, asked_for, differences, happening, matches, recent
from keepalive_py.testing.hosting import HostedLife, Stage, loaded
from keepalive_py.testing.network import MemoryNetwork
from keepalive_py.testing.servers import ALIVE
from keepalive_py.testing.verdicts import Verdicts

__all__ = ["Daemon", "running"]

T = TypeVar("T")

WITHIN = 10.0  # real seconds that something may take which waits for nothing but the machine
LOOK_AGAIN = 0.01
TEXT = "given.conf"  # where a configuration given as text goes


class Daemon:
    """A running daemon. Made by `running`, or by the fixtures `mock_daemon` and `live_daemon`.

    The `expect_…` methods wait up to `within` real seconds when time is real; on a virtual clock
    they decide at once, after everything that needs no time has happened.
    """

    def __init__(self, life: HostedLife, stage: Stage) -> None:
        self.life = life
        self.stage = stage
        self.events: list[Happening] = []
        self.began = asyncio.get_running_loop().time()
        stage.tell = self._heard

    @property
    def supervisor(self) -> Supervisor:
        assert self.life.supervisor is not None
        return self.life.supervisor

    @property
    def dataplane(self) -> MemoryDataplane:
        return self.stage.dataplane

    @property
    def network(self) -> MemoryNetwork:
        """The host's links and addresses, as the announcer sees them."""
        return self.stage.network

    @property
    def scripts(self) -> list[str]:
        """The commands of the notify scripts that were due; none of them was run."""
        return self.stage.scripts

    # Time.

    @property
    def clock(self) -> VirtualClock:
        """RuntimeError when time is real."""
        if self.stage.clock is None:
            raise RuntimeError("this daemon lives in real time: give it a clock")
        return self.stage.clock

    async def advance(self, seconds: float) -> None:
        """Let virtual time pass; see VirtualClock.advance."""
        await self.clock.advance(seconds)

    async def settled(self) -> None:
        """Until the table is as wanted, or was tried, and everybody was told."""
        if self.stage.clock is not None:
            await self.stage.clock.settle()
        await self.supervisor.writer.settled()

    # What the checks find.

    def say(
        self,
        server: str,
        *verdicts: Verdict | Reason | str,
        service: str | None = None,
        check: str | None = None,
    ) -> None:
        """The checks of this real server end like this from now on: a Verdict, a Reason, its word
        ("refused", "timeout", …) or "passed"; several: one run after the other, then like the last.

        `server` and `service` are ADDRESS:PORT, `check` a kind as TCP_CHECK; without these all that
        the server has. LookupError: there is none. RuntimeError: this daemon's checks use sockets.
        """
        if self.stage.verdicts is None:
            raise RuntimeError("the checks of a live daemon ask real sockets: tell the servers instead")
        self.stage.verdicts.say(self.checks(server, service, check), *verdicts)

    def fail(self, server: str, reason: Reason | str = Reason.REFUSED, **which: str) -> None:
        """Its checks fail from now on, when they run next."""
        self.say(server, reason, **which)

    def heal(self, server: str, **which: str) -> None:
        """Its checks pass from now on, when they run next."""
        self.say(server, "passed", **which)

    async def check_now(self, server: str, service: str | None = None, check: str | None = None) -> None:
        """Run these checks at once. The engine counts in hundredths of a second: a virtual clock
        moves by one."""
        engine, probes = self.supervisor.engine, self.supervisor.probes
        for each in self.checks(server, service, check):
            if each in probes.subscriptions:
                engine.run_now(probes.subscriptions[each])
        if self.stage.clock is not None:
            await self.advance(TICK)

    def checks(self, server: str, service: str | None = None, check: str | None = None) -> list[CheckerState]:
        """The states of checks; LookupError names what there is instead."""
        found = [
            checker
            for place in self.supervisor.services
            if service in (None, str(place.vs.endpoint), vs_name(place.vs))
            for each in place.servers
            if server in (str(each.rs.endpoint), rs_name(place.vs, each.rs.endpoint))
            for checker in each.checkers
            if check in (None, checker.config.KIND)
        ]
        if not found:
            servers = {str(each.rs.endpoint) for place in self.supervisor.services for each in place.servers}
            asked = asked_for({"real server": server, "of service": service, "with a": check})
            raise LookupError(f"no check of {asked}; real servers: {', '.join(sorted(servers)) or 'none'}")
        return found

    # Reload.

    async def reload(self, config: str | os.PathLike[str] | None = None) -> bool:
        """Read the file anew, or from now on another one (a path), or this text. False: it was
        refused, and the running configuration stays."""
        if isinstance(config, str):
            self.life.reread(self.stage.directory / TEXT, config)
        elif config is not None:
            self.life.reread(Path(config))
        before = self.supervisor.reloads
        await self._in_time(self.life.reload())
        await self.settled()
        return self.supervisor.reloads > before

    async def _in_time(self, work: Awaitable[T]) -> T:
        return await (work if self.stage.clock is None else self.stage.clock.run(work))

    # What there is.

    async def table(self) -> dict[str, dict[str, int]]:
        """Weights by service and real server, as ipvsadm would tell them:
        {"TCP 192.0.2.10:80": {"10.0.0.1:80": 1}}."""
        await self.settled()
        return {
            str(key): {str(to): destination.weight for to, destination in entry.destinations.items()}
            for key, entry in (await self.dataplane.read()).items()
        }

    async def announcements(self) -> dict[str, str]:
        """Each virtual address of the announcer: `announced`, `draining` or `held`, as a routing
        daemon would see it by its interface."""
        await self.settled()
        work = self.supervisor.announcing.work
        if work is None:
            return {}
        names = {work.block.interface: "announced", work.block.drain_interface: "draining"}
        return {
            str(address): next((names[link] for link in self.network.where(address) if link in names), "held")
            for address in work.policies
        }

    # What is expected.

    async def expect_table(self, wanted: Mapping[str, Mapping[str, int]], *, within: float = WITHIN) -> None:
        """The whole table is this."""
        __tracebackhide__ = True
        have = await self._until(self.table, lambda table: table == wanted, within)
        if have != wanted:
            self._fail(f"the table is not as expected (- wanted, + there):\n{differences(wanted, have)}")

    async def expect_service(
        self, service: str, servers: Mapping[str, int], *, within: float = WITHIN
    ) -> None:
        """The table has these real servers, with these weights, for this service and no others."""
        __tracebackhide__ = True
        have = await self._until(self.table, lambda table: table.get(service) == servers, within)
        if have.get(service) != servers:
            part = {service: have[service]} if service in have else {}
            others = f"\nservices: {', '.join(have) or 'none'}" if service not in have else ""
            text = differences({service: servers}, part)
            self._fail(f"{service} is not as expected (- wanted, + there):\n{text}{others}")

    async def expect_event(
        self,
        kind: str,
        *,
        server: str | None = None,
        service: str | None = None,
        reason: Reason | str | None = None,
        check: str | None = None,
        within: float = WITHIN,
    ) -> Happening:
        """Something like this has happened; the last such is returned."""
        __tracebackhide__ = True
        word = reason.value if isinstance(reason, Reason) else reason
        wanted = {"kind": kind, "server": server, "service": service, "reason": word, "check": check}
        found = await self._until(lambda: self._found(wanted), bool, within)
        if not found:
            self._fail(f"no event with {asked_for(wanted)}")
        return found[-1]

    async def expect_no_event(
        self,
        kind: str,
        *,
        server: str | None = None,
        service: str | None = None,
        reason: Reason | str | None = None,
        check: str | None = None,
    ) -> None:
        """Nothing like this has happened so far."""
        __tracebackhide__ = True
        word = reason.value if isinstance(reason, Reason) else reason
        wanted = {"kind": kind, "server": server, "service": service, "reason": word, "check": check}
        found = await self._found(wanted)
        if found:
            self._fail(f"there is an event with {asked_for(wanted)}:\n  {found[-1]}")

    async def expect_announced(self, *addresses: str, within: float = WITHIN) -> None:
        """These virtual addresses are announced (draining ones are not counted), and no others."""
        __tracebackhide__ = True
        wanted = set(addresses)
        have = await self._until(self.announcements, lambda found: announced(found) == wanted, within)
        if announced(have) != wanted:
            lines = [f"  {address:20} {state}" for address, state in sorted(have.items())]
            self._fail(f"announced should be: {sorted(wanted)}\n" + "\n".join(lines or ["  nothing known"]))

    async def _found(self, wanted: Mapping[str, str | None]) -> list[Happening]:
        await self.settled()
        return [each for each in self.events if matches(each, wanted)]

    async def _until(self, look: Callable[[], Awaitable[T]], enough: Callable[[T], bool], within: float) -> T:
        found = await look()
        limit = time.monotonic() + within
        while self.stage.clock is None and not enough(found) and time.monotonic() < limit:
            await asyncio.sleep(LOOK_AGAIN)
            found = await look()
        return found

    def _fail(self, text: str) -> None:
        __tracebackhide__ = True
        raise AssertionError(f"{text}\n{recent(self.events)}")

    def _heard(self, events: Iterable[Event]) -> None:
        self.events += [happening(event, self.began) for event in events]

    # Life.

    async def start(self) -> None:
        await self._in_time(self.life.begin())
        if self.stage.clock is not None:
            self.stage.clock.busy.append(self._under_way)

    async def stop(self) -> None:
        """Stop as at SIGTERM. Stopping twice does nothing."""
        if not self.supervisor.writer.closed:
            await self._in_time(self.life.end())
        if self.stage.clock is not None and self._under_way in self.stage.clock.busy:
            self.stage.clock.busy.remove(self._under_way)

    def _under_way(self) -> Iterable[Hashable]:
        """Probes that the kernel, or a process, has still to answer."""
        for target, source in self.supervisor.engine.under_way():
            place = ("", 0) if target is None else (str(target.address), target.port)
            if not any(server.holds(source, place) for server in ALIVE):
                yield place, source


def announced(found: Mapping[str, str]) -> set[str]:
    return {address for address, state in found.items() if state == "announced"}


@asynccontextmanager
async def running(
    config: str | os.PathLike[str],
    *,
    sockets: bool = True,
    clock: VirtualClock | None = None,
    directory: Path | None = None,
    dataplane: MemoryDataplane | None = None,
    network: MemoryNetwork | None = None,
    options: Options | None = None,
    strict: bool = True,
) -> AsyncIterator[Daemon]:
    """Run a daemon in this process while the body runs. `config` is text, or the path of a file.

    `sockets` False: checks use none and say what `Daemon.say` told them. `clock` None: real time.
    Scripts of checks run as the test's own user, without script security; notify scripts do not run.
    `dataplane`: what an earlier daemon left, say. ConfigError: the configuration has mistakes
    (with `strict` False only: none that can be run).
    """
    if directory is None:
        with tempfile.TemporaryDirectory(prefix="keepalive-") as name:
            async with running(
                config, sockets=sockets, clock=clock, directory=Path(name), dataplane=dataplane,
                network=network, options=options, strict=strict,
            ) as daemon:  # fmt: skip
                yield daemon
        return
    stage = Stage(
        directory,
        dataplane or MemoryDataplane(),
        network or MemoryNetwork(),
        clock,
        None if sockets else Verdicts(),
    )
    path = directory / TEXT if isinstance(config, str) else Path(config)
    if isinstance(config, str):
        path.write_text(config)
    daemon = Daemon(hosted(path, stage, options or Options(), strict=strict), stage)
    await daemon.start()
    try:
        yield daemon
    finally:
        await daemon.stop()


def hosted(path: Path, stage: Stage, options: Options, *, strict: bool) -> HostedLife:
    """Raises ConfigError, with all that is wrong."""
    options = dataclasses.replace(options, config_file=str(path), state_dir=str(stage.directory))
    ready = loaded(options)
    if ready.config is None or (strict and ready.errors):
        lines = SourceLines(FileSystem())
        text = "\n".join(render_text(each, lines) for each in ready.errors)
        raise ConfigError(text or f"there is no configuration in {path}")
    return HostedLife(options, stage, ready)
