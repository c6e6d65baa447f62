"""What a reload may take away, and whose services these are."""

from __future__ import annotations

from pathlib import Path

import pytest
from daemon_rig import config_of, virtual_server

from keepalive_py.daemon.admission import blast_radius
from keepalive_py.daemon.loading import Ready
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.ownership import keys_of, owned_before, remember_owned
from keepalive_py.daemon.removals import Removals, removals
from keepalive_py.daemon.state_directory import StateDirectory

ONE = virtual_server("192.0.2.1", "192.0.2.2")
TWO = virtual_server("192.0.2.3", "192.0.2.4", address="10.0.0.2")
GROUP = """
virtual_server_group web {
 10.1.0.1 80
 10.1.0.2 80
 fwmark 7
}
virtual_server group web {
 lb_algo rr
 lb_kind NAT
 protocol TCP
 real_server 192.0.2.9 80 {
 }
}
"""
MARKS = """
virtual_server fwmark 3 {
 ip_family inet6
 lb_algo rr
 lb_kind NAT
 real_server 2001:db8::1 80 {
 }
}
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (ONE + TWO, ONE + TWO, (0, 2, 0, 4)),
        (ONE + TWO, TWO, (1, 2, 2, 4)),
        (ONE, ONE + TWO, (0, 1, 0, 2)),
        (ONE, virtual_server("192.0.2.2", "192.0.2.7"), (0, 1, 1, 2)),
        (GROUP, GROUP.replace(" 10.1.0.2 80\n", ""), (1, 3, 0, 1)),
        (ONE, "", (1, 1, 2, 2)),
        ("", ONE, (0, 0, 0, 0)),
    ],
)
def test_what_would_go(old: str, new: str, expected: tuple[int, int, int, int]) -> None:
    assert removals(config_of(old), config_of(new)) == Removals(*expected)


@pytest.mark.parametrize(("limit", "held"), [(None, False), (49.9, True), (50.0, False), (100.0, False)])
def test_the_limit_may_be_reached_and_not_passed(limit: float | None, held: bool) -> None:
    before, after = Ready(config_of(ONE + TWO), ()), Ready(config_of(ONE), ())
    found = blast_radius(Options(max_removals=limit), before, after)
    assert (found is not None) is held


def test_services_of_ours_are_remembered(tmp_path: Path) -> None:
    directory = StateDirectory(str(tmp_path))
    assert owned_before(directory) == []
    keys = keys_of(config_of(ONE + GROUP + MARKS), config_of(ONE))
    assert [str(key) for key in keys] == [
        "TCP 10.0.0.1:80", "TCP 10.1.0.1:80", "TCP 10.1.0.2:80", "FWM 7", "FWM 3 IPv6",
    ]  # fmt: skip
    remember_owned(directory, keys)
    assert owned_before(directory) == keys
    directory.write_json("owned_services.json", {"services": [{"protocol": "TCP"}]})
    assert owned_before(directory) == []
