"""Drains, disables and weights by operators: in the table, in time, over a reload and a restart."""

from __future__ import annotations

import asyncio
import time
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from daemon_rig import Rig, Start, config_of, virtual_server
from until import until

from keepalive_py.announcer.drains import Drains
from keepalive_py.control.faults import Fault
from keepalive_py.daemon import steering
from keepalive_py.daemon.controlled import Controlled
from keepalive_py.daemon.state_directory import StateDirectory
from keepalive_py.dataplane.port import Counters
from keepalive_py.net import Endpoint, parse_address

A, B = "10.1.0.1", "10.1.0.2"
VS = "TCP 10.0.0.1:80"
TWO = virtual_server(A, B)
BOTH_VIPS = TWO + virtual_server(A, B, address="10.0.0.2")
NOTHING = {"server": "", "service": "", "vip": "", "node": False}
ORDER = {**NOTHING, "action": "drain", "weight": None, "seconds": 0.0, "reason": "", "force": False}


def control(rig: Rig) -> Controlled:
    return Controlled(types.SimpleNamespace(supervisor=rig.supervisor, born=0.0, began=0.0))  # type: ignore[arg-type]


async def give(rig: Rig, action: str, server: str, **more: Any) -> dict[str, Any]:
    return await control(rig).give_order({**ORDER, "action": action, "server": server, **more}, "alice")


async def lift(rig: Rig, server: str, **more: Any) -> dict[str, Any]:
    return await control(rig).lift_order({**NOTHING, "server": server, **more}, "bob")


def kinds(rig: Rig) -> list[str]:
    return [entry.said["kind"] for entry in rig.supervisor.journal.ring]


async def test_a_drain_and_its_end(start: Start) -> None:
    rig = await start(TWO)
    found = await give(rig, "drain", A, reason="new disk")
    assert (found["in_table"], found["remembered"]) == (True, False)
    assert (await rig.table())[VS] == {f"{A}:80": 0, f"{B}:80": 1}
    assert rig.lines[-1] == f"alice wants {A} to be drained: new disk"
    await lift(rig, f"{A}")
    assert (await rig.table())[VS] == {f"{A}:80": 1, f"{B}:80": 1}
    assert kinds(rig)[-2:] == ["override_set", "override_lifted"]


async def test_disabled_and_weighed(start: Start) -> None:
    rig = await start(TWO)
    await give(rig, "disable", f"{A}:80")
    await give(rig, "weight", B, weight=7)
    assert (await rig.table())[VS] == {f"{B}:80": 7}


async def test_of_one_virtual_server_or_of_all(start: Start) -> None:
    rig = await start(BOTH_VIPS)
    await give(rig, "drain", A, service="10.0.0.2:80")
    assert await rig.table() == {
        VS: {f"{A}:80": 1, f"{B}:80": 1},
        "TCP 10.0.0.2:80": {f"{A}:80": 0, f"{B}:80": 1},
    }
    await give(rig, "weight", A, weight=5)
    found = await rig.table()
    assert (found[VS][f"{A}:80"], found["TCP 10.0.0.2:80"][f"{A}:80"]) == (5, 0)  # the narrower one counts


async def test_the_last_one_stays_unless_forced(start: Start) -> None:
    rig = await start(TWO)
    await give(rig, "drain", A)
    with pytest.raises(Fault, match=r"no server would be left .* \[10.0.0.1\]:tcp:80") as caught:
        await give(rig, "disable", B)
    assert (caught.value.status, caught.value.code) == (409, "would-empty")
    assert (await rig.table())[VS][f"{B}:80"] == 1
    await give(rig, "drain", B, force=True)
    assert (await rig.table())[VS] == {f"{A}:80": 0, f"{B}:80": 0}
    assert kinds(rig)[-1] == "pool_steered_empty"
    await lift(rig, B)
    assert kinds(rig)[-1] == "pool_steered_full"


async def test_an_empty_pool_is_said_when_checks_take_the_last_one(start: Start) -> None:
    rig = await start(TWO)
    await give(rig, "drain", A)
    await rig.fails(B)
    assert (await rig.table())[VS] == {f"{A}:80": 0}
    assert "pool_steered_empty" in kinds(rig)
    assert any("operators took all that are up" in line for line in rig.lines)


