"""A word for each state that guards can put a server into."""

from __future__ import annotations

import time

import pytest

from keepalive_py.cli.describe import server_state, service_state, since, why

UP = {
    "alive": True,
    "held": False,
    "suppressed": False,
    "penalty": 0.0,
    "share": 100,
    "override": None,
    "pool_weight": 1,
    "effective_weight": 1,
    "configured_weight": 1,
    "since": 60.0,
    "checks": [],
}
FAILING = {
    "kind": "TCP_CHECK",
    "up": False,
    "last": {"result": "failed", "reason": "refused", "detail": "Connection refused"},
}
RISING = {**FAILING, "last": {"result": "passed", "detail": ""}, "successes": 1, "rise": 3}
DRAIN = {"action": "drain", "by": "root", "reason": "new kernel", "since": 0.0, "until": 0.0}


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, "up"),
        ({"alive": False, "pool_weight": None}, "down"),
        ({"alive": False, "held": True}, "held in"),
        ({"suppressed": True, "pool_weight": None}, "damped"),
        ({"share": 40}, "starting"),
        ({"override": {"action": "drain"}, "share": 40}, "drained"),
        ({"pool_weight": None}, "waiting"),
    ],
)
def test_the_state_of_a_server(more: dict[str, object], word: str) -> None:
    assert server_state({**UP, **more})[1] == word


def test_servers_held_in_are_told_of_their_service() -> None:
    servers = [UP, {**UP, "alive": False, "held": True}]
    assert service_state(service(1, servers)) == ("yellow", "up, 1 of 2 servers, 1 held in although down")


def service(held: int, servers: list[dict[str, object]]) -> dict[str, object]:
    return {"suspended": False, "quorum_up": True, "guards": {"held": held}, "real_servers": servers}


def test_a_service_whose_servers_operators_took_is_not_well() -> None:
    drained = {**UP, "override": DRAIN, "effective_weight": 0}
    assert service_state(service(0, [UP, drained])) == ("yellow", "up, 2 of 2 servers, 1 drained")
    gone = {**UP, "override": {**DRAIN, "action": "disable"}, "effective_weight": None}
    words = "nobody gets connections, 2 of 2 servers up, 1 disabled, 1 drained"
    assert service_state(service(0, [gone, drained])) == ("red", words)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, ""),
        ({"alive": False, "checks": [FAILING]}, "TCP_CHECK refused: Connection refused"),
        ({"alive": False, "checks": [{**FAILING, "last": None}]}, "TCP_CHECK not yet run"),
        ({"alive": False, "checks": [RISING]}, "TCP_CHECK passed 1 of 3 times in a row"),
        ({"effective_weight": 0}, "its checks want weight 0"),
        ({"effective_weight": 0, "configured_weight": 0}, ""),
        ({"suppressed": True, "penalty": 3.24}, "it flaps: penalty 3.2"),
        ({"override": DRAIN}, "by root: new kernel"),
        ({"pool_weight": None}, "the sorry server serves"),
        ({"share": 40}, "slow start, 40 %"),
    ],
)
def test_why_a_server_is_so(more: dict[str, object], words: str) -> None:
    assert why({**UP, **more}) == words


def test_since_when() -> None:
    """A server that was drained just now was up for long before."""
    assert since({**UP, "override": {**DRAIN, "since": time.time() - 5}}) == pytest.approx(5, abs=1)
    assert since({**UP, "alive": False, "override": DRAIN}) == 60.0
