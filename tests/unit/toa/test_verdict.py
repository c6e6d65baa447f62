"""What a handshake with the option proves."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from keepalive_py.health.fitness import Standing
from keepalive_py.net import Endpoint
from keepalive_py.toa.verdict import (
    Listener,
    Place,
    Result,
    Seen,
    Trial,
    Verdict,
    judge,
    standing,
    summary,
)

TOLD = Endpoint(ip_address("198.18.0.1"), 4711)
SENDER = Endpoint(ip_address("127.0.0.1"), 40000)
RIGHT, WRONG = Seen(TOLD, TOLD, TOLD), Seen(SENDER, SENDER, SENDER)
LATE = Seen(SENDER, SENDER, TOLD)


def trial(seen: Seen | None, place: Place = Place.ALL, trouble: str = "") -> Trial:
    return Trial("toa4", Listener.V4, place, TOLD, seen, trouble)


@pytest.mark.parametrize(
    ("seen", "loaded", "verdict", "words"),
    [
        (RIGHT, True, Verdict.WORKS, ""),
        (RIGHT, False, Verdict.WORKS, "something else than the module"),
        (WRONG, True, Verdict.BROKEN, "sent 198.18.0.1:4711; the application saw 127.0.0.1:40000"),
        (WRONG, False, Verdict.NOT_LOADED, "saw 127.0.0.1:40000"),
        (LATE, True, Verdict.BROKEN, "right only after the first data"),
        (Seen(SENDER, TOLD, TOLD), True, Verdict.BROKEN, "accept() gave 127.0.0.1:40000 and getpeername()"),
        (Seen(TOLD, TOLD, SENDER), True, Verdict.BROKEN, ""),
        (None, True, Verdict.UNTRIED, "no answer"),
    ],
)
def test_what_the_listener_saw_decides(seen: Seen | None, loaded: bool, verdict: Verdict, words: str) -> None:
    result = judge([trial(seen, trouble="no answer")], loaded=loaded)

    assert result.verdict is verdict
    assert words in result.detail


def test_single_segments_say_what_the_module_looks_at() -> None:
    trials = [trial(RIGHT), trial(WRONG, Place.SYN), trial(RIGHT, Place.ACK), trial(LATE, Place.DATA)]

    assert judge(trials, loaded=True).places == (Place.ACK,)


def results(*verdicts: Verdict, listener: Listener = Listener.V4) -> list[Result]:
    return [Result("toa4", listener, verdict) for verdict in verdicts]


@pytest.mark.parametrize(
    ("verdicts", "loaded", "stands", "word"),
    [
        ([Verdict.WORKS, Verdict.WORKS], True, Standing.YES, Verdict.WORKS),
        ([Verdict.WORKS, Verdict.BROKEN], True, Standing.NO, Verdict.BROKEN),
        ([Verdict.UNTRIED], True, Standing.UNKNOWN, Verdict.UNTRIED),
        ([Verdict.UNTRIED], False, Standing.NO, Verdict.UNTRIED),
        ([Verdict.NOT_LOADED], False, Standing.NO, Verdict.NOT_LOADED),
        ([], True, Standing.YES, Verdict.UNTRIED),
        ([], False, Standing.NO, Verdict.NOT_LOADED),
    ],
)
def test_all_layouts_must_work(
    verdicts: list[Verdict], loaded: bool, stands: Standing, word: Verdict
) -> None:
    assert standing(results(*verdicts), loaded=loaded) is stands
    assert summary(results(*verdicts), loaded=loaded) is word


def test_a_dual_stack_listener_is_shown_and_does_not_decide() -> None:
    both = results(Verdict.WORKS) + results(Verdict.BROKEN, listener=Listener.DUAL)

    assert standing(both, loaded=True) is Standing.YES
    assert summary(both, loaded=True) is Verdict.WORKS
