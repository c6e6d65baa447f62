"""`keepalived -t` of Debian and we end with the same status on the same files.

The files are the cases of `config_cases` and a sample of the corpus (with KEEPALIVE_WHOLE_CORPUS=1
all of it). Known differences are listed there, each with a reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from config_cases import CASES, HOST, MAIN, Case
from config_corpus import WHERE, Entry, entries

KEEPALIVED = shutil.which("keepalived") or ""
WHOLE = os.environ.get("KEEPALIVE_WHOLE_CORPUS") == "1"
ONE_IN = 7
SECONDS = 30

pytestmark = pytest.mark.skipif(not KEEPALIVED, reason="lacking: keepalived (tests/install-debian-packages)")


def is_2_2_7() -> bool:
    told = subprocess.run(
        [KEEPALIVED, "--version"], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return "v2.2.7" in told.stderr + told.stdout


def status_of(directory: Path) -> int:
    """What keepalived ends with; a signal as a shell shows it."""
    command = [KEEPALIVED, "-t", "-f", MAIN, "-i", "here"]
    ended = subprocess.run(command, cwd=directory, capture_output=True, timeout=SECONDS, check=False)
    return ended.returncode if ended.returncode >= 0 else 128 - ended.returncode


def agrees(status: int, listed: int, reason: str) -> bool:
    """Which signal a crash ends with, is chance."""
    return status == listed or (reason == "crash" and status > 128)


def lay_out(case: Case, directory: Path) -> None:
    for name, text in case.files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if case.text is not None:
        main = directory / MAIN
        main.write_bytes(case.text.encode() if isinstance(case.text, str) else case.text)
        main.chmod(0o755 if case.executable else 0o644)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case, tmp_path: Path) -> None:
    if not is_2_2_7():
        pytest.skip("the statuses are those of keepalived 2.2.7")
    lay_out(case, tmp_path)
    listed = case.status if case.theirs is None else case.theirs
    assert agrees(status_of(tmp_path), listed, case.reason)


@pytest.mark.parametrize("case", HOST, ids=str)
def test_what_the_host_has(case: Case, tmp_path: Path) -> None:
    lay_out(case, tmp_path)
    assert status_of(tmp_path) == case.status


def sampled(where: str) -> list[Entry]:
    """Every listed difference, and one in so many of the others."""
    found = [each for each in entries(where) if "eth0" not in each.text]
    return [each for each in found if WHOLE or each.reason or each.line % ONE_IN == 0]


@pytest.mark.parametrize("where", WHERE)
def test_corpus(where: str, tmp_path: Path) -> None:
    if not is_2_2_7():
        pytest.skip("the statuses are those of keepalived 2.2.7")
    wrong = []
    for entry in sampled(where):
        (tmp_path / MAIN).write_text(entry.text)
        status = status_of(tmp_path)
        if not agrees(status, entry.theirs, entry.reason):
            wrong.append(f"{entry}: keepalived ends with {status}, listed is {entry.theirs}")
    assert wrong == []
