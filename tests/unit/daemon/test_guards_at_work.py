"""Guards from end to end: configuration in, the table of a memory dataplane out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from daemon_rig import Rig, Start, config_of, virtual_server
from until import until

from keepalive_py.daemon import guard_clock
from keepalive_py.daemon.snapshot import Moment
from keepalive_py.daemon.snapshot import virtual_server as described

A, B, C, D = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"
SERVICE = "TCP 10.0.0.1:80"


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_clock, "TURN", 0.01)


async def weights(rig: Rig) -> dict[str, int]:
    return (await rig.table())[SERVICE]


async def test_a_mass_failure_leaves_half_of_the_pool_and_says_so(start: Start) -> None:
    rig = await start(virtual_server(A, B, C, D, more="depool_threshold 50%"))
    await rig.fails(A, B, C, D)
    assert await weights(rig) == {f"{C}:80": 1, f"{D}:80": 1}
    held = [entry for entry in rig.logged if entry.get("kind") == "server_held"]
    assert [entry["rs"] for entry in held] == [f"[{C}]:tcp:80", f"[{D}]:tcp:80"]
    assert rig.supervisor.events["ServerHeld"] == 2
    shown = described(rig.supervisor.services[0], Moment(rig.supervisor))
    assert (shown["guards"]["held"], shown["guards"]["needed"]) == (2, 2)
    assert [server["held"] for server in shown["real_servers"]] == [False, False, True, True]
    assert json.dumps(shown)
    await rig.passes(A, B)
    assert await weights(rig) == {f"{A}:80": 1, f"{B}:80": 1}


async def test_held_servers_stay_held_over_a_restart(start: Start, tmp_path: Path) -> None:
    text = virtual_server(A, B, more="depool_threshold 50%")
    rig = await start(text, state=str(tmp_path))
    await rig.passes(A, B)
    await rig.fails(A, B)
    assert await weights(rig) == {f"{B}:80": 1}
    await rig.supervisor.stop(keep_table=True)
    await rig.supervisor.close()
    rig.dataplane.history.clear()
    again = await start(text, rig.dataplane, state=str(tmp_path))
    assert rig.dataplane.history == []
    await again.passes(A)
    assert await weights(again) == {f"{A}:80": 1}


class Clock:
    """The time that a supervisor's guards see, moved by hand."""

    def __init__(self, rig: Rig) -> None:
        self.real, self.ahead = rig.supervisor.engine.clock, 0.0
        rig.supervisor.engine.clock = rig.supervisor.guards.now = self.now

    def now(self) -> float:
        return self.real() + self.ahead


async def test_a_slow_start_goes_on_by_itself_and_over_a_restart(start: Start, tmp_path: Path) -> None:
    text = virtual_server(A, B, more="lb_algo wrr\n weight 100\n slow_start 10000")
    rig = await start(text, state=str(tmp_path))
    clock = Clock(rig)
    await rig.fails(A)
    await rig.passes(A)
    assert await weights(rig) == {f"{A}:80": 10, f"{B}:80": 100}
    clock.ahead = 2500.0
    await until(lambda: rig.supervisor.services[0].servers[0].share == 30)
    await rig.supervisor.writer.settled()
    assert await weights(rig) == {f"{A}:80": 30, f"{B}:80": 100}
    await rig.supervisor.stop(keep_table=True)
    await rig.supervisor.close()
    rig.dataplane.history.clear()

    again = await start(text, rig.dataplane, state=str(tmp_path))
    server = again.supervisor.services[0].servers[0]
    assert (server.share, rig.dataplane.history) == (30, [])
    Clock(again).ahead = 10000.0
    await until(lambda: server.share == 100)
    await again.supervisor.writer.settled()
    assert await weights(again) == {f"{A}:80": 100, f"{B}:80": 100}
    assert any("is over: weight 100" in line for line in again.lines)
    assert again.supervisor.guards._timer is None


async def test_what_is_due_together_is_one_batch(start: Start) -> None:
    rig = await start(virtual_server(A, B, C, more="lb_algo wrr\n weight 100\n slow_start 10000"))
    clock = Clock(rig)
    await rig.fails(A, B)
    await rig.passes(A, B)
    batches: list[list[str]] = []
    apply = rig.dataplane.apply

    async def noted(steps):  # type: ignore[no-untyped-def]
        batches.append([f"{step.destination.endpoint} {step.destination.weight}" for step in steps])
        return await apply(steps)

    rig.dataplane.apply = noted  # type: ignore[method-assign]
    first, second, _ = rig.supervisor.services[0].servers
    for share in (20, 30, 40):
        clock.ahead += 1000.0
        await until(lambda share=share: first.share == second.share == share)  # type: ignore[misc]
        await rig.supervisor.writer.settled()
    assert batches == [[f"{A}:80 {weight}", f"{B}:80 {weight}"] for weight in (20, 30, 40)]


async def test_a_flapping_server_waits_outside(start: Start) -> None:
    rig = await start(virtual_server(A, B, more="damping_half_life 10000"))
    clock = Clock(rig)
    for _ in range(5):
        await rig.fails(A)
        await rig.passes(A)
    assert await weights(rig) == {f"{B}:80": 1}
    server = rig.supervisor.services[0].servers[0]
    assert (server.alive, server.suppressed) == (True, True)
    clock.ahead = 30000.0
    await until(lambda: not server.suppressed)
    await rig.supervisor.writer.settled()
    assert await weights(rig) == {f"{A}:80": 1, f"{B}:80": 1}


async def test_a_reload_ends_what_is_not_configured_any_more(start: Start) -> None:
    rig = await start(virtual_server(A, B, more="lb_algo wrr\n weight 100\n slow_start 1000"))
    await rig.fails(A)
    await rig.passes(A)
    assert (await weights(rig))[f"{A}:80"] == 10
    await rig.supervisor.reload(config_of(virtual_server(A, B, more="lb_algo wrr\n weight 100")))
    assert await weights(rig) == {f"{A}:80": 100, f"{B}:80": 100}
    assert rig.supervisor.guards.moving == set()