async def test_what_health_keeps_out_stays_out(start: Start) -> None:
    rig = await start(TWO)
    await rig.fails(A)
    await give(rig, "weight", A, weight=9)
    assert (await rig.table())[VS] == {f"{B}:80": 1}
    await rig.passes(A)
    assert (await rig.table())[VS][f"{A}:80"] == 9


async def test_inhibited_with_weight_0_gets_no_other_weight(start: Start) -> None:
    rig = await start(TWO.replace("TCP_CHECK", "inhibit_on_failure\n TCP_CHECK"))
    await rig.fails(A)
    await give(rig, "weight", A, weight=9)
    assert (await rig.table())[VS] == {f"{A}:80": 0, f"{B}:80": 1}


async def test_it_ends_in_time(start: Start) -> None:
    rig = await start(TWO)
    steering = rig.supervisor.steering
    await give(rig, "drain", A, seconds=3600.0)
    assert (await rig.table())[VS][f"{A}:80"] == 0
    steering.clock = lambda: time.time() + 3601
    steering.expire()
    await rig.supervisor.writer.settled()
    assert (await rig.table())[VS][f"{A}:80"] == 1
    assert kinds(rig)[-1] == "override_expired"


async def test_a_timer_ends_it(start: Start) -> None:
    rig = await start(TWO)
    journal = rig.supervisor.journal
    await give(rig, "drain", A, seconds=0.05)
    while kinds(rig)[-1] != "override_expired":
        await asyncio.wait_for(journal.news(journal.number), 30)


async def test_it_outlives_a_reload(start: Start) -> None:
    rig = await start(TWO)
    await give(rig, "drain", A)
    await rig.supervisor.reload(config_of(TWO.replace("lb_algo rr", "lb_algo wrr")))
    assert (await rig.table())[VS] == {f"{A}:80": 0, f"{B}:80": 1}


