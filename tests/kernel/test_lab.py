"""`keepalive-ctl lab`: a cluster that stays up, and is gone whatever happens to its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lab.needs import without_nat_by_nftables
from lab.waiting import eventually

from keepalive_py.lab import holder

CTL = str(Path(sys.executable).parent / "keepalive-ctl")


def lab(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CTL, "lab", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


def strangers() -> list[str]:
    """Command lines of what belongs to a lab."""
    lines = (path.read_bytes().replace(b"\0", b" ").decode() for path in Path("/proc").glob("[0-9]*/cmdline"))
    return [line for line in lines if str(holder.HOME) in line]


def test_a_lab_stays_up_serves_and_is_taken_down() -> None:
    if without_nat_by_nftables():
        pytest.skip(without_nat_by_nftables())
    built = lab("up", "--nodes", "3")
    assert built.returncode == 0, built.stderr
    try:
        route = subprocess.check_output(
            ["ip", "netns", "exec", "lab-switch1", "ip", "route", "show", "192.0.2.10"], text=True
        )
        assert route.count("nexthop") == 3
        assert lab("up").returncode == 1  # there is one already
    finally:
        ended = lab("down")
    assert ended.returncode == 0, ended.stderr
    assert strangers() == []
    assert holder.leftovers() == []


def test_what_a_killed_lab_left_behind_is_removed() -> None:
    subprocess.run(["ip", "netns", "add", "lab-node1"], check=True)
    with subprocess.Popen(["ip", "netns", "exec", "lab-node1", "sleep", "1000"]) as left:
        eventually(lambda: _pids("lab-node1") == [left.pid], within=20, what="somebody lives in it")
        holder.HOME.mkdir()
        assert lab("down").returncode == 0
        assert left.wait(20) == -signal.SIGKILL
    assert holder.leftovers() == []
    assert not holder.HOME.exists()


def _pids(name: str) -> list[int]:
    return [int(pid) for pid in subprocess.check_output(["ip", "netns", "pids", name]).split()]


def test_without_its_programs_a_lab_says_what_is_lacking() -> None:
    bare = {**os.environ, "PATH": "/nowhere"}
    told = subprocess.run(
        [CTL, "lab", "run"], capture_output=True, text=True, check=False, env=bare, timeout=60
    )
    assert told.returncode == 1
    assert "bird (Debian package bird2)" in told.stderr
