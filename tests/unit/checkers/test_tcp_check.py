"""TCP_CHECK as a generator."""

from __future__ import annotations

import pytest

from keepalive_py.checkers.tcp import CHECKER, TcpCheck, tcp_check
from keepalive_py.checkers.wishes import ANYWHERE, Connect, Source, source_of
from keepalive_py.health.verdict import PASSED
from keepalive_py.net import Endpoint, parse_address

TARGET = Endpoint(parse_address("192.0.2.1"), 80)


def test_it_wants_a_connection_and_no_more() -> None:
    check = TcpCheck(target=TARGET, connect_timeout=3.0)
    assert CHECKER.memory is not None
    probe = tcp_check(check, CHECKER.memory(check))

    assert next(probe) == Connect(TARGET, 3.0)
    with pytest.raises(StopIteration) as end:
        probe.send(None)
    assert end.value.value == PASSED


def test_it_leaves_from_where_the_config_says() -> None:
    source = parse_address("192.0.2.9")
    check = TcpCheck(target=TARGET, bindto=source, bind_port=99, bind_if="eth0", fwmark=7)

    assert source_of(check) == Source(source, 99, "eth0", 7)


def test_a_port_without_an_address_to_bind_to_means_nothing() -> None:
    assert source_of(TcpCheck(target=TARGET, bind_port=99)) is ANYWHERE
    assert source_of(TcpCheck(target=TARGET, bind_port=99, bind_if="eth0")) == Source(interface="eth0")


def test_checks_are_one_probe_when_only_their_timing_differs() -> None:
    assert CHECKER.identical is not None
    one, two = TcpCheck(target=TARGET, retry=1), TcpCheck(target=TARGET, retry=5, delay_loop=3.0)

    assert CHECKER.identical(one) == CHECKER.identical(two)
    assert CHECKER.identical(one) != CHECKER.identical(TcpCheck(target=TARGET, fwmark=1))
