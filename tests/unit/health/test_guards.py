"""What guards make of a pool: held in although down, left out although up, slowly back."""

from __future__ import annotations

import pytest
from health_scenario import REFUSED, VIP, Check, Scenario, config, name, rs, vs

from keepalive_py.config.model import SorryServer
from keepalive_py.health import damping, depool
from keepalive_py.health.events import ServerReleased
from keepalive_py.health.membership import is_moving
from keepalive_py.health.verdict import Passed

INTERVAL = 1.0  # of a Check in a Scenario
FOUR = tuple(rs(host, Check()) for host in (1, 2, 3, 4))


def after_failures(scenario: Scenario, *hosts: int) -> Scenario:
    """One server after the other goes down, an interval apart, and needs two failures for it."""
    for host in hosts:
        scenario.down.add(host)
        scenario.until(scenario.now + 5)
    return scenario


def after_recovery(scenario: Scenario, *hosts: int) -> Scenario:
    for host in hosts:
        scenario.down.discard(host)
        scenario.until(scenario.now + 5)
    return scenario


# depool_threshold


@pytest.mark.parametrize(
    ("servers", "threshold", "stay"),
    [
        (4, 50, 2),
        (3, 50, 2),
        (5, 66, 4),
        (3, 33, 1),
        (3, 34, 2),
        (10, 1, 1),
        (3, 100, 3),
        (3, 0, 0),
        (1, 50, 1),
    ],
)
def test_the_number_that_has_to_stay_is_rounded_up(servers: int, threshold: int, stay: int) -> None:
    service = vs(*(rs(host) for host in range(1, servers + 1)), depool_threshold=threshold)
    assert depool.needed(service) == stay


def test_servers_without_weight_do_not_count() -> None:
    assert depool.needed(vs(rs(1), rs(2), rs(3, weight=0), depool_threshold=50)) == 1


def test_who_goes_down_beyond_the_threshold_is_held_and_seen_to_be() -> None:
    scenario = Scenario(config(vs(*FOUR, depool_threshold=50))).until(3)
    after_failures(scenario, 1, 2).forget()
    assert scenario.pool() == {3: 1, 4: 1}
    after_failures(scenario, 3, 4)
    assert scenario.pool() == {3: 1, 4: 1}
    assert [server.held for server in scenario.services[0].servers] == [False, False, True, True]
    why = "depool_threshold 50%, 2 of 2 needed serve"
    assert [line for line in scenario.logs() if line.startswith("Holding")] == [
        f"Holding service {name(host)} in VS {VIP} although it is down: {why}" for host in (3, 4)
    ]
    assert scenario.scripts() == []
    assert scenario.fifo() == []
    assert scenario.services[0].quorum_up


def test_those_held_longest_leave_first_when_others_recover() -> None:
    scenario = Scenario(config(vs(*FOUR, depool_threshold=50))).until(3)
    after_failures(scenario, 1, 2, 3, 4).forget()
    after_recovery(scenario, 1)
    assert scenario.pool() == {1: 1, 4: 1}
    assert scenario.scripts() == ["up 1", "down 3"]
    after_recovery(scenario, 2)
    assert scenario.pool() == {1: 1, 2: 1}
    assert scenario.scripts() == ["up 1", "down 3", "up 2", "down 4"]


def test_a_held_server_that_is_well_again_was_never_away() -> None:
    scenario = Scenario(config(vs(*FOUR, depool_threshold=50))).until(3)
    after_failures(scenario, 1, 2, 3).forget()
    after_recovery(scenario, 3)
    assert scenario.pool() == {3: 1, 4: 1}
    assert scenario.scripts() == []
    assert [event for event in scenario.events if isinstance(event, ServerReleased)]
    assert f"Service {name(3)} of VS {VIP} is up again: held no more" in scenario.logs()


def test_one_that_is_held_leaves_when_a_check_takes_its_weight() -> None:
    checks = Check(name="a"), Check(kind="MISC_CHECK", name="b")
    scenario = Scenario(config(vs(rs(1, *checks), depool_threshold=50))).until(3)
    scenario.answers["a"] = REFUSED
    assert scenario.until(8).pool() == {1: 1}
    assert scenario.services[0].servers[0].held
    scenario.answers["b"] = Passed(weight=0)
    scenario.forget()
    assert scenario.until(12).pool() == {}
    assert sorted(scenario.scripts()) == ["down 1", "quorum down"]


def test_only_who_is_in_the_pool_can_be_held() -> None:
    scenario = Scenario(config(vs(rs(1, alpha=True), rs(2, alpha=True), depool_threshold=100)), down={1, 2})
    assert scenario.until(10).pool() == {}


