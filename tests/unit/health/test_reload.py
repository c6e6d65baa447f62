"""Going on under a new configuration."""

from __future__ import annotations

import dataclasses

from health_scenario import REFUSED, VIP, Check, Scenario, config, endpoint, name, rs, vs

from keepalive_py.config.model import GroupMember, SorryServer, VirtualServer, VirtualServerGroup
from keepalive_py.health.reload import identity, paired
from keepalive_py.health.report import report
from keepalive_py.health.verdict import PASSED, Passed
from keepalive_py.net import AddressRange, Endpoint, Family, Protocol, parse_address

SORRY = SorryServer(endpoint(99))
OTHER_SORRY = SorryServer(endpoint(98))


def group(*members: GroupMember) -> dict[str, VirtualServerGroup]:
    return {"G": VirtualServerGroup("G", members)}


def line(text: str, port: int = 80) -> GroupMember:
    first, _, last = text.partition("-")
    return GroupMember(AddressRange(parse_address(first), parse_address(last or first)), port)


def test_nothing_changed_says_and_does_nothing() -> None:
    service = vs(rs(1), rs(2, inhibit_on_failure=True), rs(3, alpha=True), sorry_server=SORRY, quorum=2)
    life = Scenario(config(service), down={2, 3}).until(1.0).forget()
    before = life.table
    life.reload(config(dataclasses.replace(service)))

    assert life.events == []
    assert life.table == before


def test_what_is_kept_is_the_same_object() -> None:
    life = Scenario(config(vs(rs(1), rs(2)))).until(1.0)
    kept, service = life.checker(1), life.services[0]
    life.reload(config(vs(rs(1, Check(retry=7)), rs(3))))

    assert life.services[0] is service
    assert life.checker(1) is kept
    assert kept.config.retry == 7


def test_checks_are_kept_with_their_count_of_failures() -> None:
    life = Scenario(config(vs(rs(1, Check(retry=3))))).until(1.0)
    life.down = {1}
    life.until(3.0).reload(config(vs(rs(1, Check(retry=2)))))

    assert life.checker(1).failures == 2

    life.until(4.0)

    assert life.pool() == {}


def test_a_removed_server_is_withdrawn_and_tells() -> None:
    life = Scenario(config(vs(rs(1), rs(2)))).until(1.0).forget().reload(config(vs(rs(1))))

    assert life.logs() == [
        f"service {name(2)} no longer exist",
        f"Removing service {name(2)} from VS {VIP}",
    ]
    assert life.scripts() == ["down 2"]
    assert life.mails() == [f"[LAB] Realserver {name(2)} of virtual server {VIP} - DOWN => Removing <="]
    assert life.pool() == {1: 1}


def test_a_removed_server_that_was_down_is_only_named() -> None:
    service = vs(rs(1), rs(2), rs(3, inhibit_on_failure=True))
    life = Scenario(config(service), down={2, 3}).until(1.0).forget().reload(config(vs(rs(1))))

    assert life.logs() == [
        f"service {name(2)} no longer exist",
        f"service {name(3)} no longer exist",
        f"Removing (inhibited) service {name(3)} from VS {VIP}",
    ]
    assert (life.scripts(), life.fifo()) == ([], [])


def test_a_changed_weight_is_told_and_set() -> None:
    life = Scenario(config(vs(rs(1), rs(2))), down={2}).until(1.0).forget()
    life.reload(config(vs(rs(1, weight=3), rs(2, weight=4))))

    assert life.logs() == [
        f"Changing weight from 1 to 3 for active service {name(1)} of VS {VIP}",
        f"Changing weight from 1 to 4 for inactive service {name(2)} of VS {VIP}",
    ]
    assert life.pool() == {1: 3}


def test_changed_thresholds_reach_the_kernel() -> None:
    """Other than here, keepalived 2.4.3 sends them only with the next change for another reason."""
    life = Scenario(config(vs(rs(1)))).until(1.0).forget().reload(config(vs(rs(1, uthreshold=9))))

    assert life.events == []
    assert [to.u_threshold for entry in life.table.values() for to in entry.destinations.values()] == [9]