async def test_it_outlives_a_restart(start: Start, tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    rig = await start(TWO, state=state)
    assert (await give(rig, "drain", A, reason="disk", seconds=3600.0))["remembered"] is True
    await give(rig, "drain", "10.1.0.2", seconds=0.05, force=True)  # over before the next start
    await rig.supervisor.stop(keep_table=True)
    await asyncio.sleep(0.06)
    again = await start(TWO, dataplane=rig.dataplane, state=state)
    assert (await again.table())[VS] == {f"{A}:80": 0, f"{B}:80": 1}
    (override,) = again.supervisor.steering.overrides.by_key.values()
    assert (override.by, override.reason) == ("alice", "disk")


async def test_a_damaged_memory_is_no_memory(start: Start, tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    StateDirectory(state).write_json(
        "overrides.json", {"overrides": [3, {"action": "explode", "server": A}, {"server": A}]}
    )
    rig = await start(TWO, state=state)
    assert (await rig.table())[VS] == {f"{A}:80": 1, f"{B}:80": 1}


async def test_how_many_connections_are_left(start: Start) -> None:
    rig = await start(BOTH_VIPS)
    endpoint = Endpoint(parse_address(A), 80)
    for number, key in enumerate(await rig.dataplane.read(), 1):
        rig.dataplane.set_counters(key, Counters(active_connections=number), endpoint)
    await give(rig, "drain", A)
    found = (await control(rig).orders({"server": A, "service": ""}))["overrides"]
    assert [(each["servers"], each["active_connections"]) for each in found] == [(2, 3)]
    assert (await control(rig).orders({"server": B, "service": ""}))["overrides"] == []


@pytest.mark.parametrize(
    ("more", "status", "text"),
    [
        ({"server": "10.9.9.9"}, 404, "there is no real server `10.9.9.9`"),
        ({"server": A, "service": "10.0.0.9"}, 404, "there is no virtual server `10.0.0.9`"),
        ({"server": ""}, 400, "give one of `server`, `vip` and `node`"),
        ({"server": A, "node": True}, 400, "and no more"),
        ({"server": "", "vip": "192.0.2.1", "service": "x"}, 400, "`service` belongs to a `server`"),
        ({"server": "", "vip": "192.0.2.1"}, 503, "there is no bgp_announcer"),
        ({"server": "", "node": True}, 503, "there is no bgp_announcer"),
        ({"server": "", "node": True, "action": "disable"}, 400, "is for a server"),
        ({"server": A, "action": "weight"}, 400, "`weight` belongs to the action weight"),
        ({"server": A, "weight": 3}, 400, "`weight` belongs to the action weight"),
    ],
)
async def test_orders_that_cannot_be(start: Start, more: dict[str, Any], status: int, text: str) -> None:
    rig = await start(TWO)
    with pytest.raises(Fault) as caught:
        await control(rig).give_order({**ORDER, **more}, "alice")
    assert caught.value.status == status
    assert text in caught.value.message
    assert not rig.supervisor.steering.overrides.by_key


async def test_an_address_takes_back_what_was_wanted_of_its_ports(start: Start) -> None:
    rig = await start(BOTH_VIPS)
    await give(rig, "drain", f"{A}:80")
    await give(rig, "weight", A, weight=3, service="10.0.0.2")
    found = await lift(rig, A)
    assert [each["server"] for each in found["lifted"]] == [f"{A}:80"]
    found = await lift(rig, A, service="10.0.0.2:80")
    assert [each["service"] for each in found["lifted"]] == ["[10.0.0.2]:tcp:80"]


async def test_nothing_to_take_back(start: Start) -> None:
    rig = await start(TWO)
    with pytest.raises(Fault, match="there is no order about"):
        await lift(rig, A)


class Announced:
    """An announcer that has one address, with its real drains."""

    def __init__(self, directory: Path) -> None:
        self.drains = Drains(str(directory))
        self.woken = 0
        self.status = {"vips": {"192.0.2.1": {"state": "announced"}}}

    def wake(self) -> None:
        self.woken += 1


@pytest.fixture
async def announced(start: Start, tmp_path: Path) -> AsyncIterator[tuple[Rig, Announced]]:
    rig, work = await start(TWO), Announced(tmp_path / "announcer")
    rig.supervisor.announcing.work = work  # type: ignore[assignment]
    yield rig, work
    rig.supervisor.announcing.work = None


async def test_an_address_and_the_node_are_drained_by_the_announcer(announced: tuple[Rig, Announced]) -> None:
    rig, work = announced
    await give(rig, "drain", "", vip="192.0.2.1", reason="tests", seconds=60.0)
    await give(rig, "drain", "", node=True)
    work.drains.read()
    assert set(work.drains.current) == {"192.0.2.1", "all"}
    assert (work.drains.current["192.0.2.1"].by, work.drains.current["192.0.2.1"].reason) == (
        "alice",
        "tests",
    )
    assert work.woken == 2
    found = (await control(rig).orders({"server": "", "service": ""}))["addresses"]
    assert [(each["vip"], each["node"], each["states"]) for each in found] == [
        ("192.0.2.1", False, {"192.0.2.1": "announced"}),
        ("", True, {"192.0.2.1": "announced"}),
    ]
    await lift(rig, "", node=True)
    await lift(rig, "", vip="192.0.2.1")
    assert work.drains.current == {}
    assert kinds(rig)[-4:] == ["address_drained", "address_drained", "address_undrained", "address_undrained"]


@pytest.mark.parametrize("vip", ["192.0.2.9", "nonsense"])
async def test_an_address_that_is_not_announced(announced: tuple[Rig, Announced], vip: str) -> None:
    rig, work = announced
    with pytest.raises(Fault):
        await give(rig, "drain", "", vip=vip)
    with pytest.raises(Fault, match="is not drained"):
        await lift(rig, "", vip="192.0.2.1")
    assert work.woken == 0


async def test_what_could_not_be_written_down_is_said_and_written_later(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "RETRY", 0.01)
    state = StateDirectory(str(tmp_path))
    rig = await start(TWO, state=str(tmp_path))
    assert (await give(rig, "drain", A))["remembered"]
    with monkeypatch.context() as full:
        full.setattr(StateDirectory, "write_json", lambda *_: False)
        assert not (await lift(rig, A))["remembered"]
        await asyncio.sleep(0.05)
        assert sum("cannot be written down" in line for line in rig.lines) == 1
        assert state.read_json("overrides.json")["overrides"]
    await until(lambda: "What operators want is written down again" in rig.lines)
    assert not state.read_json("overrides.json")["overrides"]
