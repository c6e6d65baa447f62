"""What one process remembers, the next one goes on with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from health_scenario import Check, Scenario, config, rs, vs
from hypothesis import given, settings
from hypothesis import strategies as st
from test_health_laws import HERE, act, actions, check_invariants, configs

from keepalive_py.config.model import Config, SorryServer
from keepalive_py.health.checker_state import Position
from keepalive_py.health.lifecycle import start
from keepalive_py.health.membership import tick
from keepalive_py.health.remembered import Memory, check_key, remembered
from keepalive_py.health.service_state import ServiceState
from keepalive_py.health.verdict import Failed, Passed, Reason, Unknown
from keepalive_py.plan.desired import desired

WALL = 1_700_000_000.0


def kept(services: Sequence[ServiceState], now: float) -> list[dict[str, Any]]:
    """What is remembered, over the file and back."""
    values = [remembered(service, now, WALL, lambda checker: None) for service in services]
    return list(json.loads(json.dumps(values)))


def started_again(
    first: Config, values: list[dict[str, Any]], now: float = 5.0, passed: float = 10.0
) -> list[ServiceState]:
    """The next process: its clock began anew, and some seconds have passed."""
    memory = Memory(values, now, WALL + passed)
    services, _ = start(first, now, {HERE}, recall=memory.restore)
    return services


@settings(deadline=None)
@given(first=configs, actions=actions)
def test_the_next_process_wants_the_very_same_table(first: Config, actions: list) -> None:  # type: ignore[type-arg]
    current = first
    services, _ = start(current, 0.0, {HERE})
    for now, action in enumerate(actions, 1):
        services, _ = act(services, action, float(now))
        current = action[1] if action[0] == "reload" else current
    for service in services:
        tick(service, 99.0)
    again = started_again(current, kept(services, 99.0), passed=0.0)

    assert desired(current, again) == desired(current, services)
    for service in again:
        check_invariants(service)


@given(values=st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x)))
def test_values_that_are_not_ours_are_refused_whole(values: object) -> None:
    with pytest.raises(ValueError, match="."):
        Memory([{"name": values}], 0.0, WALL)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("since",), "yesterday"),
        (("since",), float("nan")),
        (("quorum_up",), 1),
        (("name",), 7),
        (("servers",), 3),
        (("servers", 0, "checks", 0, "position"), "SIDEWAYS"),
        (("servers", 0, "checks", 0, "failures"), -1),
        (("servers", 0, "checks", 0, "asked"), 2**40),
        (("servers", 0, "checks", 0, "last"), {"detail": "", "result": "failed", "reason": "mood"}),
    ],
)
def test_one_wrong_value_is_enough(where: tuple[Any, ...], value: object) -> None:
    (values,) = kept(Scenario(config(vs(rs(1)))).until(2).services, 2.0)
    place: Any = values
    for name in where[:-1]:
        place = place[name]
    place[where[-1]] = value
    with pytest.raises(ValueError, match="."):
        Memory([values], 0.0, WALL)


def test_a_server_that_was_down_is_not_taken_for_up() -> None:
    first = config(vs(rs(1), rs(2)))
    before = Scenario(first, down={2}).until(100)
    memory = Memory(kept(before.services, 100.0), 5.0, WALL + 10)
    (service,), events = start(first, 5.0, recall=memory.restore)

    assert service.weights() == [1, None]
    assert (memory.servers, memory.down) == (2, 1)
    assert [type(event).__name__ for event in events] == ["QuorumGained"]
    down = service.servers[1]
    assert down.checkers[0].position is Position.DOWN
    assert down.since == pytest.approx(5.0 - 10 - (100 - before.services[0].servers[1].since))
    assert down.checkers[0].last == before.checker(2).last


def test_failures_in_a_row_are_counted_on() -> None:
    first = config(vs(rs(1, Check(retry=2)), rs(2)))
    before = Scenario(first).until(10)
    before.down.add(1)
    before.until(12)
    assert before.checker(1).failures == 2
    (service,) = started_again(first, kept(before.services, 12.0))
    assert service.servers[0].checkers[0].failures == 2
    assert service.servers[0].checkers[0].has_run


def test_what_is_configured_otherwise_begins_anew() -> None:
    before = Scenario(config(vs(rs(1, Check(name="a")), rs(2))), down={1, 2}).until(10)
    after = config(vs(rs(1, Check(name="b")), rs(2)))
    (service,) = started_again(after, kept(before.services, 10.0))
    assert service.weights() == [1, None]
    assert not service.servers[0].checkers[0].has_run


def test_an_answer_that_is_there_already_is_better_than_a_remembered_one() -> None:
    first = config(vs(rs(1, Check(kind="FILE_CHECK", name="f"))))
    before = Scenario(first, down={1}).until(10)
    memory = Memory(kept(before.services, 10.0), 0.0, WALL)
    (service,), _ = start(first, 0.0, known=lambda rs, check: Passed("7"), recall=memory.restore)
    assert service.servers[0].alive


def test_between_the_bounds_of_the_hysteresis_the_quorum_stays_as_it_was() -> None:
    first = config(
        vs(rs(1), rs(2), rs(3), quorum=2, hysteresis=1, sorry_server=SorryServer(rs(9).endpoint)),
    )
    up = Scenario(first).until(3)
    up.down.add(1)
    up.until(10)
    down = Scenario(first, down={1, 2, 3}).until(3)
    down.down = {1}
    down.until(10)
    assert (up.services[0].quorum_up, down.services[0].quorum_up) == (True, False)
    for before in (up, down):
        (again,) = started_again(first, kept(before.services, 10.0))
        assert again.quorum_up is before.services[0].quorum_up
        assert again.alive_weight == 2


def test_when_a_check_runs_next_is_kept() -> None:
    first = config(vs(rs(1)))
    before = Scenario(first).until(3)
    values = [remembered(before.services[0], 3.0, WALL, lambda checker: 3.5)]
    memory = Memory(values, 100.0, WALL + 10)
    services, _ = start(first, 100.0, recall=memory.restore)
    (due,) = memory.due.values()
    assert due == pytest.approx(100.0 - 10 + 0.5)


def test_every_kind_of_verdict_comes_back() -> None:
    first = config(vs(rs(1)))
    for verdict in (
        Passed("fine", weight=3),
        Failed(Reason.EXIT_STATUS, "exit status 1", exit_status=1),
        Failed(Reason.KILLED, "killed", signal=9),
        Unknown(Reason.BUG, "a bug"),
    ):
        scenario = Scenario(first).until(1)
        scenario.checker(1).last = verdict
        (again,) = started_again(first, kept(scenario.services, 1.0))
        assert again.servers[0].checkers[0].last == verdict


def test_names_of_checks_do_not_depend_on_the_process() -> None:
    """The order of a set is another one in each process."""

    class Odd(Check):
        def identity(self) -> tuple[object, ...]:
            return ("ODD", frozenset(("abc", "def", "ghi", "jkl")), Reason.TLS, rs(1).endpoint)

    assert check_key(Odd()) == "TCP_CHECK 7e7e70a0ff4cf41f"
