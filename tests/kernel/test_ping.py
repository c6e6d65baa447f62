"""PING_CHECK in a namespace: both kinds of socket, and the ways not to be reachable."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from lab.namespace import Namespace, link

from keepalive_py.checkers import REGISTRY
from keepalive_py.checkers.ping import PingCheck
from keepalive_py.health.verdict import PASSED, Failed, Reason, Verdict
from keepalive_py.net import Endpoint
from keepalive_py.probing import Engine

RANGE = Path("/proc/sys/net/ipv4/ping_group_range")
LIMIT = 20.0


class Pinger:
    """An engine in a namespace; the far end has 10.0.0.2 and fd00::2."""

    def __init__(self, groups: str) -> None:
        self.here, self.there = Namespace("here"), Namespace("there")
        link(self.here, "veth-a", self.there, "veth-b")
        self.here.ip("address add 10.0.0.1/24 dev veth-a", "address add fd00::1/64 dev veth-a nodad")
        self.there.ip("address add 10.0.0.2/24 dev veth-b", "address add fd00::2/64 dev veth-b nodad")
        self.here.call(RANGE.write_text, groups)

    def ask(self, address: str, timeout: float = 10.0) -> Verdict:
        return self.here.run(
            self._ask(PingCheck(target=Endpoint(ip_address(address), 0), connect_timeout=timeout))
        )

    async def _ask(self, check: PingCheck) -> Verdict:
        engine = Engine(registry=REGISTRY, trouble=lambda _reason, _text: None)
        loop = asyncio.get_running_loop()
        engine.attach(loop)
        found: asyncio.Future[Verdict] = loop.create_future()

        def report(verdict: Verdict, _started: float, _ended: float) -> float:
            if not found.done():
                found.set_result(verdict)
            return 1000.0

        engine.add(check, report, first_in=0.0)
        try:
            return await asyncio.wait_for(found, LIMIT)
        finally:
            await engine.close()

    def close(self) -> None:
        self.here.close()
        self.there.close()


@pytest.fixture(params=["0 0", "1 0"], ids=["unprivileged", "raw"])
def pinger(request: pytest.FixtureRequest) -> Iterator[Pinger]:
    if os.geteuid() != 0:
        pytest.skip("lacking: root")
    made = Pinger(request.param)
    yield made
    made.close()


@pytest.mark.parametrize("address", ["10.0.0.2", "fd00::2"])
def test_who_is_there_passes(pinger: Pinger, address: str) -> None:
    assert pinger.ask(address) == PASSED


@pytest.mark.parametrize("address", ["10.77.0.1", "fd77::1"])
def test_a_network_without_a_route_fails_at_once(pinger: Pinger, address: str) -> None:
    verdict = pinger.ask(address)
    assert isinstance(verdict, Failed)
    assert verdict.reason is Reason.UNREACHABLE


@pytest.mark.parametrize(
    ("address", "route"), [("10.77.0.1", "10.77.0.0/16 via 10.0.0.2"), ("fd77::1", "fd77::/16 via fd00::2")]
)
def test_a_router_that_says_unreachable_is_believed(pinger: Pinger, address: str, route: str) -> None:
    pinger.here.ip(f"route add {route}")
    pinger.there.ip(f"route add unreachable {route.split()[0]}")
    pinger.there.sysctl("net.ipv4.ip_forward", 1)
    pinger.there.sysctl("net.ipv6.conf.all.forwarding", 1)
    verdict = pinger.ask(address)
    assert isinstance(verdict, Failed)
    assert verdict.reason is Reason.UNREACHABLE


@pytest.mark.parametrize("address", ["10.0.0.9", "fd00::9"])
def test_a_neighbour_that_is_not_there_fails(pinger: Pinger, address: str) -> None:
    verdict = pinger.ask(address)
    assert isinstance(verdict, Failed)
    assert verdict.reason in (Reason.UNREACHABLE, Reason.TIMEOUT)


def test_silence_fails_in_time(pinger: Pinger) -> None:
    pinger.there.sysctl("net.ipv4.icmp_echo_ignore_all", 1)
    verdict = pinger.ask("10.0.0.2", timeout=0.3)
    assert verdict == Failed(Reason.TIMEOUT, "no echo reply in time")
