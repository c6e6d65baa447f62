"""A virtual server's life on a virtual clock: checks fall due, answers are scripted, and the kernel
table follows through `plan`. Nothing here waits."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from keepalive_py.config.model import (
    CheckConfig,
    Config,
    GlobalDefs,
    RealServer,
    Script,
    VirtualServer,
    VirtualServerGroup,
)
from keepalive_py.health import lifecycle
from keepalive_py.health.checker_state import CheckerState
from keepalive_py.health.events import Event
from keepalive_py.health.membership import tick
from keepalive_py.health.reload import reload
from keepalive_py.health.report import report
from keepalive_py.health.suspension import addresses_changed
from keepalive_py.health.verdict import PASSED, Failed, Reason, Verdict
from keepalive_py.health.wording import fifo_line, log_line, mail, script
from keepalive_py.net import Address, Endpoint, Protocol, parse_address
from keepalive_py.plan.apply import apply
from keepalive_py.plan.desired import desired
from keepalive_py.plan.diff import diff
from keepalive_py.plan.table import Table

REFUSED = Failed(Reason.REFUSED, "Connection refused")
Answer = Callable[[CheckerState], Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(CheckConfig):
    """A check of a given kind; `name` is its identity and its label."""

    kind: str = "TCP_CHECK"
    name: str = ""
    delay_loop: float = 1.0
    warmup: float = 0.0
    parts: float | None = field(default=None, compare=False)

    @property
    def KIND(self) -> str:  # type: ignore[override]  # noqa: N802
        return self.kind

    def identity(self) -> tuple[object, ...]:
        return (self.kind, self.name)

    def label(self) -> str:
        return self.name

    def partial_delay(self) -> float:
        return self.delay_loop if self.parts is None else self.parts


def endpoint(host: int, port: int = 80) -> Endpoint:
    return Endpoint(parse_address(f"10.0.0.{host}"), port)


def notify(name: str) -> Script:
    return Script(("/notify", name), f"/notify {name}")


def rs(host: int, *checks: CheckConfig, port: int = 80, **settings: object) -> RealServer:
    """Real server 10.0.0.HOST with scripts `up HOST` and `down HOST`, and one TCP check."""
    given: dict[str, object] = {
        "notify_up": notify(f"up {host}"),
        "notify_down": notify(f"down {host}"),
        "checks": checks or (Check(alpha=bool(settings.get("alpha"))),),
    }
    return RealServer(endpoint=endpoint(host, port), **{**given, **settings})  # type: ignore[arg-type]


def vs(*servers: RealServer, **settings: object) -> VirtualServer:
    """Virtual server 192.0.2.1:80 with scripts `quorum up` and `quorum down`."""
    given: dict[str, object] = {
        "endpoint": Endpoint(parse_address("192.0.2.1"), 80),
        "protocol": Protocol.TCP,
        "scheduler": "rr",
        "smtp_alert": True,
        "quorum_up": notify("quorum up"),
        "quorum_down": notify("quorum down"),
    }
    if settings.keys() & {"group", "fwmark"}:
        given["endpoint"] = None
    return VirtualServer(real_servers=servers, **{**given, **settings})  # type: ignore[arg-type]


def config(
    *services: VirtualServer, groups: Mapping[str, VirtualServerGroup] | None = None, **defs: object
) -> Config:
    return Config(
        global_defs=GlobalDefs(**defs),  # type: ignore[arg-type]
        groups=groups or {},
        virtual_servers=services,
    )


VIP = "[192.0.2.1]:tcp:80"


def name(host: int, port: int = 80) -> str:
    return f"[10.0.0.{host}]:tcp:{port}"


class Scenario:
    """Runs a configuration. Servers in `down` refuse; `answers` scripts single checks by name.

    Checks in `known` have their answer before they run. What was told since the last
    `forget()`: `logs()`, `fifo()`, `scripts()`, `mails()`.
    """

    FIRST_RUN: ClassVar[float] = 1.0

    def __init__(
        self,
        first: Config,
        *,
        down: Iterable[int] = (),
        answers: Mapping[str, Verdict] | None = None,
        present: Iterable[str] = (),
        known: Mapping[str, Verdict] | None = None,
    ) -> None:
        self.config = first
        self.now = 0.0
        self.down = set(down)
        self.answers = dict(answers or {})
        self.present: set[Address] = {parse_address(text) for text in present}
        self.events: list[Event] = []
        self.runs: list[float] = []
        self.table: Table = {}
        self.known = dict(known or {})
        self.services, events = lifecycle.start(first, self.now, self.present, self._known)
        self._tell(events)
        self._arm()

    def reload(self, new: Config) -> Scenario:
        self.config = new
        self.services, events = reload(self.services, new, self.now, self.present, self._known)
        self._tell(events)
        self._arm()
        return self

    def addresses(self, *present: str) -> Scenario:
        self.present = {parse_address(text) for text in present}
        self.events += addresses_changed(self.services, self.present, self.now)
        return self

    def stop(self) -> Scenario:
        self.events += lifecycle.stop(self.services, self.config.global_defs, self.now)
        self.table = apply(diff({}, self.table), self.table)
        return self

    def until(self, time: float) -> Scenario:
        """Run every check that falls due before or at `time`."""
        while self._due and self._due[0][0] <= time:
            self.now, order, checker = heapq.heappop(self._due)
            self.runs.append(self.now)
            delay, events = report(checker, self._answer(checker), self.now)
            self._tell(events)
            heapq.heappush(self._due, (self.now + delay, order, checker))
        self.now = time
        return self

    def tick(self, time: float) -> Scenario:
        """Guards look at the clock."""
        self.now = time
        for service in self.services:
            self._tell(tick(service, time)[1])
        return self

    def logs(self) -> list[str]:
        return self._told(log_line)

    def fifo(self) -> list[str]:
        return self._told(fifo_line)

    def scripts(self) -> list[str]:
        found = self._told(script)
        return [command.argv[1] for command in found]

    def mails(self) -> list[str]:
        found = self._told(lambda event: mail(event, self.config.global_defs, "LAB"))
        return [f"{text.subject} {text.body}" for text in found]

    def forget(self) -> Scenario:
        self.events.clear()
        return self

    def pool(self, index: int = 0) -> dict[int, int]:
        """Last number of each destination's address, and its weight in the kernel."""
        entry = list(self.table.values())[index]
        return {int(to.address) & 255: found.weight for to, found in entry.destinations.items()}

    def checker(self, host: int, number: int = 0) -> CheckerState:
        servers = [server for service in self.services for server in service.servers]
        found = next(server for server in servers if server.rs.endpoint.address == endpoint(host).address)
        return found.checkers[number]

    def _known(self, _rs: RealServer, check: CheckConfig) -> Verdict | None:
        return self.known.get(check.label())

    def _arm(self) -> None:
        checkers = [checker for service in self.services for checker in service.checkers()]
        first = self.now + self.FIRST_RUN
        self._due = [(first, order, checker) for order, checker in enumerate(checkers)]

    def _answer(self, checker: CheckerState) -> Verdict:
        assert checker.server is not None
        scripted = self.answers.get(checker.config.label())
        if scripted is not None:
            return scripted
        return REFUSED if int(checker.server.rs.endpoint.address) & 255 in self.down else PASSED

    def _tell(self, events: Iterable[Event]) -> None:
        self.events += events
        self.table = apply(diff(desired(self.config, self.services), self.table), self.table)

    def _told(self, word: Callable[[Event], object]) -> list:  # type: ignore[type-arg]
        return [text for event in self.events if (text := word(event)) is not None]
