from __future__ import annotations

from ipaddress import ip_address

import pytest

from keepalive_py.config.bgp_announcer import UplinkConfig
from keepalive_py.uplink.state import UplinkState, sight
from keepalive_py.wire.rtnetlink import NUD_FAILED, Link, Neighbour

SWITCH = ip_address("10.0.0.1")
CONFIG = UplinkConfig(name="left", interface="eth1", neighbour=SWITCH)
GOOD = Link(3, "eth1", up=True, carrier=True, kind="bond")
UP, DEGRADED, DOWN = UplinkState


@pytest.mark.parametrize(
    ("link", "neighbour", "sessions", "state"),
    [
        (GOOD, None, None, UP),
        (GOOD, 0x02, [True], UP),
        (GOOD, None, [False, True], UP),
        (GOOD, None, [False], DEGRADED),
        (GOOD, None, [], UP),
        (GOOD, NUD_FAILED, [True], DOWN),
        (GOOD._replace(up=False), None, [True], DOWN),
        (GOOD._replace(carrier=False), None, [True], DOWN),
        (None, None, None, DOWN),
    ],
)
def test_what_makes_an_uplink(
    link: Link | None, neighbour: int | None, sessions: list[bool] | None, state: UplinkState
) -> None:
    links = {} if link is None else {link.name: link}
    neighbours = [] if neighbour is None else [Neighbour(SWITCH, 3, neighbour)]
    assert sight(CONFIG, links, neighbours, sessions).state is state


def test_a_neighbour_on_another_link_is_nobody() -> None:
    assert sight(CONFIG, {"eth1": GOOD}, [Neighbour(SWITCH, 4, NUD_FAILED)], None).state is UP


def test_a_bond_is_shown_as_one() -> None:
    assert sight(CONFIG, {"eth1": GOOD}, [], None).kind == "bond"