def test_a_new_server_has_all_its_retries() -> None:
    life = Scenario(config(vs(rs(1)))).until(1.0)
    life.down = {2}
    life.forget().reload(config(vs(rs(1), rs(2))))

    assert (life.events, life.pool()) == ([], {1: 1, 2: 1})

    life.until(2.0)

    assert life.pool() == {1: 1, 2: 1}

    life.until(3.0)

    assert life.pool() == {1: 1}


def test_a_new_alpha_server_waits_for_its_first_success() -> None:
    life = Scenario(config(vs(rs(1)))).until(1.0).reload(config(vs(rs(1), rs(2, alpha=True))))

    assert life.pool() == {1: 1}

    life.until(2.0)

    assert life.pool() == {1: 1, 2: 1}


def test_a_server_is_up_at_once_when_its_failing_check_is_removed() -> None:
    both = rs(1, Check(name="good"), Check(name="bad"))
    life = Scenario(config(vs(both)), answers={"bad": REFUSED}).until(1.0).forget()
    life.reload(config(vs(rs(1, Check(name="good")))))

    assert life.logs() == [
        f"Adding service {name(1)} to VS {VIP}",
        f"Gained quorum 1+0=1 <= 1 for VS {VIP}",
    ]
    assert life.scripts() == ["up 1", "quorum up"]
    assert life.pool() == {1: 1}


def test_a_new_alpha_check_holds_a_failed_server_down() -> None:
    life = Scenario(config(vs(rs(1, Check(name="bad")))), answers={"bad": REFUSED}).until(1.0).forget()
    life.reload(config(vs(rs(1, Check(name="new", alpha=True)))))

    assert (life.logs(), life.pool()) == ([], {})

    life.until(2.0)

    assert life.pool() == {1: 1}


def test_a_new_alpha_check_takes_no_serving_server_out() -> None:
    life = Scenario(config(vs(rs(1, Check(name="good"))))).until(1.0).forget()
    life.answers = {"new": REFUSED}
    life.reload(config(vs(rs(1, Check(name="good"), Check(name="new", alpha=True)))))

    assert (life.events, life.pool()) == ([], {1: 1})

    life.until(3.0)

    assert life.pool() == {}


def test_a_new_check_that_is_known_to_fail_takes_its_server_out_at_once() -> None:
    life = Scenario(config(vs(rs(1), rs(2))), known={"f": REFUSED}).until(1.0).forget()
    life.reload(config(vs(rs(1, Check(), Check(kind="FILE_CHECK", name="f")), rs(2))))

    assert life.logs() == [f"Removing service {name(1)} from VS {VIP}"]
    assert (life.scripts(), life.pool()) == (["down 1"], {2: 1})


def test_exchanging_all_servers_loses_no_quorum() -> None:
    """Other than here, keepalived 2.2.7 weighs the quorum between the two halves and notifies a loss."""
    life = Scenario(config(vs(rs(1)))).until(1.0).forget().reload(config(vs(rs(2))))

    assert life.scripts() == ["down 1"]
    assert life.pool() == {2: 1}


def test_a_higher_quorum_is_lost_in_the_words_of_a_start() -> None:
    life = Scenario(config(vs(rs(1), rs(2)))).until(1.0).forget().reload(config(vs(rs(1), rs(2), quorum=3)))

    assert life.logs() == [f"Starting with quorum down 3-0=3 > 2 for VS {VIP}"]
    assert life.scripts() == ["quorum down"]
    assert life.mails() == [f"[LAB] Virtualserver {VIP} - DOWN => Starting with quorum down 3+0=3 <= 2 <="]
    assert life.pool() == {1: 1, 2: 1}


def test_a_lower_quorum_brings_the_pool_back() -> None:
    life = Scenario(config(vs(rs(1), quorum=2, sorry_server=SORRY))).until(1.0).forget()
    life.reload(config(vs(rs(1), sorry_server=SORRY)))

    assert life.logs() == [
        f"Gained quorum 1+0=1 <= 1 for VS {VIP}",
        f"Removing sorry server {name(99)} from VS {VIP}",
        f"Adding alive servers to the pool for VS {VIP}",
    ]
    assert life.mails() == [f"[LAB] Virtualserver {VIP} - UP => Starting with quorum up 1+0=1 <= 1 <="]
    assert life.pool() == {1: 1}


