"""The daemon as the control room sees it."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from keepalive_py import __version__
from keepalive_py.control.faults import unavailable
from keepalive_py.control.host import Json
from keepalive_py.control.journal import Journal
from keepalive_py.control.metrics import Exposition, config_metrics, daemon_metrics, service_metrics
from keepalive_py.daemon import dump, orders
from keepalive_py.daemon.configuring import Configuring
from keepalive_py.daemon.listing import TURN, Kept, joined
from keepalive_py.daemon.overview import overview_rows
from keepalive_py.daemon.selection import Choice
from keepalive_py.daemon.snapshot import (
    NO_COUNTERS,
    AllCounters,
    Moment,
    check,
    real_server,
    sections,
    slots_of,
    virtual_server,
)
from keepalive_py.errors import KeepaliveError
from keepalive_py.health.names import rs_name, vs_name
from keepalive_py.health.service_state import ServiceState

if TYPE_CHECKING:
    from keepalive_py.daemon.life import Life
    from keepalive_py.daemon.supervisor import Supervisor

COUNTERS_KEPT = 1.0  # seconds


class Controlled:
    """Implements `control.host.Host` for one life of the daemon."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.kept = Kept()
        self.webhooks: Callable[[], Json] = dict
        self._counters: AllCounters = NO_COUNTERS
        self._counted = 0.0

    @property
    def supervisor(self) -> Supervisor:
        if self.life.supervisor is None:
            raise unavailable("the daemon is still starting")
        return self.life.supervisor

    @property
    def journal(self) -> Journal:
        return self.supervisor.journal

    def lacks(self) -> list[str]:
        supervisor = self.life.supervisor
        if supervisor is None or not supervisor.services and supervisor.config.virtual_servers:
            return ["the daemon is still starting"]
        found = []
        if not supervisor.writing:
            found.append("the table has no writer")
        if supervisor.writer.refused:
            found.append(f"the kernel refused {supervisor.writer.refused} steps")
        if supervisor.writer.trouble:
            found.append(f"the table cannot be brought up to date: {supervisor.writer.trouble}")
        return found

    def status(self) -> Json:
        supervisor = self.supervisor
        return {
            "version": __version__,
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "started": round(self.life.born, 3),
            "uptime": round(time.monotonic() - self.life.began, 3),
            "resident_kilobytes": dump.resident_kilobytes(),
            "tasks": len(asyncio.all_tasks()),
            "reloads": supervisor.reloads,
            **counted(supervisor.services, len(supervisor.steering.empty)),
            "table": supervisor.table_state(),
            "overrides": len(supervisor.steering.overrides.by_key),
            "configuration": self.life.configuring.summary(),
            "announcer": announcer_summary(supervisor.announcer_state()),
            "modules": {each["name"]: each["state"] for each in supervisor.modules_state()},
            "local_addresses_full": supervisor.local_addresses.pressure.as_json()["full"],
            "config_files": list(supervisor.config.files),
        }

    async def listing(self, what: str, wanted: Mapping[str, Any]) -> list[bytes]:
        choice = Choice(**{name: str(value) for name, value in wanted.items() if value})
        return await self.kept.get((what, choice), lambda: self.listed(what, choice))

    def configuring(self) -> Configuring:
        return self.life.configuring

    async def listed(self, what: str, choice: Choice) -> list[bytes]:
        moment = await self.moment()
        head: Json = {"at": round(time.time(), 3)}
        if what == "overview":
            head |= {"summary": self.status(), "announcer": self.supervisor.announcer_state()}
        if what == "snapshot":
            return await joined(
                {**head, **sections(moment), "webhooks": self.webhooks()},
                "virtual_servers",
                service_rows(moment, choice),
            )
        return await joined(head, what, ROWS[what](moment, choice))

    async def metrics(self) -> list[bytes]:
        return await self.kept.get("metrics", self.measured)

    async def measured(self) -> list[bytes]:
        moment, out = dataclasses.replace(await self.moment(), past=False), Exposition()
        daemon_metrics(out, {**sections(moment), "webhooks": self.webhooks()})
        config_metrics(out, self.life.configuring.summary())
        began = time.perf_counter()
        for row in service_rows(moment, Choice()):
            service_metrics(out, row)
            if time.perf_counter() - began > TURN:
                await asyncio.sleep(0)
                began = time.perf_counter()
        pieces = []
        for piece in out.pieces():
            pieces.append(piece)
            await asyncio.sleep(0)
        return pieces

    async def moment(self) -> Moment:
        return Moment(self.supervisor, self.life.born, await self.counters())

    async def counters(self) -> AllCounters:
        """The kernel's, not older than a second; trouble with them is no trouble of whoever asks."""
        now = time.monotonic()
        if now - self._counted > COUNTERS_KEPT:
            self._counted = now
            try:
                self._counters = await self.supervisor.dataplane.counters()
            except (KeepaliveError, OSError):
                self._counters = NO_COUNTERS
        return self._counters

    def run_checks(self, service: str, server: str) -> int:
        """At once. How many."""
        supervisor, choice = self.supervisor, Choice(service, server)
        started = 0
        for each in choice.services(supervisor.services):
            for state in choice.servers(each):
                for checker in state.checkers:
                    subscription = supervisor.probes.subscriptions.get(checker)
                    if subscription is not None and not subscription.suspended:
                        supervisor.engine.run_now(subscription)
                        started += 1
        return started

    async def orders(self, wanted: Mapping[str, Any]) -> Json:
        return await orders.shown(
            await self.moment(), self.supervisor, Choice(wanted["service"], wanted["server"])
        )

    async def give_order(self, wanted: Mapping[str, Any], by: str) -> Json:
        try:
            return await orders.give(self.supervisor, wanted, by)
        finally:
            self.kept.done.clear()

    async def lift_order(self, wanted: Mapping[str, Any], by: str) -> Json:
        try:
            return await orders.lift(self.supervisor, wanted, by)
        finally:
            self.kept.done.clear()

    def names(self) -> list[str]:
        return [vs_name(service.vs) for service in self.supervisor.services]


