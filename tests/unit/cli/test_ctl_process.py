"""`keepalive-ctl` as a process: where its output goes, and who stops reading it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from keepalive_py.cli.commands import config_fmt

# Of the tests' own, what would change how Python writes.
QUIET = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONU", "PYTHONIO"))}


def run(*words: str, stdout: int | IO[bytes] | None, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "keepalive_py.cli.ctl", *words]
    return subprocess.run(
        command, env={**QUIET, **more}, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60
    )


@pytest.mark.parametrize("words", [("config", "keyword", "weight"), ("config", "schema"), ("--help",)])
def test_nobody_reads_on(words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = run(*words, stdout=pipe)
    assert (done.returncode, done.stderr) == (1, "")


def test_nobody_reads_what_the_daemon_can_do() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "keepalive_py", "--help"]
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(command, env=QUIET, stdout=pipe, stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("words", [("config", "keyword", "weight"), ("config", "schema")])
def test_a_full_disk(words: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        done = run(*words, stdout=full)
    assert (done.returncode, done.stderr) == (1, "keepalive-ctl: No space left on device\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_output_that_is_closed(closed: str, tmp_path: Path) -> None:
    file = tmp_path / "lb.conf"
    file.write_text("nonsense\n")
    for words, status in (("check", 5), ("export", 0)):
        command = f"exec {sys.executable} -m keepalive_py.cli.ctl config {words} {file} {closed}"
        done = subprocess.run(["sh", "-c", command], env=QUIET, capture_output=True, text=True, timeout=60)
        assert done.returncode == status
        assert "internal error" not in done.stdout + done.stderr


def test_a_reader_who_leaves_says_nothing_of_the_file() -> None:
    def gone(_file: str, _text: str, _after: str) -> int:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        config_fmt.formatted(os.devnull, gone)


def test_standard_input_and_pipes(tmp_path: Path) -> None:
    text = "virtual_server 10.0.0.1 80 {\n lb_algo rx\n real_server 10.0.0.2 80 {\n }\n}\n"
    command = [sys.executable, "-m", "keepalive_py.cli.ctl", "config"]
    done = subprocess.run([*command, "check", "-"], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 5
    assert done.stdout.startswith("-:2:10: error[unknown-choice]: `rx` is not one of rr, ")
    assert "    2 |  lb_algo rx\n      |          ^^ expected" in done.stdout

    file = tmp_path / "lb.conf"
    file.write_text(text.replace("rx", "rr"))
    words = [*command, "diff", "/dev/stdin", str(file)]
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stdout == "~ virtual_server 10.0.0.1 80 UDP: lb_algo wlc -> rr\n"


def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.conf"
    with open(name, "wb") as file:
        file.write(b"   a\n")
    command = [sys.executable, "-m", "keepalive_py.cli.ctl", "config", "fmt", "--check", name]
    done = subprocess.run(command, env={**QUIET, "PYTHONIOENCODING": "utf-8:strict"}, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, name + b"\n", b"")


def test_what_the_locale_cannot_say(tmp_path: Path) -> None:
    file = tmp_path / "lb.conf"
    file.write_text("gr\u00fc\u00dfe\n")
    done = run("config", "check", str(file), stdout=subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert done.returncode == 5
    assert "`gr\\xfc\\xdfe` is not a keyword" in done.stdout
