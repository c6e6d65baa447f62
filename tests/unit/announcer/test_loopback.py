"""Addresses on interfaces, on a kernel that is a set."""

from __future__ import annotations

import errno
from collections.abc import Collection, Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepalive_py.announcer.drains import ALL, Drain, Drains
from keepalive_py.announcer.loopback import Loopback, Position
from keepalive_py.announcer.ownership import Ownership
from keepalive_py.announcer.rtnetlink import Place, Request
from keepalive_py.testing import MemoryNetwork

NAMES = {Position.ANNOUNCE: "kavip", Position.DRAIN: "kadrain", Position.HOLD: "kahold"}
INDEX = {"lo": 1, "kavip": 2, "kadrain": 3, "kahold": 4, "old": 5}
A, B = ip_address("192.0.2.1"), ip_address("2001:db8::1")


class Kernel(MemoryNetwork):
    """Dies after `patience` requests."""

    def __init__(self, *, marks: bool = True) -> None:
        super().__init__(*(name for name in INDEX if name != "lo"), marks=marks)
        self.patience = 10**9

    def batch(self, requests: Sequence[Request], *, told: Collection[Place] = ()) -> dict[int, int]:
        found: dict[int, int] = {}
        for place, request in enumerate(requests):
            if self.requests >= self.patience:
                raise KeyboardInterrupt  # the process dies here
            found.update((place, number) for number in super().batch([request]).values())
        return found


@pytest.fixture(params=[True, False], ids=["marks", "no marks"])
def kernel(request: pytest.FixtureRequest) -> Kernel:
    return Kernel(marks=request.param)


def loopback(kernel: Kernel, directory: Path, names: dict[Position, str] = NAMES) -> Loopback:
    ownership = Ownership(str(directory))
    ownership.load()
    return Loopback(kernel, ownership, names)


def test_an_address_is_on_one_interface(kernel: Kernel, tmp_path: Path) -> None:
    ours = loopback(kernel, tmp_path)
    for position in (Position.HOLD, Position.ANNOUNCE, Position.DRAIN, Position.HOLD):
        outcome = ours.place({A: position, B: position})
        assert kernel.where(A) == kernel.where(B) == {NAMES[position]}
        assert (outcome.moved, outcome.repaired, outcome.refused) == ([A, B], [], [])


def test_nothing_is_done_twice(kernel: Kernel, tmp_path: Path) -> None:
    ours = loopback(kernel, tmp_path)
    ours.place({A: Position.ANNOUNCE})
    before = kernel.requests
    ours.place({A: Position.ANNOUNCE})
    assert kernel.requests == before


def test_what_somebody_else_took_away_comes_back_and_is_told(kernel: Kernel, tmp_path: Path) -> None:
    ours = loopback(kernel, tmp_path)
    ours.place({A: Position.ANNOUNCE})
    kernel.held.clear()
    outcome = ours.place({A: Position.ANNOUNCE})
    assert outcome.repaired == [A]
    assert kernel.where(A) == {"kavip"}


def test_where_it_is_not_to_be_repaired_it_is_told_and_left_until_it_is_to_move(
    kernel: Kernel, tmp_path: Path
) -> None:
    ours = loopback(kernel, tmp_path)
    ours.place({A: Position.ANNOUNCE}, repair=False)
    assert kernel.where(A) == {"kavip"}
    kernel.held.clear()
    for _ in range(2):
        outcome = ours.place({A: Position.ANNOUNCE}, repair=False)
        assert (outcome.left, outcome.repaired, outcome.moved) == ([A], [], [])
    assert kernel.where(A) == set()
    ours.place({A: Position.HOLD}, repair=False)
    assert kernel.where(A) == {"kahold"}


def test_an_address_that_is_not_wanted_any_more_goes(kernel: Kernel, tmp_path: Path) -> None:
    loopback(kernel, tmp_path).place({A: Position.ANNOUNCE, B: Position.HOLD})
    loopback(kernel, tmp_path).place({})  # another life of the daemon
    assert kernel.held == {}


