"""Pid files: the lock decides, the pid only informs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keepalive_py.daemon.pidfile import AlreadyRunning, PidFile

HOLD = """
import sys
from keepalive_py.daemon.pidfile import PidFile
held = PidFile(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_the_pid_and_a_newline_are_written_with_mode_0644_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        pid_file = PidFile(str(tmp_path / "run" / "x.pid"))
    finally:
        os.umask(before)
    pid_file.write(123456)
    pid_file.write(42)
    assert Path(pid_file.path).read_text() == "42\n"
    assert os.stat(pid_file.path).st_mode & 0o777 == 0o644
    pid_file.remove()
    assert not Path(pid_file.path).exists()


def test_a_stale_file_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    path.write_text("1\n")
    PidFile(str(path)).remove()


def test_a_file_locked_by_another_process_means_already_running(tmp_path: Path) -> None:
    path = str(tmp_path / "x.pid")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning):
            PidFile(path)
    finally:
        holder.communicate(timeout=10)
    PidFile(path).remove()  # the lock went with its owner


def test_the_lock_survives_a_fork_and_the_end_of_the_parent(tmp_path: Path) -> None:
    pid_file = PidFile(str(tmp_path / "x.pid"))
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    os.close(pid_file.descriptor)  # what the end of the parent does
    with pytest.raises(AlreadyRunning):
        PidFile(pid_file.path)
    os.close(writing)
    os.waitpid(child, 0)


def test_a_file_that_was_replaced_by_someone_else_is_left_alone(tmp_path: Path) -> None:
    pid_file = PidFile(str(tmp_path / "x.pid"))
    os.unlink(pid_file.path)
    Path(pid_file.path).write_text("7\n")
    pid_file.remove()
    assert Path(pid_file.path).read_text() == "7\n"


def test_a_symlink_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "x.pid").symlink_to(tmp_path / "shadow")
    with pytest.raises(OSError, match="symbolic"):
        PidFile(str(tmp_path / "x.pid"))
