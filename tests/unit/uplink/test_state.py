from __future__ import annotations

from ipaddress import ip_address

import pytest

from keepalive_py.config.bgp_announcer import UplinkConfig
from keepalive_py.uplink.state import Heard, UplinkState, sight
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
    heard = None if sessions is None else {str(n): Heard(up) for n, up in enumerate(sessions)}
    neighbours = [] if neighbour is None else [Neighbour(SWITCH, 3, neighbour)]
    assert sight(CONFIG, links, neighbours, heard).state is state


def test_a_neighbour_on_another_link_is_nobody() -> None:
    assert sight(CONFIG, {"eth1": GOOD}, [Neighbour(SWITCH, 4, NUD_FAILED)], None).state is UP


def test_a_bond_is_shown_as_one_with_its_members() -> None:
    members = {"eth2": Link(4, "eth2", True, True, "", master=3), "eth3": Link(5, "eth3", True, False, "", 3)}
    seen = sight(CONFIG, {"eth1": GOOD, **members, "eth9": Link(6, "eth9", True, True, "")}, [], None)
    assert seen.kind == "bond"
    assert seen.members == {"eth2": True, "eth3": False}
    assert seen.state is UP  # it goes on with the other one
    assert seen.detail == "eth3 has no carrier"


def test_what_is_known_of_the_neighbour_and_of_bfd_is_shown() -> None:
    links = {"eth1": GOOD}
    assert sight(CONFIG, links, [], None).neighbour == "unknown"
    assert sight(CONFIG, links, [Neighbour(SWITCH, 3, 0x02)], None).neighbour == "reachable"
    assert sight(CONFIG, links, [Neighbour(SWITCH, 3, NUD_FAILED)], None).neighbour == "failed"
    seen = sight(CONFIG, links, [], {"switch1": Heard(False, "Active", "Down")})
    assert seen.state is DEGRADED
    assert seen.detail == "no BGP session is established, BFD is down"