def test_a_full_disk_stops_nobody_whose_kernel_remembers(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = loopback(kernel, tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("keepalive_py.announcer.ownership.write_json", full)
    if kernel.marks:
        assert "No space left" in ours.place({A: Position.ANNOUNCE}).refused[0]
        assert kernel.where(A) == {"kavip"}
    else:
        with pytest.raises(OSError, match="No space left"):
            ours.place({A: Position.ANNOUNCE})
        assert kernel.where(A) == set()


def test_a_foreign_address_is_never_touched(kernel: Kernel, tmp_path: Path) -> None:
    for name in ("lo", "kavip", "kahold"):
        kernel.add_foreign(A, name)
    ours = loopback(kernel, tmp_path)
    outcome = ours.place({A: Position.ANNOUNCE})
    assert outcome.foreign == [(A, "kavip")]
    ours.place({A: Position.HOLD})
    ours.place({A: Position.DRAIN})
    ours.place({})
    assert kernel.where(A) == {"lo", "kavip", "kahold"}


def test_with_other_interfaces_nothing_is_left_on_the_old_one(kernel: Kernel, tmp_path: Path) -> None:
    loopback(kernel, tmp_path, {**NAMES, Position.ANNOUNCE: "old"}).place({A: Position.ANNOUNCE})
    loopback(kernel, tmp_path).place({A: Position.ANNOUNCE})
    assert kernel.where(A) == {"kavip"}


def test_without_a_place_to_hold_it_a_held_address_is_nowhere(kernel: Kernel, tmp_path: Path) -> None:
    names = {Position.ANNOUNCE: "kavip", Position.DRAIN: "kadrain"}
    ours = loopback(kernel, tmp_path, names)
    ours.place({A: Position.ANNOUNCE})
    ours.place({A: Position.HOLD})
    assert kernel.where(A) == set()


def test_another_life_finds_what_is_announced(kernel: Kernel, tmp_path: Path) -> None:
    loopback(kernel, tmp_path).place({A: Position.ANNOUNCE, B: Position.DRAIN})
    assert loopback(kernel, tmp_path).found() == {A: Position.ANNOUNCE, B: Position.DRAIN}


def test_addresses_of_another_boot_are_not_ours(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loopback(kernel, tmp_path).place({A: Position.ANNOUNCE})
    kernel.held = {(A, INDEX["kavip"]): 0}
    monkeypatch.setattr("keepalive_py.announcer.ownership.boot_id", lambda: "another")
    loopback(kernel, tmp_path).place({})
    assert kernel.where(A) == {"kavip"}


WANTED = st.dictionaries(st.sampled_from([A, B]), st.sampled_from(list(NAMES)))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.booleans(), st.lists(WANTED, min_size=1, max_size=5), st.integers(0, 8))
def test_a_crash_at_any_point_leaks_nothing(
    tmp_path_factory: pytest.TempPathFactory, marks: bool, script: list[dict], patience: int
) -> None:
    directory = tmp_path_factory.mktemp("state")
    kernel = Kernel(marks=marks)
    kernel.patience = patience
    ours = loopback(kernel, directory)
    try:
        for wanted in script:
            ours.place(wanted)
    except KeyboardInterrupt:
        kernel.patience = 10**9
    kernel.patience = 10**9
    loopback(kernel, directory).place({})
    assert kernel.held == {}


def test_drains_are_read_when_they_change(tmp_path: Path) -> None:
    drains, tool = Drains(str(tmp_path)), Drains(str(tmp_path))
    drains.read()
    assert drains.of(A, 0.0) is None
    tool.write({str(A): Drain("me", "why", 0.0, 100.0)})
    drains.read()
    assert drains.of(A, 99.0) == Drain("me", "why", 0.0, 100.0)
    assert drains.of(A, 100.0) is None
    assert drains.of(B, 0.0) is None
    tool.write({ALL: Drain()})
    drains.read()
    assert drains.of(B, 1e12) is not None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"all": 3}', '{"all": {"until": "x"}}', "\0"])
def test_a_drain_file_that_makes_no_sense_drains_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "drains.json").write_text(text)
    drains = Drains(str(tmp_path))
    drains.read()
    assert drains.current == {}
