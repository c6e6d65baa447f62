"""The wheel: nothing early, nothing later than a tick, nothing lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.probing.wheel import NOWHERE, Wheel

TICK = 0.01
TIMES = st.lists(st.floats(0, 100), max_size=50)


class Note:
    def __init__(self, when: float = 0.0) -> None:
        self.slot = NOWHERE
        self.when = when

    def expire(self, now: float) -> None: ...


def popped(wheel: Wheel, now: float) -> list[Note]:
    found = []
    while (entry := wheel.pop(now)) is not None:
        found.append(entry)
    return found


@given(TIMES)
def test_everything_comes_in_time_and_within_a_tick(times: list[float]) -> None:
    wheel = Wheel(TICK)
    for when in times:
        wheel.put(Note(when), when)
    came = 0
    while (due := wheel.next()) is not None:
        for note in popped(wheel, due):
            assert -1e-6 <= due - note.when <= TICK + 1e-6
            came += 1

    assert came == len(times)


@given(TIMES, st.floats(0, 100))
def test_what_comes_is_what_is_due(times: list[float], now: float) -> None:
    wheel = Wheel(TICK)
    for when in times:
        wheel.put(Note(when), when)

    early = [note.when for note in popped(wheel, now)]

    assert all(when <= now + 1e-6 for when in early)
    assert sum(when <= now - TICK for when in times) <= len(early)


def test_putting_again_moves() -> None:
    wheel, note = Wheel(TICK), Note()
    wheel.put(note, 1.0)
    wheel.put(note, 2.0)

    assert popped(wheel, 1.5) == []
    assert popped(wheel, 2.0) == [note]
    assert note.slot == NOWHERE


def test_what_was_taken_does_not_come() -> None:
    wheel, note = Wheel(TICK), Note()
    wheel.put(note, 1.0)
    wheel.take(note)
    wheel.take(note)

    assert wheel.next() is None
    assert popped(wheel, 5.0) == []
