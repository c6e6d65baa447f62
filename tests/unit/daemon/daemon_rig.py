"""A supervisor on the memory dataplane, with probes that never run by themselves: verdicts are
handed in, so nothing here depends on time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from keepalive_py.checkers import REGISTRY
from keepalive_py.config.build import load
from keepalive_py.config.model import Config
from keepalive_py.config.preprocess import ReadOptions
from keepalive_py.config.source import Documents
from keepalive_py.daemon.supervisor import Supervisor
from keepalive_py.dataplane import MemoryDataplane
from keepalive_py.health.checker_state import CheckerState
from keepalive_py.health.names import rs_name
from keepalive_py.health.verdict import PASSED, Failed, Reason, Verdict

REFUSED = Failed(Reason.REFUSED)


def config_of(text: str) -> Config:
    loaded = load("/lb.conf", Documents({"/lb.conf": text}), ReadOptions(), REGISTRY)
    assert loaded.config is not None, loaded.diagnostics
    return loaded.config


def virtual_server(*servers: str, address: str = "10.0.0.1", more: str = "") -> str:
    """A virtual server on port 80 whose real servers have a TCP_CHECK each."""
    blocks = "\n".join(
        f"real_server {server} 80 {{\n TCP_CHECK {{\n delay_loop 60\n retry 0\n }}\n }}" for server in servers
    )
    return f"""
virtual_server {address} 80 {{
 lb_algo rr
 lb_kind NAT
 protocol TCP
 {more}
 {blocks}
}}
"""


@dataclass
class Rig:
    supervisor: Supervisor
    dataplane: MemoryDataplane
    logged: list[dict[str, Any]]
    scripts: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        return [str(entry["event"]) for entry in self.logged]

    async def table(self) -> dict[str, dict[str, int]]:
        """Weights by service and destination, as text."""
        found = await self.dataplane.read()
        return {
            str(key): {str(to): destination.weight for to, destination in entry.destinations.items()}
            for key, entry in found.items()
        }

    def checkers(self, server: str) -> list[CheckerState]:
        return [
            checker
            for service in self.supervisor.services
            for state in service.servers
            if rs_name(service.vs, state.rs.endpoint) == server
            for checker in state.checkers
        ]

    async def verdict(self, verdict: Verdict, *servers: str) -> None:
        """All checks of these real servers end like this, in one turn of the loop."""
        now = self.supervisor.now
        for server in servers:
            found = self.checkers(f"[{server}]:tcp:80")
            assert found, server
            for checker in found:
                self.supervisor.verdict(checker, verdict, now, now)
        await self.supervisor.writer.settled()

    async def fails(self, *servers: str) -> None:
        await self.verdict(REFUSED, *servers)

    async def passes(self, *servers: str) -> None:
        await self.verdict(PASSED, *servers)

    async def reads_again(self) -> None:
        self.supervisor.writer.read_again()
        await self.supervisor.writer.settled()


Start = Callable[..., Awaitable[Rig]]