def test_a_serving_sorry_server_that_is_removed_gives_the_pool_back() -> None:
    life = Scenario(config(vs(rs(1), quorum=2, sorry_server=SORRY))).until(1.0).forget()
    life.reload(config(vs(rs(1), quorum=2)))

    assert life.logs() == [f"Removing sorry server {name(99)} from VS {VIP}"]
    assert life.pool() == {1: 1}


def test_a_sorry_server_that_comes_while_the_quorum_is_down_serves_at_once() -> None:
    life = Scenario(config(vs(rs(1), quorum=2))).until(1.0).forget()
    life.reload(config(vs(rs(1), quorum=2, sorry_server=SORRY)))

    assert life.logs() == [
        f"Starting with quorum down 2-0=2 > 1 for VS {VIP}",
        f"Adding sorry server {name(99)} to VS {VIP}",
        f"Removing alive servers from the pool for VS {VIP}",
    ]
    assert life.pool() == {99: 1}


def test_a_serving_sorry_server_can_be_exchanged() -> None:
    life = Scenario(config(vs(rs(1), quorum=2, sorry_server=SORRY))).until(1.0).forget()
    life.reload(config(vs(rs(1), quorum=2, sorry_server=OTHER_SORRY)))

    assert life.logs()[0] == f"Removing sorry server {name(99)} from VS {VIP}"
    assert f"Adding sorry server {name(98)} to VS {VIP}" in life.logs()
    assert life.pool() == {98: 1}


def test_a_changed_inhibit_of_a_failed_server_shows_in_the_pool() -> None:
    life = Scenario(config(vs(rs(1))), down={1}).until(1.0).forget()
    life.reload(config(vs(rs(1, inhibit_on_failure=True))))

    assert (life.events, life.pool()) == ([], {1: 0})

    life.reload(config(vs(rs(1))))

    assert life.pool() == {}


def test_a_removed_virtual_server_tells_of_its_servers_and_quorum() -> None:
    life = Scenario(config(vs(rs(1), rs(2))), down={2}).until(1.0).forget().reload(config())

    assert life.logs() == [
        f"Removing Virtual Server {VIP}",
        f"Removing service {name(1)} from VS {VIP}",
    ]
    assert life.fifo() == [f"RS {name(1)} {VIP} DOWN", f"VS {VIP} DOWN"]
    assert life.mails()[1] == f"[LAB] Virtualserver {VIP} - DOWN => Lost quorum 1+0=1 <= 0 <="
    assert life.table == {}


def test_a_removed_virtual_server_behind_its_sorry_server_is_only_named() -> None:
    life = Scenario(config(vs(rs(1), rs(2), quorum=2, sorry_server=SORRY)), down={2}).until(1.0).forget()
    life.reload(config())

    assert life.logs() == [f"Removing Virtual Server {VIP}"]
    assert (life.fifo(), life.table) == ([], {})


def test_late_verdicts_of_removed_checks_are_ignored() -> None:
    life = Scenario(config(vs(rs(1), rs(2, Check(name="a"), Check(name="b"))))).until(1.0)
    gone, check_gone = life.checker(1), life.checker(2, 1)
    life.reload(config(vs(rs(2, Check(name="a")))))

    assert report(gone, REFUSED, 2.0) == (1.0, ())
    assert report(check_gone, REFUSED, 2.0) == (1.0, ())
    assert report(gone, PASSED, 2.0) == (1.0, ())


def test_late_verdicts_of_a_removed_virtual_server_are_ignored() -> None:
    life = Scenario(config(vs(rs(1)))).until(1.0)
    gone = life.checker(1)
    life.reload(config())

    assert report(gone, REFUSED, 2.0) == (1.0, ())


def test_another_protocol_is_another_virtual_server() -> None:
    life = Scenario(config(vs(rs(1)))).until(1.0).forget().reload(config(vs(rs(1), protocol=Protocol.UDP)))

    assert life.logs()[0] == f"Removing Virtual Server {VIP}"
    assert life.logs()[-1] == "Gained quorum 1+0=1 <= 1 for VS [192.0.2.1]:udp:80"


