"""A restart: what one supervisor leaves, the next one goes on with."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from daemon_rig import Rig, Start, config_of, virtual_server
from until import until

from keepalive_py.daemon import remembering

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
SERVICE = "TCP 10.0.0.1:80"


async def stopped(rig: Rig) -> None:
    await rig.supervisor.stop(keep_table=True)
    await rig.supervisor.close()
    rig.logged.clear()
    rig.dataplane.history.clear()


async def test_a_server_that_is_down_stays_out_and_nothing_is_written(start: Start, tmp_path: Path) -> None:
    text = virtual_server(A, B, C)
    rig = await start(text, state=str(tmp_path))
    await rig.passes(A, C)
    await rig.fails(B)
    await stopped(rig)

    again = await start(text, rig.dataplane, state=str(tmp_path))
    assert again.dataplane.history == []
    assert await again.table() == {SERVICE: {f"{A}:80": 1, f"{C}:80": 1}}
    assert "Health of 3 real servers is remembered, 1 are down" in again.lines
    await again.passes(A, C)
    assert again.dataplane.history == []
    await again.passes(B)
    assert f"{B}:80" in (await again.table())[SERVICE]


async def test_without_a_state_directory_all_begin_as_up(start: Start) -> None:
    text = virtual_server(A, B)
    rig = await start(text)
    await rig.fails(B)
    await stopped(rig)
    again = await start(text, rig.dataplane)
    assert await again.table() == {SERVICE: {f"{A}:80": 1, f"{B}:80": 1}}


async def test_statistics_are_counted_on(start: Start, tmp_path: Path) -> None:
    rig = await start(virtual_server(A, B), state=str(tmp_path))
    await rig.fails(B)
    await stopped(rig)
    again = await start(virtual_server(A, B), rig.dataplane, state=str(tmp_path))
    assert again.supervisor.events["ServerDown"] == 1


def damaged(change: Callable[[dict[str, object]], object]) -> Callable[[bytes], bytes]:
    def spoil(content: bytes) -> bytes:
        document = json.loads(content)
        change(document)
        return json.dumps(document).encode()

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda content: content[: len(content) // 2], "nothing is remembered: it is not JSON"),
        (lambda content: b"\xff\x00", "it is not JSON"),
        (lambda content: b"[]", "it is not of version 1"),
        (damaged(lambda found: found.update(version=99)), "it is not of version 1"),
        (damaged(lambda found: found.pop("services")), "something is missing"),
        (damaged(lambda found: found["services"].append(7)), "nothing is remembered"),  # type: ignore[attr-defined]
        (damaged(lambda found: found.update(written=time.time() - 9999)), "s old, more than 900 s"),
        (damaged(lambda found: found.update(written=time.time() + 9999)), "s old, more than 900 s"),
    ],
)  # fmt: skip
async def test_a_file_that_is_damaged_old_or_of_others_is_one_line_of_log(
    spoil: Callable[[bytes], bytes], said: str, start: Start, tmp_path: Path
) -> None:
    text = virtual_server(A, B)
    rig = await start(text, state=str(tmp_path))
    await rig.fails(B)
    await stopped(rig)
    file = tmp_path / remembering.FILE
    file.write_bytes(spoil(file.read_bytes()))

    again = await start(text, rig.dataplane, state=str(tmp_path))
    assert len([line for line in again.lines if remembering.FILE in line]) == 1
    assert [line for line in again.lines if said in line]
    assert await again.table() == {SERVICE: {f"{A}:80": 1, f"{B}:80": 1}}


async def test_a_change_is_on_the_disk_soon_and_many_are_one_write(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembering, "PAUSE", 0.05)
    rig = await start(virtual_server(A, B, C), state=str(tmp_path))
    kept = rig.supervisor.remembering
    await until(lambda: kept.writes > 0)
    for _ in range(20):
        await rig.fails(B)
        await rig.passes(B)
    await rig.fails(B)
    before, file = kept.writes, tmp_path / remembering.FILE
    await until(lambda: "DOWN" in file.read_text())
    assert kept.writes - before <= 2
    assert os.stat(file).st_mode & 0o777 == 0o600


async def test_a_reload_forgets_what_is_gone(start: Start, tmp_path: Path) -> None:
    rig = await start(virtual_server(A) + virtual_server(B, address="10.0.0.2"), state=str(tmp_path))
    await rig.supervisor.remembering.write()
    await rig.supervisor.reload(config_of(virtual_server(A)))
    await rig.supervisor.remembering.write()
    found = json.loads((tmp_path / remembering.FILE).read_bytes())
    assert [service["name"] for service in found["services"]] == ["[10.0.0.1]:tcp:80 TCP INET"]
