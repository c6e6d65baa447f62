"""tests/kernel/boot: exit codes, streaming, arguments, time limit. Runs outside the kernel."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

KERNEL = Path(__file__).resolve().parents[1] / "kernel"
BOOT = KERNEL / "boot"
pytestmark = pytest.mark.skipif(
    os.environ.get("KEEPALIVE_WITHOUT_KERNEL") == "1", reason="KEEPALIVE_WITHOUT_KERNEL=1"
)


def boot(*command: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BOOT, *command],
        env=os.environ | environment,
        cwd=cwd,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_code_is_the_commands(code: int) -> None:
    assert boot("sh", "-c", f"exit {code}").returncode == code


def test_a_command_that_does_not_exist_is_127() -> None:
    assert boot("no-such-command").returncode == 127


def test_the_command_is_root_in_another_kernel_with_our_files() -> None:
    done = boot("sh", "-c", "id -u; uname -r; cat /proc/net/ip_vs | head -1; ls boot", cwd=KERNEL)
    uid, release, version, file = done.stdout.splitlines()
    assert (uid, file) == ("0", "boot")
    assert release != os.uname().release
    assert version.startswith("IP Virtual Server")


def test_arguments_directory_and_environment_arrive_unchanged(tmp_path: Path) -> None:
    where = tmp_path / "a 'dir' with $blanks"
    where.mkdir()
    done = boot("sh", "-c", 'printf "%s|" "$@" "$PWD" "$X"', "sh", "a  b", "$x", "'\"", cwd=where, X="1\n2")
    assert done.stdout == f"a  b|$x|'\"|{where}|1\n2|"


def test_errors_and_output_come_in_one_stream_while_the_command_runs() -> None:
    script = "echo one; sleep 1; echo two >&2; sleep 1; echo three"
    with subprocess.Popen([BOOT, "sh", "-c", script], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "one\n"
        # Streamed: the command is not over when its first line is here.
        assert running.poll() is None
        assert running.stdout.read() == "two\nthree\n"
    assert running.returncode == 0


def test_the_time_limit_stops_the_kernel() -> None:
    start = time.monotonic()
    done = boot("sleep", "100", LIMIT="2")
    assert done.returncode == 124
    assert "no exit code after 2 s" in done.stderr
    assert time.monotonic() - start < 60


def test_a_kernel_that_dies_is_125_and_shows_its_last_words(tmp_path: Path) -> None:
    fake = tmp_path / "kernel"
    fake.write_text("#!/bin/sh\necho Kernel panic\nexit 3\n")
    fake.chmod(0o755)
    done = boot("true", KEEPALIVE_KERNEL=str(fake))
    assert done.returncode == 125
    assert "Kernel panic" in done.stderr


def test_no_kernel_is_126_and_says_how_to_get_one() -> None:
    done = boot("true", KEEPALIVE_KERNEL="/nonexistent")
    assert done.returncode == 126
    assert "build-kernel" in done.stderr


def test_without_a_command_boot_explains_itself() -> None:
    done = boot()
    assert done.returncode == 126
    assert "boot COMMAND" in done.stderr


def test_nothing_is_left_behind() -> None:
    """boot_dir is where the two kernels exchange files."""
    exchange = Path(boot("sh", "-c", "echo $boot_dir").stdout.strip())
    assert exchange.name.startswith("boot.")
    assert not exchange.exists()