def test_the_order_is_old_order_for_losses_and_new_order_for_gains() -> None:
    def at(host: int, *hosts: int) -> VirtualServer:
        return vs(*map(rs, hosts), endpoint=Endpoint(parse_address(f"192.0.2.{host}"), 80))

    life = Scenario(config(at(1, 1, 2), at(2, 3), at(3, 4, 5))).until(1.0).forget()
    life.reload(config(at(4, 6), at(3, 4), at(1, 1)))

    assert [line for line in life.logs() if "Removing service" not in line] == [
        f"service {name(2)} no longer exist",
        "Removing Virtual Server [192.0.2.2]:tcp:80",
        f"service {name(5)} no longer exist",
        "Gained quorum 1+0=1 <= 1 for VS [192.0.2.4]:tcp:80",
    ]
    assert [service.vs.endpoint.address.packed[3] for service in life.services if service.vs.endpoint] == [
        4,
        3,
        1,
    ]


def test_lines_of_a_group_that_go_and_come_are_named() -> None:
    user = vs(rs(1), group="G")
    before = config(
        user, groups=group(line("192.0.2.1"), line("192.0.2.8-192.0.2.9", 81), GroupMember(fwmark=9))
    )
    after = config(user, groups=group(line("192.0.2.1"), line("192.0.2.7"), GroupMember(fwmark=10)))
    life = Scenario(before).until(1.0).forget().reload(after)

    assert life.logs() == [
        "VS [[192.0.2.8]:tcp:81-192.0.2.9] in group G no longer exists",
        "VS [9] in group G no longer exists",
        "VS [[192.0.2.7]:tcp:80] added into group G",
        "VS [FWM 10] added into group G",
    ]
    assert {str(key) for key in life.table} == {"TCP 192.0.2.1:80", "TCP 192.0.2.7:80", "FWM 10"}


def test_lines_of_a_group_are_named_once_for_all_its_users() -> None:
    first, second = vs(rs(1), group="G"), vs(rs(2), group="G", group_index=1)
    life = Scenario(config(first, second, groups=group(line("192.0.2.1")))).until(1.0).forget()
    life.reload(config(first, second, groups=group(line("192.0.2.1"), line("192.0.2.2"))))

    assert life.logs() == ["VS [[192.0.2.2]:tcp:80] added into group G"]


def test_a_removed_virtual_server_of_a_group_names_the_group() -> None:
    groups = group(line("192.0.2.1"))
    first, second = vs(rs(1), group="G"), vs(rs(2), group="G", group_index=1)
    life = Scenario(config(first, second, groups=groups)).until(1.0).forget()
    life.reload(config(first, groups=groups))

    assert life.logs() == [
        "Removing Virtual Server Group [G]",
        f"Removing service {name(2)} from VS [G]:1",
    ]
    assert life.pool() == {1: 1}


def test_rs_init_notifies_tells_of_new_servers_at_a_reload_too() -> None:
    life = Scenario(config(vs(rs(1)), rs_init_notifies=True)).until(1.0).forget()
    life.reload(config(vs(rs(1), rs(2)), rs_init_notifies=True))

    assert life.fifo() == [f"RS {name(2)} {VIP} UP"]


def test_a_dynamic_weight_survives_a_reload() -> None:
    check = Check(kind="MISC_CHECK", name="m")
    life = Scenario(config(vs(rs(1, check))), answers={"m": Passed(weight=20)}).until(1.0).forget()
    life.reload(config(vs(rs(1, check, weight=5))))

    assert (life.events, life.pool()) == ([], {1: 20})


def test_identities() -> None:
    base = vs(rs(1))

    assert identity(base) == identity(vs(rs(2), quorum=7))
    assert identity(vs(fwmark=3)) != identity(vs(fwmark=3, family=Family.INET6))
    assert identity(vs(group="G")) != identity(vs(group="G", group_index=1))


def test_twins_are_paired_in_order() -> None:
    assert paired(["a1", "b1", "a2"], lambda text: text[0], ["a", "a", "a", "c"]) == ["a1", "a2", None, None]