def test_held_servers_count_for_the_quorum() -> None:
    sorry = SorryServer(rs(9).endpoint)
    scenario = Scenario(config(vs(rs(1), rs(2), depool_threshold=50, sorry_server=sorry))).until(3)
    after_failures(scenario, 1, 2)
    assert scenario.pool() == {2: 1}
    assert not scenario.services[0].sorry_in_use


def test_with_inhibit_on_failure_a_held_server_keeps_its_weight() -> None:
    servers = (rs(1, weight=5, inhibit_on_failure=True), rs(2, weight=5, inhibit_on_failure=True))
    scenario = Scenario(config(vs(*servers, depool_threshold=50))).until(3)
    after_failures(scenario, 1, 2)
    assert scenario.pool() == {1: 0, 2: 5}


def test_a_reload_without_the_threshold_lets_them_go() -> None:
    scenario = Scenario(config(vs(*FOUR, depool_threshold=100))).until(3)
    after_failures(scenario, 1, 2).forget()
    assert scenario.pool() == {1: 1, 2: 1, 3: 1, 4: 1}
    scenario.reload(config(vs(*FOUR)))
    assert scenario.pool() == {3: 1, 4: 1}
    assert scenario.scripts() == ["down 1", "down 2"]


def test_a_reload_with_a_threshold_brings_nobody_back_who_is_down() -> None:
    scenario = Scenario(config(vs(*FOUR))).until(3)
    after_failures(scenario, 1, 2, 3)
    assert scenario.reload(config(vs(*FOUR, depool_threshold=100))).pool() == {4: 1}


def test_a_held_server_is_withdrawn_like_one_that_serves() -> None:
    scenario = Scenario(config(vs(*FOUR, depool_threshold=100))).until(3)
    after_failures(scenario, 1).forget()
    scenario.reload(config(vs(*FOUR[1:], depool_threshold=100)))
    assert scenario.scripts() == ["down 1"]
    assert f"Removing service {name(1)} from VS {VIP}" in scenario.logs()


# rise, fall


def test_rise_wants_so_many_successes_in_a_row() -> None:
    scenario = Scenario(config(vs(rs(1, Check(rise=3)), rs(2))), down={1}).until(3)
    scenario.down.clear()
    scenario.until(4)
    assert scenario.checker(1).successes == 1
    scenario.down.add(1)
    scenario.until(5)
    assert scenario.checker(1).successes == 0
    scenario.down.clear()
    scenario.until(7)
    assert (scenario.checker(1).up, scenario.checker(1).successes) == (False, 2)
    scenario.until(8)
    assert (scenario.checker(1).up, scenario.checker(1).successes) == (True, 0)
    assert scenario.pool() == {1: 1, 2: 1}


def test_what_a_rising_check_asks_for_counts_when_it_is_up() -> None:
    check = Check(kind="MISC_CHECK", name="a", rise=2)
    scenario = Scenario(config(vs(rs(1, check), rs(2))), down={1}).until(3)
    scenario.answers["a"] = Passed(weight=7)
    assert scenario.until(4).checker(1).asked is None
    assert scenario.until(5).pool() == {1: 7, 2: 1}


def test_a_server_that_is_up_needs_no_rise() -> None:
    scenario = Scenario(config(vs(rs(1, Check(rise=5)))))
    assert scenario.until(2).checker(1).successes == 0
    assert scenario.pool() == {1: 1}


# slow_start


def test_a_server_that_comes_back_gets_its_weight_in_steps() -> None:
    scenario = Scenario(config(vs(rs(1, weight=100), rs(2, weight=100), slow_start=20.0)), down={1}).until(3)
    scenario.down.clear()
    scenario.until(4)
    assert scenario.pool() == {1: 10, 2: 100}
    assert is_moving(scenario.services[0])
    seen = {later: scenario.tick(4 + later).pool()[1] for later in (1, 2, 3, 10, 17, 18)}
    assert seen == {1: 10, 2: 20, 3: 20, 10: 60, 17: 90, 18: 100}
    assert not is_moving(scenario.services[0])
    assert [line for line in scenario.logs() if line.startswith("Slow start")] == [
        f"Slow start of service {name(1)} of VS {VIP}: weight 10, 20 s",
        f"Slow start of service {name(1)} of VS {VIP} is over: weight 100",
    ]


def test_the_quorum_counts_the_whole_weight_at_once() -> None:
    servers = (rs(1, weight=100), rs(2, weight=100))
    scenario = Scenario(config(vs(*servers, slow_start=20.0, quorum=150)), down={1}).until(3)
    scenario.down.clear()
    assert scenario.until(4).services[0].quorum_up


