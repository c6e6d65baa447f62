"""The differ: what changed, by meaning, a line for each change."""

import dataclasses
import random

from hypothesis import HealthCheck, given, settings
from strategies import configs, loaded

from keepalive_py.config.diff import diff, service_name

LAWS = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=50)

OLD = """
global_defs {
    router_id one
    lvs_timeouts tcp 5
}
virtual_server_group g {
    192.0.2.10 80
    192.0.2.11 80
}
virtual_server 192.0.2.1 80 {
    protocol TCP
    lb_algo rr
    lb_kind NAT
    real_server 192.0.2.2 80 {
        TCP_CHECK { connect_timeout 3 }
    }
    real_server 192.0.2.3 80 { }
}
virtual_server fwmark 7 {
    lb_algo rr
    lb_kind NAT
    real_server 192.0.2.2 { }
}
"""


def changes(*replacements):
    new = OLD
    for before, after in replacements:
        assert before in new
        new = new.replace(before, after, 1)
    return [str(change) for change in diff(loaded(OLD).config, loaded(new).config)]


@LAWS
@given(configs())
def test_a_configuration_does_not_differ_from_itself(config):
    assert diff(config, config) == []


@LAWS
@given(configs(), configs())
def test_what_is_added_one_way_is_removed_the_other(one, other):
    there = [str(change)[2:] for change in diff(one, other) if str(change)[0] == "+"]
    back = [str(change)[2:] for change in diff(other, one) if str(change)[0] == "-"]
    assert sorted(there) == sorted(back)


@LAWS
@given(configs())
def test_the_order_of_services_and_servers_does_not_count(config):
    services = [
        dataclasses.replace(service, real_servers=service.real_servers[::-1])
        for service in config.virtual_servers
    ]
    names = {(each.endpoint, each.fwmark, each.group, each.protocol) for each in services}
    if len(names) == len(services):  # those of one name are told apart by their order
        random.Random(1).shuffle(services)
    assert diff(config, dataclasses.replace(config, virtual_servers=tuple(services))) == []


def test_globals():
    assert changes(("router_id one", "router_id two"), ("tcp 5", "tcp 6")) == [
        "~ global_defs: router_id one -> two",
        "~ global_defs: lvs_timeouts (tcp=5) -> (tcp=6)",
    ]


def test_fields_of_a_service_a_server_and_a_check():
    assert changes(
        ("lb_algo rr", "lb_algo wlc"),
        ("TCP_CHECK", "weight 5\n TCP_CHECK"),
        ("connect_timeout 3", "retry 2"),
        ("192.0.2.3 80 { }", "192.0.2.3 80 { weight 0 }"),
    ) == [
        "~ virtual_server 192.0.2.1 80 TCP: lb_algo rr -> wlc",
        "~ virtual_server 192.0.2.1 80 TCP: real_server 192.0.2.2 80: weight 1 -> 5",
        "~ virtual_server 192.0.2.1 80 TCP: real_server 192.0.2.2 80: TCP_CHECK: retry 1 -> 2",
        "~ virtual_server 192.0.2.1 80 TCP: real_server 192.0.2.2 80: TCP_CHECK: connect_timeout 3 -> 5",
        "~ virtual_server 192.0.2.1 80 TCP: real_server 192.0.2.3 80: weight 1 -> 0",
    ]


def test_services_servers_and_checks_that_come_and_go():
    assert changes(
        ("TCP_CHECK", "PING_CHECK { }\n TCP_CHECK"),
        ("real_server 192.0.2.3 80", "real_server 192.0.2.4 80"),
        ("fwmark 7", "fwmark 8"),
    ) == [
        "- virtual_server fwmark 7",
        "- virtual_server 192.0.2.1 80 TCP: real_server 192.0.2.3 80",
        "+ virtual_server 192.0.2.1 80 TCP: real_server 192.0.2.2 80: PING_CHECK",
        "+ virtual_server 192.0.2.1 80 TCP: real_server 192.0.2.4 80",
        "+ virtual_server fwmark 8",
    ]


@LAWS
@given(configs(), configs())
def test_every_field_of_the_globals_that_differs_is_told(one, other):
    old, new = one.global_defs, other.global_defs
    differing = [
        field.name
        for field in dataclasses.fields(old)
        if field.compare and getattr(old, field.name) != getattr(new, field.name)
    ]
    told = [change for change in diff(one, other) if change.place == ("global_defs",)]
    assert len(told) == len(differing)


@LAWS
@given(configs(), configs())
def test_services_that_differ_are_told(one, other):
    old, new = by_name(one), by_name(other)
    told = {change.place[0] for change in diff(one, other)}
    assert {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)} <= told


def by_name(config):
    """Services whose name is theirs alone, with servers and checks in an order of their own."""
    names = [service_name(each) for each in config.virtual_servers]
    return {
        name: dataclasses.replace(
            each, real_servers=tuple(map(in_order, sorted(each.real_servers, key=endpoint)))
        )
        for name, each in zip(names, config.virtual_servers, strict=True)
        if names.count(name) == 1
    }


def endpoint(server):
    return str(server.endpoint)


def in_order(server):
    checks = [dataclasses.replace(check, where=None) for check in server.checks]
    return dataclasses.replace(server, checks=tuple(sorted(checks, key=str)))


def test_lines_of_a_group():
    assert changes(("192.0.2.11 80", "192.0.2.12 80")) == [
        "- virtual_server_group g: 192.0.2.11 80",
        "+ virtual_server_group g: 192.0.2.12 80",
    ]
