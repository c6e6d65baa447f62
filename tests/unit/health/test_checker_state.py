"""The table of one check, row by row."""

from __future__ import annotations

import pytest
from health_scenario import REFUSED, Check
from hypothesis import given, settings
from hypothesis import strategies as st

from keepalive_py.health.checker_state import (
    HABITS,
    QUIET_UNTIL_UP,
    RETRYING_WHILE_DOWN,
    RULES,
    Answer,
    Change,
    CheckerState,
    Position,
)
from keepalive_py.health.verdict import PASSED, Passed, Verdict

PARTIAL = Passed("HTTP status code", partial=True, part="/a")


def checker(
    kind: str = "TCP_CHECK", *, up: bool = True, fresh: bool = False, **settings: object
) -> CheckerState:
    timing = {"delay_loop": 10.0, "delay_before_retry": 3.0, "retry": 2, **settings}
    return CheckerState(Check(kind=kind, **timing), up=up, fresh=fresh)  # type: ignore[arg-type]


def changes(state: CheckerState, *verdicts: Verdict) -> list[Change]:
    return [state.take(verdict).change for verdict in verdicts]  # type: ignore[arg-type]


def delays(state: CheckerState, *verdicts: Verdict) -> list[float]:
    return [state.take(verdict).delay for verdict in verdicts]  # type: ignore[arg-type]


@pytest.mark.parametrize("rules", [RULES, RETRYING_WHILE_DOWN, QUIET_UNTIL_UP])
def test_every_position_has_a_rule_for_every_answer(rules: dict[object, object]) -> None:
    assert set(rules) == {(position, answer) for position in Position for answer in Answer}


def test_retry_n_forgives_n_failures_and_the_next_one_decides() -> None:
    state = checker()

    assert changes(state, PASSED, REFUSED, REFUSED, REFUSED) == [
        Change.CONFIRMED,
        Change.ATTEMPT,
        Change.ATTEMPT,
        Change.WENT_DOWN,
    ]
    assert not state.up


def test_a_success_between_failures_starts_the_count_again() -> None:
    state = checker()

    changes(state, PASSED, REFUSED, REFUSED, PASSED, REFUSED, REFUSED)

    assert state.up
    assert state.failures == 2


def test_retries_come_sooner_and_a_decided_failure_waits_the_whole_loop() -> None:
    state = checker()

    assert delays(state, PASSED, REFUSED, REFUSED, REFUSED, REFUSED, PASSED) == [10, 3, 3, 10, 10, 10]


def test_at_a_fresh_start_the_first_failure_decides() -> None:
    state = checker(fresh=True)

    assert changes(state, REFUSED) == [Change.WENT_DOWN]


def test_a_check_that_a_reload_adds_has_all_its_retries() -> None:
    state = checker(fresh=False)

    assert changes(state, REFUSED, REFUSED, REFUSED) == [Change.ATTEMPT, Change.ATTEMPT, Change.WENT_DOWN]


@pytest.mark.parametrize(("fresh", "retry"), [(True, 2), (False, 0)])
def test_an_alpha_check_tells_its_first_failure_once_and_keeps_no_retries(fresh: bool, retry: int) -> None:
    state = checker(up=False, fresh=fresh, retry=retry)

    assert changes(state, REFUSED, REFUSED, PASSED) == [Change.NEVER_UP, Change.NONE, Change.RECOVERED]


def test_an_alpha_check_that_a_reload_adds_with_retries_fails_in_silence() -> None:
    state = checker(up=False, fresh=False, retry=2)

    assert changes(state, REFUSED, REFUSED, REFUSED, PASSED) == [
        Change.NONE,
        Change.NONE,
        Change.NONE,
        Change.RECOVERED,
    ]


def test_down_checks_make_no_retries() -> None:
    state = checker()
    changes(state, REFUSED, REFUSED, REFUSED)

    assert changes(state, REFUSED, REFUSED) == [Change.NONE, Change.NONE]
    assert state.failures == 0


