from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.announcer.policy import Sight, Timing, VipPolicy, VipState
from keepalive_py.health.damping import MOST, REUSE
from keepalive_py.health.fitness import Standing

YES, NO, UNKNOWN = Standing.YES, Standing.NO, Standing.UNKNOWN
HELD, ANNOUNCED, DRAINING, WITHDRAWN = VipState
TIMING = Timing(rise=2, fall=1, hold_down=10, half_life=0, drain_time=20)
FIT, UNFIT, UNTOLD = Sight(YES), Sight(NO), Sight(UNKNOWN)
DRAINED = Sight(YES, drained=True)
QUIET = Sight(YES, drained=True, quiet=True)


def played(policy: VipPolicy, *script: tuple[float, Sight]) -> list[VipState]:
    states = []
    for now, sight in script:
        policy.judge(sight, now)
        states.append(policy.state)
    return states


def new(state: VipState = HELD, timing: Timing = TIMING) -> VipPolicy:
    return VipPolicy(timing, 0.0, state)


@pytest.mark.parametrize(
    ("start", "script", "states"),
    [
        (HELD, [(0, FIT), (1.9, FIT), (2, FIT)], [HELD, HELD, ANNOUNCED]),
        (HELD, [(0, FIT), (1, UNFIT), (2, FIT), (3.9, FIT), (4, FIT)], [HELD] * 4 + [ANNOUNCED]),
        (HELD, [(0, UNTOLD), (100, UNTOLD)], [HELD, HELD]),
        (HELD, [(0, DRAINED)], [WITHDRAWN]),
        (ANNOUNCED, [(0, UNTOLD), (100, UNTOLD)], [ANNOUNCED, ANNOUNCED]),
        (ANNOUNCED, [(0, UNFIT), (0.9, UNFIT), (1, UNFIT)], [ANNOUNCED, ANNOUNCED, HELD]),
        (ANNOUNCED, [(0, UNFIT), (0.9, UNTOLD), (1, UNFIT)], [ANNOUNCED] * 3),
        (ANNOUNCED, [(0, DRAINED), (19, DRAINED), (20, DRAINED)], [DRAINING, DRAINING, WITHDRAWN]),
        (ANNOUNCED, [(0, DRAINED), (3, QUIET)], [DRAINING, WITHDRAWN]),
        (ANNOUNCED, [(0, DRAINED), (3, FIT)], [DRAINING, ANNOUNCED]),
        (ANNOUNCED, [(0, DRAINED), (3, UNFIT), (4, UNFIT)], [DRAINING, ANNOUNCED, HELD]),
        (DRAINING, [(0, Sight(NO, drained=True)), (1, Sight(NO, drained=True))], [DRAINING, WITHDRAWN]),
        (WITHDRAWN, [(0, DRAINED), (1, FIT), (1.1, FIT), (2, FIT)], [WITHDRAWN, HELD, HELD, ANNOUNCED]),
    ],
)
def test_moves(start: VipState, script: list[tuple[float, Sight]], states: list[VipState]) -> None:
    if start is WITHDRAWN:
        states = [WITHDRAWN, HELD, HELD, ANNOUNCED]  # it was fit all along
    assert played(new(start), *script) == states


def test_after_a_withdrawal_it_is_held_down() -> None:
    policy = new(ANNOUNCED)
    assert played(policy, (0, UNFIT), (1, UNFIT), (2, FIT), (10.9, FIT), (11, FIT)) == [
        ANNOUNCED, HELD, HELD, HELD, ANNOUNCED,
    ]  # fmt: skip


def test_a_drain_taken_back_is_not_held_down() -> None:
    policy = new(ANNOUNCED, Timing(rise=0, hold_down=100, half_life=0))
    assert played(policy, (0, QUIET), (1, QUIET), (2, FIT), (2, FIT)) == [
        DRAINING,
        WITHDRAWN,
        HELD,
        ANNOUNCED,
    ]


def flap(policy: VipPolicy, now: float) -> None:
    assert policy.judge(FIT, now)
    assert policy.judge(UNFIT, now)


def test_flaps_are_damped_until_their_count_has_decayed() -> None:
    policy = new(HELD, Timing(rise=0, hold_down=0, half_life=60))
    for now in (0.0, 1.0, 2.0):
        flap(policy, now)
    assert not policy.damped(2.0)  # 2.97, below three
    flap(policy, 3.0)
    assert policy.damped(3.0)
    assert not policy.judge(FIT, 3.0)
    free = policy.next_deadline(3.0)
    assert free == pytest.approx(3.0 + 60 * math.log2(3.93 / REUSE), abs=1)
    assert not policy.judge(FIT, free - 0.1)
    assert policy.judge(FIT, free + 0.001)
    assert policy.state is ANNOUNCED


def test_flaps_far_apart_are_not() -> None:
    policy = new(HELD, Timing(rise=0, hold_down=0, half_life=60))
    for count in range(20):
        flap(policy, count * 600.0)
    assert not policy.damped(20 * 600.0)


def test_damping_never_outlasts_two_half_lives() -> None:
    policy = new(HELD, Timing(rise=0, hold_down=0, half_life=60))
    for _ in range(4):
        flap(policy, 0.0) if not policy.damped(0.0) else None
    assert policy.damped(0.0)
    assert 60 * math.log2(MOST / REUSE) == 120
    policy.judge(FIT, 0.0)
    assert policy.next_deadline(0.0) <= 120


SIGHTS = st.builds(Sight, st.sampled_from(Standing), st.booleans(), st.booleans())
TIMES = st.floats(0, 30, allow_nan=False)


@given(st.sampled_from(VipState), st.lists(st.tuples(TIMES, SIGHTS), max_size=30))
def test_laws(start: VipState, script: list[tuple[float, Sight]]) -> None:
    policy, now = new(start, Timing(half_life=30)), 0.0
    for pause, sight in script:
        now += pause
        before = policy.state
        moved = policy.judge(sight, now)
        assert moved == (policy.state is not before)
        if policy.state is ANNOUNCED and before is HELD:
            assert sight.fit is YES
            assert not sight.drained
        if moved and before is ANNOUNCED and policy.state is HELD:
            assert sight.fit is NO
        if sight.fit is UNKNOWN and not sight.drained:
            assert policy.state is before or before in (DRAINING, WITHDRAWN)
        if sight.drained:
            assert policy.state is not ANNOUNCED


@given(st.lists(st.tuples(TIMES, SIGHTS), max_size=30))
def test_nothing_moves_before_the_deadline(script: list[tuple[float, Sight]]) -> None:
    """With the same sight again, so that a daemon may sleep until then."""
    policy, now = new(HELD, Timing(half_life=30)), 0.0
    for pause, sight in script:
        now += pause
        while policy.judge(sight, now):
            pass
        deadline = policy.next_deadline(now)
        if now < deadline < math.inf:
            assert not policy.judge(sight, now + (deadline - now) * 0.9)
            now += (deadline - now) * 0.9
