"""The ring of a check's latest runs."""

from __future__ import annotations

import pytest

from keepalive_py.health.history import SIZE, History, Run
from keepalive_py.health.verdict import PASSED, Failed, Reason, Unknown


def test_it_has_nothing_at_first() -> None:
    assert History().last is None


def test_each_verdict_is_told_apart() -> None:
    history = History()
    history.add(PASSED, 1.0, 1.5)
    history.add(Failed(Reason.REFUSED), 2.0, 2.0)  # no time at all, and still failed
    history.add(Unknown(Reason.NO_DESCRIPTORS), 3.0, 3.0)
    assert list(history.runs()) == [Run(1.5, 0.5, True), Run(2.0, 0.0, False), Run(3.0, None, None)]


def test_the_oldest_goes_first() -> None:
    history = History()
    for number in range(SIZE + 3):
        history.add(PASSED, number, number + 0.25)
    runs = list(history.runs())
    assert [run.ended for run in runs] == [number + 0.25 for number in range(3, SIZE + 3)]
    assert history.last == runs[-1]
    assert runs[0].took == pytest.approx(0.25)
