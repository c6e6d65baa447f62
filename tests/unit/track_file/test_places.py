"""Which directory entries decide what a path leads to."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepalive_py.track_file.places import places


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def test_a_plain_file_is_its_own_entry(here: Path) -> None:
    (here / "load").touch()
    assert places(f"{here}/load") == {(str(here), "load")}


def test_so_is_a_file_that_does_not_exist(here: Path) -> None:
    assert places(f"{here}/load") == {(str(here), "load")}


def test_of_missing_directories_the_first_one_matters(here: Path) -> None:
    assert places(f"{here}/a/b/load") == {(str(here), "a")}


def test_a_file_in_the_way_is_a_missing_directory(here: Path) -> None:
    (here / "a").touch()
    assert places(f"{here}/a/b/load") == {(str(here), "a")}


def test_every_link_on_the_way_matters(here: Path) -> None:
    # as Kubernetes mounts a ConfigMap
    (here / "..2026").mkdir()
    (here / "..2026" / "load").touch()
    (here / "..data").symlink_to("..2026")
    (here / "load").symlink_to("..data/load")
    assert places(f"{here}/load") == {(str(here), "load"), (str(here), "..data"), (f"{here}/..2026", "load")}


def test_absolute_and_upward_links_are_followed(here: Path) -> None:
    (here / "a").mkdir()
    (here / "b").mkdir()
    (here / "a" / "up").symlink_to("../b/load")
    (here / "far").symlink_to(f"{here}/a/up")
    assert places(f"{here}/far") == {(str(here), "far"), (f"{here}/a", "up"), (f"{here}/b", "load")}


def test_links_in_a_circle_end(here: Path) -> None:
    (here / "one").symlink_to("two")
    (here / "two").symlink_to("one")
    found = places(f"{here}/one")
    assert found == {(str(here), "one"), (str(here), "two")}
