"""Mistakes of ours: said, and the daemon goes on."""

from __future__ import annotations

import errno
from operator import attrgetter
from typing import NoReturn

import pytest
from daemon_rig import Start, virtual_server

from keepalive_py.daemon import voice
from keepalive_py.errors import KernelRefused

A, B = "192.0.2.1", "192.0.2.2"


async def test_a_mistake_in_a_comparison_leaves_the_writer_at_work(start: Start) -> None:
    rig = await start(virtual_server(A, B))
    apply = rig.dataplane.apply

    async def mistaken(steps):  # type: ignore[no-untyped-def]
        raise ZeroDivisionError

    rig.dataplane.apply = mistaken  # type: ignore[method-assign]
    await rig.fails(A)
    assert any(line.startswith("internal error in the table: Traceback") for line in rig.lines)
    assert rig.supervisor.writing
    rig.dataplane.apply = apply  # type: ignore[method-assign]
    await rig.reads_again()
    assert await rig.table() == {"TCP 10.0.0.1:80": {f"{B}:80": 1}}


async def test_a_mistake_in_a_notification_leaves_the_writer_at_work(start: Start) -> None:
    rig = await start(virtual_server(A, B))

    def mistaken(events):  # type: ignore[no-untyped-def]
        raise ZeroDivisionError

    rig.supervisor.notifier.tell = mistaken  # type: ignore[method-assign]
    await rig.fails(A)
    await rig.fails(B)
    assert rig.supervisor.writing
    assert await rig.table() == {"TCP 10.0.0.1:80": {}}


class Injected(Exception):
    pass


def injected(*_: object, **__: object) -> NoReturn:
    raise Injected


LISTENERS = (
    "journal.add",
    "announcing.wake",
    "guards.watch",
    "remembering.touch",
    "notifier.scripts.run",
    "notifier.write",
)


@pytest.mark.parametrize("listener", LISTENERS)
async def test_whoever_hears_badly_of_a_failure_does_not_keep_it_from_the_table(
    listener: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = await start(virtual_server(A, B, more="quorum_down /bin/true"))
    whose, _, name = listener.rpartition(".")
    monkeypatch.setattr(attrgetter(whose)(rig.supervisor), name, injected)
    await rig.fails(A)
    assert await rig.table() == {"TCP 10.0.0.1:80": {f"{B}:80": 1}}
    assert rig.supervisor.writing


async def test_a_line_that_cannot_be_worded_does_not_keep_a_failure_from_the_table(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = await start(virtual_server(A, B))
    monkeypatch.setattr("keepalive_py.health.wording.log_line", injected)
    await rig.fails(A)
    assert await rig.table() == {"TCP 10.0.0.1:80": {f"{B}:80": 1}}
    assert rig.supervisor.journal.counts["server_down", "refused"] == 1


async def test_one_notification_that_goes_wrong_leaves_the_others(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = await start(virtual_server(A, B))
    told: list[str] = []

    def tell(events) -> None:  # type: ignore[no-untyped-def]
        told.extend(type(event).__name__ for event in events)
        if len(told) == 1:
            raise Injected

    monkeypatch.setattr(rig.supervisor.notifier, "tell", tell)
    await rig.fails(A, B)
    assert len(told) > 1


STEPS = (
    "announcing.leave",
    "announcing.close",
    "files.close",
    "guards.close",
    "remembering.close",
    "notifier.tell",
    "notifier.close",
    "modules.close",
)


@pytest.mark.parametrize("step", STEPS)
async def test_a_stop_that_goes_wrong_somewhere_is_a_whole_stop(
    step: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = await start(virtual_server(A, B))
    whose, _, name = step.rpartition(".")
    closed: list[str] = []
    monkeypatch.setattr(rig.supervisor.local_addresses, "close", lambda keep_table: closed.append("local"))
    monkeypatch.setattr(attrgetter(whose)(rig.supervisor), name, injected)
    await rig.supervisor.stop(keep_table=False)
    assert await rig.dataplane.read() == {}
    assert closed == ["local"]


def test_a_mistake_that_comes_again_is_counted_and_said_once(caught: list[str]) -> None:
    before = voice.mistakes["here"]
    for _ in range(3):
        with voice.apart("here"):
            injected()
    assert voice.mistakes["here"] == before + 3
    (line,) = caught
    assert line.startswith("internal error in here: Traceback")


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []

    class Log:
        def error(self, line: str, **_: object) -> None:
            lines.append(line)

    monkeypatch.setattr(voice, "log", Log())
    monkeypatch.setattr(voice, "_told", {})
    return lines


async def test_a_table_that_cannot_be_read_is_told_once_and_kept(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = await start(virtual_server(A, B))

    async def refused() -> NoReturn:
        raise KernelRefused("read IPVS", errno.EPERM)

    with monkeypatch.context() as patched:
        patched.setattr(rig.dataplane, "read", refused)
        await rig.reads_again()
        await rig.reads_again()
        state = rig.supervisor.table_state()
        assert (state["settled"], state["trouble"]) == (False, str(KernelRefused("read IPVS", errno.EPERM)))
    assert len([line for line in rig.lines if line.startswith("IPVS: read IPVS")]) == 1
    assert await rig.table() == {"TCP 10.0.0.1:80": {f"{A}:80": 1, f"{B}:80": 1}}
    await rig.reads_again()
    assert rig.lines.count("IPVS: the table can be read again") == 1
    assert rig.supervisor.table_state()["settled"]
