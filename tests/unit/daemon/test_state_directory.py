"""What is remembered, and what is done when it cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keepalive_py.cli.options import parse
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.state_directory import StateDirectory, state_directory


class Kept(StateDirectory):
    """One that notes its warnings."""

    def __init__(self, path: Path | str) -> None:
        self.said: list[str] = []
        super().__init__(str(path), self.said.append)


def test_what_was_written_is_read_again_and_is_ours_alone(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "a" / "b")
    old = os.umask(0o177)  # the daemon's own
    try:
        assert kept.write_json("history/1.json", {"a": [1]})
        assert kept.write("plain", b"\0x")
    finally:
        os.umask(old)
    again = Kept(tmp_path / "a" / "b")
    assert again.read_json("history/1.json") == {"a": [1]}
    assert again.read("plain") == b"\0x"
    assert (again.names(), again.names("history")) == (["history", "plain"], ["1.json"])
    assert (tmp_path / "a" / "b" / "plain").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a" / "b" / "history").stat().st_mode & 0o777 == 0o700
    again.remove("plain")
    again.remove("plain")
    assert again.read("plain") is None
    assert (kept.said, again.said) == ([], [])


def test_a_write_replaces_and_leaves_no_draft(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    (tmp_path / f".x.{os.getpid()}").write_text("cut off")
    assert kept.write("x", b"1")
    assert kept.write("x", b"2")
    assert os.listdir(tmp_path) == ["x"]
    assert kept.read("x") == b"2"


def test_without_a_directory_nothing_is_kept_or_said() -> None:
    kept = Kept("")
    assert not kept
    assert not kept.write_json("x", {})
    assert (kept.read("x"), kept.read_json("x"), kept.names(), kept.said) == (None, {}, [], [])


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_a_damaged_file_is_not_remembered(content: bytes, tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.write("x", content)
    assert kept.read_json("x") == kept.read_json("x") == {}
    assert kept.said == [f"{tmp_path}/x is damaged: nothing of it is remembered"]


def test_a_directory_that_cannot_be_used_is_one_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = Kept(tmp_path / "file" / "below")
    assert not kept.write("x", b"")
    assert not kept.write("y", b"")
    assert kept.read("x") is None
    (said,) = kept.said
    assert str(tmp_path / "file") in said


def test_a_directory_that_others_may_write_to_is_not_believed(tmp_path: Path) -> None:
    Kept(tmp_path).write("x", b"good")
    tmp_path.chmod(0o777)
    kept = Kept(tmp_path)
    assert kept.read("x") is None
    assert not kept.write("x", b"")
    assert "others may write to it" in kept.said[0]


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x"])
def test_names_do_not_lead_out(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leads out"):
        Kept(tmp_path).write(name, b"")


def test_the_command_line_before_systemd() -> None:
    asked = parse(["--state-directory", "/x"]).options
    assert state_directory(asked, {"STATE_DIRECTORY": "/y"}).path == "/x"
    assert state_directory(Options(), {"STATE_DIRECTORY": "/y:/z"}).path == "/y"
    assert state_directory(Options(), {}).path == ""
