"""The configurations that are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keepalive_py.config.source import Documents, SourceProblem
from keepalive_py.daemon.generations import Generations, Pin
from keepalive_py.daemon.state_directory import StateDirectory
from keepalive_py.sources.capture import Capture, Recorder, Replay


def capture(text: str) -> Capture:
    return Capture("/lb.conf", None, {"/lb.conf": text.encode()})


@pytest.fixture
def kept(tmp_path: Path) -> Generations:
    return Generations(StateDirectory(str(tmp_path)), kept=3)


def test_a_replay_answers_as_the_source_did() -> None:
    source = Documents(
        {"/d/k": b"\xff\n", "/d/a.conf": "a", "/d/b.conf": "b"}, {"/d/x": SourceProblem.EXECUTABLE}
    )
    recorder = Recorder(source)
    asked = ["/d/k", "/d/x", "/d/none"]
    answers = [recorder.read(path) for path in asked]
    found = recorder.glob("/d/*.conf")
    again = Capture.from_json(json.loads(json.dumps(recorder.capture("/d/k", None).as_json())))
    replay = Replay(again)
    assert [replay.read(path) for path in asked] == answers
    assert replay.glob("/d/*.conf") == found == ["/d/a.conf", "/d/b.conf"]
    assert replay.read("/d/a.conf") is SourceProblem.MISSING
    assert replay.glob("/never") == []


def test_the_digest_tells_texts_and_names_apart() -> None:
    digests = {
        Capture("/a", None, {"/a": b"x"}).digest,
        Capture("/a", None, {"/b": b"x"}).digest,
        Capture("/a", None, {"/a": b"xx"}).digest,
        Capture("/a", None, {"/a": b"x", "/b": b""}).digest,
    }
    assert len(digests) == 4
    assert Capture("/z", None, {"/a": b"x"}).digest == Capture("/a", None, {"/a": b"x"}).digest


def test_the_newest_are_kept_and_the_same_is_not_kept_twice(kept: Generations) -> None:
    for number, text in enumerate(["a", "b", "b", "c", "d"]):
        kept.add(capture(text), float(number), 1, 2)
    assert [each.number for each in kept.all()] == [4, 3, 2]
    newest = kept.newest()
    assert newest is not None
    assert kept.texts(newest.number) == capture("d")
    assert kept.texts(1) is None
    assert len(kept.directory.names("config")) == 6


def test_numbers_are_not_used_again_by_another_run(kept: Generations) -> None:
    kept.add(capture("a"), 0.0, 1, 2)
    again = Generations(kept.directory).add(capture("b"), 1.0, 1, 2, "generation 1")
    assert again is not None
    assert (again.number, again.origin) == (2, "generation 1")


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"main": 1}', b"[]", b'{"main":"/lb.conf","extra":null}'])
def test_a_damaged_generation_is_not_one(kept: Generations, damage: bytes) -> None:
    kept.add(capture("a"), 0.0, 1, 2)
    kept.directory.write("config/1.files.json", damage)
    assert kept.texts(1) is None
    kept.directory.write("config/1.json", damage)
    assert kept.all() == []


def test_texts_that_somebody_changed_are_not_those_that_ran(kept: Generations) -> None:
    kept.add(capture("a"), 0.0, 1, 2)
    kept.directory.write_json("config/1.files.json", capture("b").as_json())
    assert kept.texts(1) is None


def test_a_pin(kept: Generations) -> None:
    assert kept.pin() is None
    kept.set_pin(Pin(3, "abc"))
    assert kept.pin() == Pin(3, "abc")
    kept.directory.write("config/pin.json", b'{"generation": "x"}')
    assert kept.pin() is None
    kept.set_pin(None)
    assert kept.pin() is None


def test_without_a_directory_nothing_is_kept() -> None:
    nowhere = Generations(StateDirectory(""))
    assert nowhere.add(capture("a"), 0.0, 1, 2) is None
    assert (nowhere.all(), nowhere.pin(), nowhere.texts(1)) == ([], None, None)
