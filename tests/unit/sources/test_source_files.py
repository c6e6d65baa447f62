"""Files that are none: whoever reads them must not wait, and not take all the memory there is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from keepalive_py.config.source import LARGEST, SourceProblem
from keepalive_py.control.tokens import BadTokens, read_tokens
from keepalive_py.daemon.reload_time import ReloadTimeFile
from keepalive_py.daemon.state_directory import StateDirectory
from keepalive_py.sources.files import FileSystem
from keepalive_py.sources.template import rendered


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path, 0o600)
    return path


def test_a_fifo_is_no_configuration(fifo: Path) -> None:
    assert FileSystem().read(str(fifo)) is SourceProblem.NOT_REGULAR


def test_a_file_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    assert FileSystem().read(str(path)) is SourceProblem.TOO_LARGE
    os.truncate(path, 2 << 40)
    began = time.monotonic()
    assert FileSystem().read(str(path)) is SourceProblem.TOO_LARGE
    assert time.monotonic() - began < 10


def test_values_of_a_template_are_a_file(fifo: Path, tmp_path: Path) -> None:
    template = tmp_path / "lb.conf.j2"
    template.write_text("text\n")
    trouble = rendered(str(template), str(fifo), "node").trouble
    assert trouble is not None
    assert "cannot be read: not a regular file" in trouble.summary


def test_tokens_are_a_file(fifo: Path) -> None:
    with pytest.raises(BadTokens, match="not a regular file"):
        read_tokens(str(fifo))


def test_a_time_to_reload_is_a_file(fifo: Path) -> None:
    file = ReloadTimeFile(lambda: None)
    file.configure(str(fifo), repeat=False)
    file.look()
    assert file.due is None


def test_what_is_remembered_is_a_file(fifo: Path) -> None:
    said: list[str] = []
    directory = StateDirectory(str(fifo.parent), said.append)
    assert directory.read(fifo.name) is None
    assert "not a regular file" in said[0]
