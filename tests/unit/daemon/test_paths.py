"""File names as keepalived makes them."""

from __future__ import annotations

import pytest

from keepalive_py.config.model import GlobalDefs
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.paths import paths


def test_pid_files_without_any_setting() -> None:
    made = paths(Options(), GlobalDefs())
    assert (made.pid, made.checkers_pid) == ("/run/keepalived.pid", "/run/checkers.pid")


@pytest.mark.parametrize(
    ("settings", "pid"),
    [
        (GlobalDefs(use_pid_dir=True), "/run/keepalived/keepalived.pid"),
        (GlobalDefs(instance="a"), "/run/keepalived/keepalived_a.pid"),
        (GlobalDefs(net_namespace="ns1", instance="a"), "/run/keepalived/ns1/keepalived_a.pid"),
    ],
)
def test_pid_files_with_an_instance_or_a_namespace(settings: GlobalDefs, pid: str) -> None:
    assert paths(Options(), settings).pid == pid


def test_the_command_line_wins() -> None:
    options = Options(pid_file="/x/p", checkers_pid_file="/x/c", namespace="cli")
    made = paths(options, GlobalDefs(instance="a", net_namespace="file"))
    assert (made.pid, made.checkers_pid) == ("/x/p", "/x/c")
    assert made.reload_flag == "/run/keepalived/cli/keepalived.reload"


def test_dumps_go_to_tmpdir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    assert paths(Options(), GlobalDefs()).check_data == "/var/tmp/keepalived_check.data"
    assert paths(Options(state_dir="/s"), GlobalDefs()).parent_data == "/s/keepalived_parent.data"


def test_dumps_carry_the_instance_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    settings = GlobalDefs(instance="i", net_namespace="n", data_use_instance=True)
    assert paths(Options(), settings).check_data == "/tmp/keepalived_check.n_i.data"


def test_a_state_dump_file_gets_check_before_its_extension() -> None:
    assert paths(Options(), GlobalDefs(state_dump_file="/d/lb.txt")).check_data == "/d/lb_check.txt"
