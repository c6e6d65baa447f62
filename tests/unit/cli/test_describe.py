"""A word for each state that guards can put a server into."""

from __future__ import annotations

import pytest

from keepalive_py.cli.describe import server_state, service_state

UP = {"alive": True, "held": False, "suppressed": False, "share": 100, "override": None, "pool_weight": 1}


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
    service = {"suspended": False, "quorum_up": True, "guards": {"held": 1}, "real_servers": servers}
    assert service_state(service) == ("yellow", "up, 1 of 2 servers, 1 held in although down")
