"""Files that are replaced whole."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from keepalive_py.replacing import replace_file


def test_a_link_that_somebody_laid_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    trap = tmp_path / "dump"
    trap.symlink_to(victim)
    replace_file(str(trap), b"text")
    assert victim.read_text() == "precious"
    assert trap.read_text() == "text"
    assert not trap.is_symlink()
    assert len(list(tmp_path.iterdir())) == 2  # and no draft is left


@pytest.mark.parametrize("durable", [False, True])
def test_the_mode_is_as_asked_whatever_the_umask(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    before = os.umask(0o077)
    try:
        replace_file(str(path), b"new", mode=0o644, owner=(os.geteuid(), os.getegid()), durable=durable)
    finally:
        os.umask(before)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o7777 == 0o644


def test_a_draft_that_a_killed_writer_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / f".file.{threading.get_native_id()}").write_text("half of")
    replace_file(str(tmp_path / "file"), b"whole")
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"file": b"whole"}


def test_what_cannot_be_replaced_stays_and_leaves_no_draft(tmp_path: Path) -> None:
    place = tmp_path / "name"
    (place / "inside").mkdir(parents=True)  # rename(2) puts no file over it
    with pytest.raises(OSError, match="name"):
        replace_file(str(place), b"text")
    assert [each.name for each in tmp_path.iterdir()] == ["name"]


def test_readers_see_one_content_or_the_other_while_threads_replace_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [character * 100_000 for character in (b"a", b"b")]
    replace_file(str(path), contents[0])
    writers = [
        threading.Thread(target=lambda text=text: [replace_file(str(path), text) for _ in range(50)])
        for text in contents
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_bytes() in contents
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