def test_nobody_starts_slowly_at_a_start_or_in_an_empty_pool() -> None:
    scenario = Scenario(config(vs(rs(1, weight=100), rs(2, weight=100), slow_start=20.0)))
    assert scenario.pool() == {1: 100, 2: 100}
    after_failures(scenario.until(3), 1, 2)
    assert scenario.pool() == {}
    after_recovery(scenario, 1)
    assert scenario.pool() == {1: 100}


def test_a_small_weight_is_never_nothing() -> None:
    scenario = Scenario(config(vs(rs(1, weight=2), rs(2), rs(3, weight=0), slow_start=10.0)), down={1, 3})
    scenario.until(3)
    scenario.down.clear()
    assert scenario.until(4).pool() == {1: 1, 2: 1, 3: 0}


def test_a_server_that_fails_while_it_starts_begins_anew() -> None:
    scenario = Scenario(config(vs(rs(1, weight=100), rs(2), slow_start=100.0)), down={1}).until(3)
    after_recovery(scenario, 1).tick(50)
    assert scenario.pool()[1] == 50
    after_failures(scenario, 1)
    after_recovery(scenario, 1)
    assert scenario.pool()[1] == 10


# damping_half_life


def flapped(scenario: Scenario, host: int, times: int) -> Scenario:
    for _ in range(times):
        after_recovery(after_failures(scenario, host), host)
    return scenario


def test_a_server_that_flaps_is_left_out_until_it_has_been_quiet() -> None:
    scenario = Scenario(config(vs(rs(1), rs(2), damping_half_life=1000.0))).until(3)
    assert flapped(scenario, 1, 3).pool() == {1: 1, 2: 1}  # a little less than 3 by then
    flapped(scenario, 1, 1)
    assert scenario.pool() == {2: 1}
    server = scenario.services[0].servers[0]
    assert (server.alive, server.suppressed, server.serving) == (True, True, False)
    line = next(line for line in scenario.logs() if line.startswith("Not adding"))
    assert line.startswith(
        f"Not adding service {name(1)} to VS {VIP} although it is up: it changed too often (penalty 3."
    )
    left = damping.penalty(server, 1000.0, scenario.now)
    assert scenario.tick(scenario.now + 900).pool() == {2: 1}
    assert left > damping.SUPPRESS
    assert scenario.tick(scenario.now + 600).pool() == {1: 1, 2: 1}
    assert not is_moving(scenario.services[0])


def test_the_last_server_is_never_left_out() -> None:
    scenario = Scenario(config(vs(rs(1), damping_half_life=1000.0))).until(3)
    assert flapped(scenario, 1, 9).pool() == {1: 1}


def test_one_that_was_left_out_steps_in_when_it_is_needed() -> None:
    scenario = Scenario(config(vs(rs(1), rs(2), damping_half_life=1000.0))).until(3)
    assert flapped(scenario, 1, 5).pool() == {2: 1}
    assert after_failures(scenario, 2).pool() == {1: 1}


def test_it_steps_in_before_one_that_is_down_is_held() -> None:
    scenario = Scenario(config(vs(*FOUR, damping_half_life=1000.0, depool_threshold=50))).until(3)
    assert flapped(scenario, 1, 5).pool() == {2: 1, 3: 1, 4: 1}
    after_failures(scenario, 2)
    assert scenario.pool() == {3: 1, 4: 1}
    after_failures(scenario, 3)
    assert scenario.pool() == {1: 1, 4: 1}
    assert not any(server.held for server in scenario.services[0].servers)


def test_it_steps_in_when_the_others_lose_their_weight() -> None:
    check = Check(kind="MISC_CHECK", name="b")
    scenario = Scenario(config(vs(rs(1), rs(2, check), damping_half_life=1000.0))).until(3)
    assert flapped(scenario, 1, 5).pool() == {2: 1}
    scenario.answers["b"] = Passed(weight=0)
    assert scenario.until(scenario.now + 2).pool() == {1: 1, 2: 0}


def test_a_reload_without_damping_lets_it_in() -> None:
    scenario = Scenario(config(vs(rs(1), rs(2), damping_half_life=1000.0))).until(3)
    flapped(scenario, 1, 5)
    assert scenario.reload(config(vs(rs(1), rs(2)))).pool() == {1: 1, 2: 1}


@pytest.mark.parametrize("half_life", [1.0, 60.0])
def test_nobody_is_left_out_for_more_than_two_half_lives(half_life: float) -> None:
    scenario = Scenario(config(vs(rs(1), rs(2), damping_half_life=half_life)))
    server = scenario.services[0].servers[0]
    for _ in range(50):
        damping.charge(server, half_life, 0.0)
    assert damping.penalty(server, half_life, 0.0) == damping.MOST
    assert damping.is_over(server, half_life, 2 * half_life + 0.001)
    assert not damping.is_over(server, half_life, 2 * half_life - 0.001)
