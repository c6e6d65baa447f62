"""Which known word a misspelt one was meant to be."""

from __future__ import annotations

import pytest

from keepalive_py.config.spelling import nearest

KEYWORDS = ["lvs_sched", "lvs_method", "lb_algo", "lb_kind", "weight", "quorum", "quorum_up", "retry", "path"]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("lvs_shed", "lvs_sched"),
        ("lvs_sch3d", "lvs_sched"),
        ("wieght", "weight"),
        ("LB_ALGO", None),
        ("quorm", "quorum"),
        ("quorum_dn", "quorum_up"),
        ("retyr", "retry"),
        ("pth", "path"),
        ("xy", None),
        ("", None),
        ("protocol", None),
    ],
)
def test_the_nearest_word_is_found_unless_it_is_far(wrong: str, meant: str | None) -> None:
    assert nearest(wrong, KEYWORDS) == meant


def test_the_nearest_wins_over_the_first() -> None:
    assert nearest("weigth", ["weights", "height", "weight"]) == "weight"


def test_the_answer_does_not_depend_on_the_order_of_the_candidates() -> None:
    assert nearest("cat", ["car", "bat", "hat"]) == nearest("cat", ["hat", "bat", "car"]) == "bat"


def test_nothing_is_near_to_nothing() -> None:
    assert nearest("weight", []) is None
