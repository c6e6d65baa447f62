"""BFD_CHECK: what a session's state means."""

from __future__ import annotations

from keepalive_py.checkers.bfd import CHECKER, BfdCheck, bfd_verdict
from keepalive_py.health.verdict import Failed, Passed, Reason


def test_a_session_that_is_up_is_a_server_that_is_up() -> None:
    assert bfd_verdict(True, "up") == Passed("up")


def test_a_session_that_is_down_takes_the_server_out() -> None:
    why = "control detection time expired"
    assert bfd_verdict(False, why) == Failed(Reason.PEER_DOWN, why)


def test_the_session_is_what_the_check_is() -> None:
    assert BfdCheck(name="peer", alpha=True).identity() == BfdCheck(name="peer").identity()
    assert BfdCheck(name="peer").label() == "peer"


def test_it_is_not_probed() -> None:
    assert CHECKER.probe is None
