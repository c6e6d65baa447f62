from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.health.fitness import Evidence, ServiceEvidence, Standing, Why, fitness

YES, NO, UNKNOWN = Standing.YES, Standing.NO, Standing.UNKNOWN
UP = ServiceEvidence("up", quorum=True)
DOWN = ServiceEvidence("down", quorum=False)
NEW = ServiceEvidence("new", quorum=True, judged=False)
WRITING = ServiceEvidence("writing", quorum=True, in_table=None)
LOST = ServiceEvidence("lost", quorum=True, in_table=False)
ALL, ANY = 0, 1


@pytest.mark.parametrize(
    ("services", "at_least", "standing", "why"),
    [
        ([], ALL, NO, Why.NO_SERVICE),
        ([UP, UP], ALL, YES, Why.FIT),
        ([UP, DOWN], ALL, NO, Why.QUORUM),
        ([UP, DOWN], ANY, YES, Why.FIT),
        ([DOWN, DOWN], ANY, NO, Why.QUORUM),
        ([UP, UP, DOWN], 2, YES, Why.FIT),
        ([UP, DOWN, DOWN], 2, NO, Why.QUORUM),
        ([UP], 2, NO, Why.NO_SERVICE),
        ([UP, NEW], ALL, UNKNOWN, Why.WARM_UP),
        ([UP, NEW], ANY, YES, Why.FIT),
        ([DOWN, NEW], ALL, NO, Why.QUORUM),
        ([DOWN, NEW], ANY, UNKNOWN, Why.WARM_UP),
        ([WRITING], ALL, UNKNOWN, Why.TABLE),
        ([LOST], ALL, NO, Why.TABLE),
    ],
)
def test_how_many_services_must_be_up(
    services: list[ServiceEvidence], at_least: int, standing: Standing, why: Why
) -> None:
    found = fitness(Evidence(services, at_least))
    assert (found.standing, found.why) == (standing, why)


@pytest.mark.parametrize(
    ("uplinks", "standing"),
    [
        ({}, YES),
        ({"a": YES, "b": NO}, YES),
        ({"a": UNKNOWN, "b": NO}, YES),
        ({"a": NO, "b": NO}, NO),
    ],
)
def test_one_uplink_that_is_not_surely_down_is_enough(
    uplinks: dict[str, Standing], standing: Standing
) -> None:
    assert fitness(Evidence([UP], uplinks=uplinks)).standing is standing


@pytest.mark.parametrize(
    ("modules", "standing"),
    [({"toa": YES}, YES), ({"toa": NO}, NO), ({"toa": UNKNOWN}, UNKNOWN), ({"a": UNKNOWN, "b": NO}, NO)],
)
def test_required_modules(modules: dict[str, Standing], standing: Standing) -> None:
    assert fitness(Evidence([UP], modules=modules)).standing is standing


def test_what_is_surely_wrong_is_said_before_what_is_not_known() -> None:
    found = fitness(Evidence([NEW], modules={"toa": NO}))
    assert str(found) == "module: toa"


SERVICES = st.lists(st.sampled_from([UP, DOWN, NEW, WRITING, LOST]), min_size=1, max_size=6)


@given(SERVICES, st.integers(0, 6))
def test_learning_what_was_unknown_never_contradicts_a_decision(
    services: list[ServiceEvidence], at_least: int
) -> None:
    """A yes or no stays what it is whichever way the unknown ones turn out."""
    before = fitness(Evidence(services, at_least)).standing
    for outcome in (UP, DOWN):
        known = [outcome if each.standing()[0] is UNKNOWN else each for each in services]
        after = fitness(Evidence(known, at_least)).standing
        assert after is not UNKNOWN
        assert before in (UNKNOWN, after)


@given(SERVICES, st.integers(1, 6))
def test_one_more_service_never_hurts_a_count(services: list[ServiceEvidence], at_least: int) -> None:
    order = [NO, UNKNOWN, YES]
    before = fitness(Evidence(services, at_least)).standing
    after = fitness(Evidence([*services, UP], at_least)).standing
    assert order.index(after) >= order.index(before)
