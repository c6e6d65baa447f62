"""Notify FIFOs on a real file system."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from keepalive_py.notify.fifo import Fifo, FifoRefused
from keepalive_py.notify.security import Account

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "fifo")


def reader(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK)


def test_lines_reach_a_reader(path: str, said: list[str]) -> None:
    fifo = Fifo(path, None, said.append)
    descriptor = reader(path)
    fifo.write("VS [10.0.0.1]:tcp:80 UP\n")
    fifo.write("RS [10.0.0.2]:tcp:80 [10.0.0.1]:tcp:80 DOWN\n")
    assert os.read(descriptor, 999) == (
        b"VS [10.0.0.1]:tcp:80 UP\nRS [10.0.0.2]:tcp:80 [10.0.0.1]:tcp:80 DOWN\n"
    )


def test_a_fifo_that_we_made_has_mode_0644_less_the_umask_and_goes_at_the_end(
    path: str, said: list[str]
) -> None:
    before = os.umask(0o177)
    try:
        fifo = Fifo(path, None, said.append)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    fifo.close()
    assert not os.path.exists(path)


def test_one_that_took_the_place_of_ours_stays(path: str, said: list[str]) -> None:
    fifo = Fifo(path, None, said.append)
    assert fifo.is_there()
    os.unlink(path)
    os.mkfifo(path, 0o600)
    assert not fifo.is_there()
    fifo.close()
    assert os.path.exists(path)


def test_a_fifo_that_was_there_stays(path: str, said: list[str]) -> None:
    os.mkfifo(path, 0o600)
    Fifo(path, None, said.append).close()
    assert os.path.exists(path)


@needs_root
def test_it_is_given_to_the_configured_user(path: str, said: list[str]) -> None:
    Fifo(path, Account(65534, 1), said.append)
    assert (os.stat(path).st_uid, os.stat(path).st_gid) == (65534, 1)


@needs_root
def test_a_fifo_of_somebody_else_is_not_used(path: str, said: list[str]) -> None:
    os.mkfifo(path, 0o600)
    os.chown(path, 1234, 1234)
    with pytest.raises(FifoRefused, match="somebody else"):
        Fifo(path, Account(65534, 1), said.append)
    Fifo(path, Account(1234, 1), said.append).close()
    assert os.path.exists(path)


def test_what_is_no_fifo_is_not_used_and_not_touched(path: str, said: list[str]) -> None:
    Path(path).write_text("precious")
    with pytest.raises(FifoRefused, match="not a FIFO"):
        Fifo(path, None, said.append)
    assert Path(path).read_text() == "precious"


def test_a_symlink_to_a_fifo_is_not_used(path: str, said: list[str]) -> None:
    os.mkfifo(path + ".real")
    os.symlink(path + ".real", path)
    with pytest.raises(FifoRefused):
        Fifo(path, None, said.append)


def test_a_directory_that_does_not_exist(said: list[str]) -> None:
    with pytest.raises(FifoRefused, match="Unable to create"):
        Fifo("/nonexistent/fifo", None, said.append)


def test_nobody_reads_costs_lines_and_no_time_and_is_said_once_each_time(path: str, said: list[str]) -> None:
    fifo = Fifo(path, None, said.append)
    line = "x" * 99 + "\n"
    for _ in range(3000):  # more than a pipe holds
        fifo.write(line)
    assert fifo.lost > 0
    assert len(said) == 1
    got = os.read(reader(path), 1 << 20)
    assert got == line.encode() * (len(got) // 100)  # never half a line
    fifo.write(line)
    assert not fifo.losing
