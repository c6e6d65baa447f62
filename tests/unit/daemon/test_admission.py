"""What a reload may take away, and whose services these are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from daemon_rig import config_of, virtual_server

from keepalive_py.config.build import SIDE_FILE
from keepalive_py.daemon.admission import blast_radius, unfit
from keepalive_py.daemon.loading import Ready, load
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
MISC = """
  MISC_CHECK {{
   misc_path {}
  }}
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


@pytest.fixture
def read(tmp_path: Path) -> Callable[[], Ready]:
    """The files of a small balancer, read as they are."""
    (tmp_path / "lb.conf").write_text(f"include web.conf\ninclude conf.d/*.conf\n{ONE}")
    (tmp_path / "web.conf").write_text(TWO)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/mail.conf").write_text(GROUP)
    (tmp_path / SIDE_FILE).write_text("reconcile {\n drift report\n}\n")
    return lambda: load(Options(config_file=str(tmp_path / "lb.conf")))


def emptied(path: Path) -> None:
    path.write_text("\n")


def turned_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("mishap", "name", "why"),
    [
        (Path.unlink, "web.conf", "{0}/lb.conf: Line 1) no such file: web.conf"),
        (turned_directory, "web.conf", "{0}/web.conf, which runs, is now: a directory"),
        (emptied, "web.conf", "{0}/web.conf is empty"),
        (emptied, "lb.conf", "{0}/lb.conf is empty"),
        (shutil.rmtree, "conf.d", "{0}/lb.conf: Line 2) no such file: conf.d/*.conf"),
        (turned_directory, "conf.d/mail.conf", "{0}/conf.d/mail.conf, which runs, is now: a directory"),
        (Path.unlink, SIDE_FILE, "{0}/keepalive_py.conf, which runs, is now: no such file"),
        (emptied, SIDE_FILE, "{0}/keepalive_py.conf is empty"),
    ],
)
def test_a_mishap_with_a_file_takes_nothing_away(
    mishap: Callable[[Path], None], name: str, why: str, read: Callable[[], Ready], tmp_path: Path
) -> None:
    """Where keepalived goes on without what such a file held."""
    before = read()
    assert unfit(Options(), before, before) == ""
    mishap(tmp_path / name)
    after = read()
    assert why.format(tmp_path) in unfit(Options(), before, after)
    assert unfit(Options(), after, after) in ("", "there is no configuration to run")


def test_a_file_that_says_nothing_on_purpose_may_follow(read: Callable[[], Ready], tmp_path: Path) -> None:
    before = read()
    (tmp_path / "web.conf").write_text("# nothing here\n")
    (tmp_path / "conf.d/mail.conf").unlink()  # no longer matched: it was taken away
    after = read()
    assert unfit(Options(), before, after) == ""
    assert after.config is not None
    assert len(after.config.virtual_servers) == 1


def test_a_group_that_is_not_there_is_a_new_mistake(read: Callable[[], Ready], tmp_path: Path) -> None:
    before = read()
    (tmp_path / "conf.d/mail.conf").write_text(GROUP.replace("server group web", "server group wbe"))
    assert "there is no virtual_server_group wbe" in unfit(Options(), before, read())


def test_a_check_is_not_lost_with_its_script(tmp_path: Path) -> None:
    script = tmp_path / "check.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    text = ONE.replace("real_server 192.0.2.1 80 {", f"real_server 192.0.2.1 80 {{\n{MISC.format(script)}")
    (tmp_path / "lb.conf").write_text(text)
    options = Options(config_file=str(tmp_path / "lb.conf"))
    before = load(options)
    script.unlink()
    after = load(options)
    assert (
        unfit(options, before, after)
        == f"a check would be lost: Disabling misc script '{script}' since not found/accessible"
    )
    assert unfit(options, after, after) == ""
