"""First probes are spread, and stay where they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.probing import phase


@given(st.one_of(st.text(), st.binary()), st.floats(0.001, 4000))
def test_a_phase_is_within_the_warmup_and_always_the_same(identity: str | bytes, warmup: float) -> None:
    assert 0.0 <= phase(identity, warmup) < warmup
    assert phase(identity, warmup) == phase(identity, warmup)


def test_no_warmup_means_at_once() -> None:
    assert phase("anything", 0.0) == 0.0


def test_phases_are_spread_evenly() -> None:
    tenths = [0] * 10
    for number in range(10_000):
        tenths[int(phase(f"10.0.{number >> 8}.{number & 255}:80", 10.0))] += 1

    assert all(850 < count < 1150 for count in tenths)


def test_text_that_is_not_utf8_has_a_phase() -> None:
    assert phase("\udcff", 1.0) != phase("\udcfe", 1.0)