def test_a_down_smtp_check_makes_all_its_attempts_in_each_cycle() -> None:
    state = checker("SMTP_CHECK", fresh=True, retry=1)

    assert changes(state, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED) == [
        Change.ATTEMPT,
        Change.WENT_DOWN,
        Change.NONE,
        Change.NONE,
        Change.NONE,
    ]
    assert delays(state, REFUSED, REFUSED, REFUSED) == [10, 3, 10]


def test_an_smtp_check_keeps_its_retries_at_a_fresh_start() -> None:
    assert checker("SMTP_CHECK", fresh=True).failures == 0
    assert checker("TCP_CHECK", fresh=True).failures == 2


@pytest.mark.parametrize(("kind", "wait"), [("HTTP_GET", 20.0), ("SSL_GET", 20.0), ("TCP_CHECK", 10.0)])
def test_a_failed_http_check_waits_the_longer_of_its_two_delays(kind: str, wait: float) -> None:
    state = checker(kind, delay_before_retry=20.0)

    assert delays(state, REFUSED, REFUSED, REFUSED, REFUSED) == [20.0, 20.0, wait, wait]


def test_an_http_check_that_starts_down_says_nothing_until_it_is_up() -> None:
    state = checker("HTTP_GET", up=False, fresh=True)

    assert changes(state, REFUSED, REFUSED, PASSED) == [Change.NONE, Change.NONE, Change.RECOVERED]


def test_an_http_check_is_up_only_after_all_its_urls() -> None:
    state = checker("HTTP_GET", up=False, fresh=True)

    assert changes(state, PARTIAL, PARTIAL, PASSED) == [Change.PART, Change.PART, Change.RECOVERED]


def test_urls_of_a_check_that_is_up_are_not_told_one_by_one() -> None:
    state = checker("HTTP_GET", fresh=True)

    assert changes(state, PARTIAL, PASSED, PARTIAL) == [Change.NONE, Change.CONFIRMED, Change.NONE]


def test_a_passed_url_gives_a_fresh_check_its_retries() -> None:
    state = checker("HTTP_GET", fresh=True)

    assert changes(state, PARTIAL, REFUSED) == [Change.NONE, Change.ATTEMPT]


def test_fast_recovery_waits_not_between_urls_while_down() -> None:
    state = checker("HTTP_GET", up=False, fresh=True, parts=0.0)

    assert delays(state, PARTIAL, REFUSED, PARTIAL, PASSED, PARTIAL) == [0.0, 10.0, 0.0, 10.0, 10.0]


def test_a_lower_retry_after_a_reload_decides_at_the_next_failure() -> None:
    state = checker(retry=5)
    changes(state, REFUSED, REFUSED, REFUSED)
    state.adopt(Check(retry=1))

    assert state.failures == 1
    assert changes(state, REFUSED) == [Change.WENT_DOWN]


@settings(deadline=None)
@given(
    kind=st.sampled_from(["TCP_CHECK", *HABITS]),
    up=st.booleans(),
    fresh=st.booleans(),
    retry=st.integers(0, 4),
    verdicts=st.lists(st.sampled_from([PASSED, PARTIAL, REFUSED]), max_size=30),
)
def test_a_check_never_counts_more_failures_than_it_forgives(
    kind: str, up: bool, fresh: bool, retry: int, verdicts: list[Verdict]
) -> None:
    state = checker(kind, up=up, fresh=fresh, retry=retry)
    for verdict in verdicts:
        was_up = state.up
        transition = state.take(verdict)  # type: ignore[arg-type]

        assert 0 <= state.failures <= retry
        assert transition.delay in (3.0, 10.0)
        assert (transition.change in (Change.WENT_DOWN, Change.RECOVERED)) is (was_up is not state.up)
        if not state.up and kind != "SMTP_CHECK" and verdict is REFUSED:
            assert state.failures == 0
