"""ha_suspend: checks that sleep while the address is elsewhere."""

from __future__ import annotations

from health_scenario import REFUSED, VIP, Check, Scenario, config, name, rs, vs

from keepalive_py.config.model import GroupMember, VirtualServerGroup
from keepalive_py.health.report import report
from keepalive_py.health.suspension import armed
from keepalive_py.health.verdict import PASSED, Reason
from keepalive_py.health.wording import address_line, log_line
from keepalive_py.net import AddressRange, Protocol, parse_address


def test_without_its_address_the_state_is_frozen() -> None:
    life = Scenario(config(vs(rs(1), ha_suspend=True)), down={1}).until(5.0)

    assert life.services[0].suspended
    assert life.pool() == {1: 1}
    assert life.checker(1).last is None


def test_a_sleeping_check_is_armed_again_after_its_loop() -> None:
    life = Scenario(config(vs(rs(1, Check(delay_loop=7.0)), ha_suspend=True)))

    assert report(life.checker(1), REFUSED, 1.0) == (7.0, ())


def test_the_address_wakes_and_puts_to_sleep() -> None:
    life = Scenario(config(vs(rs(1), ha_suspend=True)), down={1}).forget().addresses("192.0.2.1")

    assert life.logs() == [f"Activating healthchecker for service {name(1)} for VS {VIP}"]

    life.until(1.0)

    assert life.pool() == {}

    life.forget().addresses("192.0.2.77")

    assert life.logs() == [f"Suspending healthchecker for service {name(1)} for VS {VIP}"]

    life.down.clear()
    life.until(9.0)

    assert life.pool() == {}


def test_other_addresses_and_other_virtual_servers_are_left_alone() -> None:
    life = Scenario(
        config(vs(rs(1)), vs(rs(2), ha_suspend=True, protocol=Protocol.UDP)), present=["192.0.2.1"]
    ).forget()
    life.addresses("192.0.2.1", "192.0.2.2")

    assert life.events == []
    assert not any(service.suspended for service in life.services)


def test_any_address_of_a_group_wakes_its_checks() -> None:
    """Other than here, keepalived never wakes them."""
    member = GroupMember(AddressRange(parse_address("192.0.2.8"), parse_address("192.0.2.15")), 80)
    groups = {"G": VirtualServerGroup("G", (GroupMember(fwmark=3), member))}
    life = Scenario(config(vs(rs(1), group="G", ha_suspend=True), groups=groups), present=["2001:db8::1"])

    assert life.services[0].suspended

    life.addresses("192.0.2.12")

    assert not life.services[0].suspended


def test_a_reload_may_switch_it_on_and_off() -> None:
    life = Scenario(config(vs(rs(1)))).reload(config(vs(rs(1), ha_suspend=True)))

    assert life.services[0].suspended

    life.reload(config(vs(rs(1))))

    assert not life.services[0].suspended


def test_every_check_is_named_when_it_is_armed() -> None:
    file = Check(kind="FILE_CHECK", name="f")
    life = Scenario(config(vs(rs(1, Check(), file)), vs(rs(2), ha_suspend=True, protocol=Protocol.UDP)))
    events = armed(life.services, 0.0, Reason.START)

    assert [log_line(event) for event in events] == [
        f"Activating healthchecker for service {name(1)} for VS {VIP}",
        "Deactivating healthchecker for service [10.0.0.2]:udp:80 for VS [192.0.2.1]:udp:80",
    ]


def test_a_steady_check_that_has_just_been_suspended_says_nothing() -> None:
    life = Scenario(config(vs(rs(1), ha_suspend=True)), present=["192.0.2.1"]).until(2.0).addresses()

    assert report(life.checker(1), PASSED, 3.0) == (1.0, ())


def test_an_address_is_reported_in_keepalived_s_words() -> None:
    address = parse_address("10.0.0.1")

    assert address_line(address, added=True) == "Netlink reflector reports IP 10.0.0.1 added"
    assert address_line(address, added=False) == "Netlink reflector reports IP 10.0.0.1 removed"
