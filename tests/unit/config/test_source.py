"""Finding files: glob(7), brace alternatives, and why a path cannot be read."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.config.includes import alternatives, escaped
from keepalive_py.config.source import Documents, SourceProblem, directory_of, join
from keepalive_py.sources.files import FileSystem

TREE = Documents(
    {
        "/e/a.conf": "",
        "/e/b.conf": "",
        "/e/B.conf": "",
        "/e/.hidden.conf": "",
        "/e/[x].conf": "",
        "/e/sub/one.conf": "",
        "/e/sub/two.conf": "",
        "/e/tub/one.conf": "",
        "local.conf": "",
    }
)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/e/a.conf", ["/e/a.conf"]),
        ("/e/missing.conf", []),
        ("/e/sub", ["/e/sub"]),
        ("/e/?.conf", ["/e/B.conf", "/e/a.conf", "/e/b.conf"]),
        ("/e/[ab].conf", ["/e/a.conf", "/e/b.conf"]),
        ("/e/[^ab].conf", ["/e/B.conf"]),
        ("/e/[!a-z].conf", ["/e/B.conf"]),
        ("/e/[]x].conf", []),
        ("/e/\\[x].conf", ["/e/[x].conf"]),
        ("/e/\\a.conf", ["/e/a.conf"]),
        ("/e/.*.conf", ["/e/.hidden.conf"]),
        ("/e/[", []),
        ("/e/[z-a].conf", []),
        ("/e/*/one.conf", ["/e/sub/one.conf", "/e/tub/one.conf"]),
        ("/e//sub/*.conf", ["/e/sub/one.conf", "/e/sub/two.conf"]),
        ("/nowhere/*", []),
        ("*.conf", ["local.conf"]),
        ("", []),
    ],
)
def test_a_pattern_matches_as_glob_does(pattern: str, found: list[str]) -> None:
    assert TREE.glob(pattern) == found


NAMES = st.text("ab.[]*?-!^", min_size=1, max_size=4).filter(lambda name: name not in {".", ".."})


@given(st.lists(NAMES, min_size=1, max_size=6), st.text("ab.[]*?-!", min_size=1, max_size=5))
def test_files_in_memory_match_as_real_files_do(tmp_path_factory, names: list[str], pattern: str) -> None:
    directory = tmp_path_factory.mktemp("glob")
    for name in names:
        (directory / name).write_text("")
    memory = Documents({f"{directory}/{name}": "" for name in names})

    asked = f"{glob.escape(str(directory))}/{pattern}"

    assert memory.glob(asked) == FileSystem().glob(asked) == sorted(glob.glob(asked))


@given(NAMES)
def test_an_escaped_path_matches_only_itself(name: str) -> None:
    assert Documents({f"/e/{name}": "", "/e/a": "", "/e/b": ""}).glob(escaped(f"/e/{name}")) == [f"/e/{name}"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("plain", ["plain"]),
        ("a{b,c}d", ["abd", "acd"]),
        ("{c,a}{1,2}", ["c1", "c2", "a1", "a2"]),
        ("{a,{b,c}}x", ["ax", "bx", "cx"]),
        ("{a}", ["a"]),
        ("x{}y", ["xy"]),
        ("x{,y}", ["x", "xy"]),
        ("{a,b", ["{a,b"]),
        ("a,b}", ["a,b}"]),
        ("", [""]),
    ],
)
def test_braces_stand_for_alternatives_in_the_order_written(pattern: str, names: list[str]) -> None:
    assert alternatives(pattern) == names


@pytest.mark.parametrize("pattern", ["{a,b}" * 20, "{" * 400, "{a," * 40 + "}" * 40])
def test_too_many_alternatives_are_refused_at_once(pattern: str) -> None:
    assert alternatives(pattern) is None


@pytest.mark.parametrize(
    ("path", "directory"), [("/e/k.conf", "/e"), ("/k.conf", "/"), ("k.conf", ""), ("sub/k.conf", "sub")]
)
def test_the_directory_of_a_path(path: str, directory: str) -> None:
    assert directory_of(path) == directory


@pytest.mark.parametrize(
    ("directory", "path", "joined"),
    [
        ("/e", "x", "/e/x"),
        ("/", "x", "/x"),
        ("", "x", "x"),
        ("/e", "/x", "/x"),
        ("/e", "", "/e"),
        ("sub", "../x", "sub/../x"),
    ],
)
def test_a_relative_path_starts_at_the_directory(directory: str, path: str, joined: str) -> None:
    assert join(directory, path) == joined


def test_documents_tell_why_there_is_no_text() -> None:
    source = Documents({"/e/a": "ü", "/e/b": b"\xff"}, {"/e/x": SourceProblem.EXECUTABLE})

    assert source.read("/e/a") == "ü".encode()
    assert source.read("/e/b") == b"\xff"
    assert source.read("/e/x") is SourceProblem.EXECUTABLE
    assert source.read("/e") is SourceProblem.DIRECTORY
    assert source.read("/e/c") is SourceProblem.MISSING


def test_the_file_system_tells_why_there_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"a\xff")
    (tmp_path / "program").write_text("")
    (tmp_path / "program").chmod(0o644 | 0o010)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    read = FileSystem().read

    assert read(str(tmp_path / "text")) == b"a\xff"
    assert read(str(tmp_path / "program")) is SourceProblem.EXECUTABLE
    assert read(str(tmp_path / "pipe")) is SourceProblem.NOT_REGULAR
    assert read(str(tmp_path)) is SourceProblem.DIRECTORY
    assert read(str(tmp_path / "nothing")) is SourceProblem.MISSING
    assert read(str(tmp_path / "loop")) is SourceProblem.UNREADABLE
    assert read(str(tmp_path / "text" / "below")) is SourceProblem.MISSING
    assert read("a\0b") is SourceProblem.UNREADABLE
    assert read("/dev/null") is SourceProblem.NOT_REGULAR


def test_the_file_system_is_found_as_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.conf")
    Path(name).write_text("x")

    assert FileSystem().glob(f"{tmp_path}/*.conf") == [name]
    assert FileSystem().read(name) == b"x"