def counted(services: list[ServiceState], steered_empty: int) -> Json:
    """How many there are, and how many of them serve. `steered_empty`: whose servers operators took."""
    servers = [server for service in services for server in service.servers]
    return {
        "services": {
            "total": len(services),
            "with_quorum": sum(service.quorum_up for service in services),
            "suspended": sum(service.suspended for service in services),
            "steered_empty": steered_empty,
        },
        "servers": {
            "total": len(servers),
            "alive": sum(server.alive for server in servers),
            "held": sum(server.held for server in servers),
            "suppressed": sum(server.suppressed for server in servers),
        },
    }


def announcer_summary(state: Json | None) -> Json | None:
    if not state:
        return None
    return {
        "vips": dict(Counter(each["state"] for each in state.get("vips", {}).values())),
        "uplinks": {name: each["state"] for name, each in state.get("uplinks", {}).items()},
        "sessions": {name: each["state"] for name, each in state.get("sessions", {}).items()},
        "drains": sorted(state.get("drains", ())),
        "disagreements": len(state.get("disagreements", ())),
    }


def service_rows(moment: Moment, choice: Choice) -> Iterator[Json]:
    return (virtual_server(service, moment) for service in choice.services(moment.source.services))


def server_rows(moment: Moment, choice: Choice) -> Iterator[Json]:
    for service in choice.services(moment.source.services):
        places = slots_of(service.vs, moment)
        for server in choice.servers(service):
            row = real_server(service, server, moment, places)
            yield {"service": vs_name(service.vs), **row}


def check_rows(moment: Moment, choice: Choice) -> Iterator[Json]:
    for service in choice.services(moment.source.services):
        for server in choice.servers(service):
            about = {"service": vs_name(service.vs), "server": rs_name(service.vs, server.rs.endpoint)}
            for checker in server.checkers:
                yield {**about, **check(checker, moment)}


ROWS = {"overview": overview_rows, "services": service_rows, "servers": server_rows, "checks": check_rows}
