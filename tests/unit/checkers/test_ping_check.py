"""PING_CHECK against scripted answers."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from conversing import converse

from keepalive_py.checkers.ping import CHECKER, PingCheck, ping_check
from keepalive_py.checkers.wishes import Ping, ProbeFailed, Source
from keepalive_py.health.verdict import PASSED, Failed, Reason
from keepalive_py.net import Endpoint

TARGET = Endpoint(ip_address("192.0.2.7"), 80)


def test_a_reply_is_success() -> None:
    wishes, verdict = converse(ping_check(PingCheck(target=TARGET, connect_timeout=1.5)), 0.0004)
    assert wishes == [Ping(TARGET.address, 1.5)]
    assert verdict == PASSED


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.UNREACHABLE])
def test_no_reply_is_a_failure(reason: Reason) -> None:
    _, verdict = converse(ping_check(PingCheck(target=TARGET)), ProbeFailed(reason, "why"))
    assert verdict == Failed(reason, "why")


def test_source_address_and_interface_are_used_and_nothing_else() -> None:
    here = ip_address("192.0.2.1")
    check = PingCheck(target=TARGET, bindto=here, bind_if="eth0", bind_port=99, fwmark=3)
    wishes, _ = converse(ping_check(check), 0.1)
    assert wishes == [Ping(TARGET.address, 5.0, source=Source(here, interface="eth0"))]


def test_servers_that_differ_in_port_only_are_one_probe() -> None:
    assert CHECKER.identical is not None
    other = PingCheck(target=Endpoint(TARGET.address, 443))
    assert CHECKER.identical(PingCheck(target=TARGET)) == CHECKER.identical(other)
