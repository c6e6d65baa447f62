"""What becomes of a table that others change: repaired or told, and counted by reason."""

from __future__ import annotations

import json

import pytest
from daemon_rig import Rig, Start, config_of, virtual_server

from keepalive_py.dataplane import MemoryDataplane
from keepalive_py.net import Endpoint, Family, Protocol, parse_address
from keepalive_py.plan.steps import (
    AddDestination,
    AddLocalAddress,
    AddService,
    DeleteDestination,
    DeleteService,
    EditDestination,
    EditService,
    Step,
)
from keepalive_py.plan.table import Destination, Service, ServiceKey

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
SERVICE = "TCP 10.0.0.1:80"
WHOLE = {SERVICE: {f"{A}:80": 1, f"{B}:80": 1}}
REPORT = "reconcile {\n drift report\n}\n"
REMOVE = "reconcile {\n foreign_services remove\n}\n"


def endpoint(address: str) -> Endpoint:
    return Endpoint(parse_address(address), 80)


def key(address: str) -> ServiceKey:
    return ServiceKey(Family.INET, Protocol.TCP, endpoint(address))


OURS, FOREIGN = key("10.0.0.1"), key("10.9.9.9")
CHANGES: dict[str, Step] = {
    "service-missing": DeleteService(OURS),
    "service-changed": EditService(Service(OURS, "wlc")),
    "destination-missing": DeleteDestination(OURS, endpoint(A)),
    "destination-changed": EditDestination(OURS, Destination(endpoint(B), weight=9)),
    "destination-extra": AddDestination(OURS, Destination(endpoint(C))),
    "local-address-extra": AddLocalAddress(OURS, parse_address("10.5.5.5")),
}


async def changed(rig: Rig, *steps: Step) -> None:
    """Somebody else does this, and then the table is read."""
    assert await rig.dataplane.apply(list(steps)) == []
    rig.dataplane.history.clear()
    await rig.reads_again()


@pytest.mark.parametrize(("reason", "step"), CHANGES.items())
async def test_every_kind_of_change_is_told_counted_and_repaired(
    reason: str, step: Step, start: Start
) -> None:
    rig = await start(virtual_server(A, B))
    before = await rig.dataplane.read()
    await changed(rig, step)
    assert await rig.dataplane.read() == before
    drift = rig.supervisor.writer.drift
    assert dict(drift.counts) == {reason: 1}
    assert drift.repaired == 1
    assert [line for line in rig.lines if line.startswith(f"  {reason}: ")]
    assert rig.supervisor.events["Drift"] == 1
    await rig.reads_again()
    assert dict(drift.counts) == {reason: 1}
    assert rig.lines[-1] != "IPVS table is as it should be again"


@pytest.mark.parametrize(("reason", "step"), CHANGES.items())
async def test_where_it_is_only_to_be_told_nothing_is_written(reason: str, step: Step, start: Start) -> None:
    rig = await start(REPORT + virtual_server(A, B))
    await changed(rig, step)
    after = await rig.dataplane.read()
    for _ in range(3):
        await rig.reads_again()
    assert rig.dataplane.history == []
    assert await rig.dataplane.read() == after
    assert rig.supervisor.writer.drift.counts == {reason: 1}
    said = [line for line in rig.lines if "not repairing 1 difference(s)" in line]
    assert len(said) == 1
    shown = rig.supervisor.table_state()
    assert (shown["policy"], shown["repaired"]) == ("report", 0)
    assert [(each["reason"], each["service"]) for each in shown["differences"]] == [(reason, SERVICE)]  # type: ignore[attr-defined]
    assert json.dumps(shown)
    gone = reason == "service-missing"
    assert (OURS in rig.supervisor.table) is not gone


async def test_health_goes_on_where_others_changes_stay(start: Start) -> None:
    rig = await start(REPORT + virtual_server(A, B, C))
    await changed(rig, EditDestination(OURS, Destination(endpoint(B), weight=9)))
    await rig.fails(A)
    assert await rig.table() == {SERVICE: {f"{B}:80": 9, f"{C}:80": 1}}
    assert [str(step) for step in rig.dataplane.history] == [f"delete {A}:80 from {SERVICE}"]
    await changed(rig, EditDestination(OURS, Destination(endpoint(B), weight=1)))
    assert rig.lines[-1] == "IPVS table is as it should be again"


async def test_a_reload_repairs_what_was_only_told(start: Start) -> None:
    rig = await start(REPORT + virtual_server(A, B))
    await changed(rig, DeleteService(OURS))
    assert await rig.table() == {}
    await rig.supervisor.reload(config_of(REPORT + virtual_server(A, B)))
    assert await rig.table() == WHOLE
    assert rig.supervisor.table[OURS]


async def test_a_change_of_the_policy_holds_from_the_next_reading(start: Start) -> None:
    rig = await start(virtual_server(A, B))
    await rig.supervisor.reload(config_of(REPORT + virtual_server(A, B)))
    await changed(rig, DeleteService(OURS))
    assert await rig.table() == {}


async def test_foreign_services_are_left_unless_they_are_to_go(start: Start) -> None:
    kernel = MemoryDataplane()
    await kernel.apply([AddService(Service(FOREIGN, "wlc"))])
    rig = await start(virtual_server(A, B), kernel)
    await rig.reads_again()
    assert "TCP 10.9.9.9:80" in await rig.table()
    assert rig.supervisor.table_state()["foreign_services"] == ["TCP 10.9.9.9:80"]
    assert rig.supervisor.writer.drift.counts == {}
    await rig.supervisor.reload(config_of(REMOVE + virtual_server(A, B)))
    assert await rig.table() == WHOLE


async def test_foreign_services_go_at_a_start_and_whenever_they_come(start: Start) -> None:
    kernel = MemoryDataplane()
    await kernel.apply([AddService(Service(FOREIGN, "wlc"))])
    rig = await start(REMOVE + virtual_server(A, B), kernel)
    assert await rig.table() == WHOLE
    assert "Removing IPVS service TCP 10.9.9.9:80: it is not in the configuration" in rig.lines
    await changed(rig, AddService(Service(FOREIGN, "wlc")))
    assert await rig.table() == WHOLE
    assert rig.supervisor.writer.drift.counts == {"foreign-service": 2}


async def test_the_interval_of_the_block_counts(start: Start) -> None:
    rig = await start("reconcile {\n interval 7\n}\n" + virtual_server(A))
    assert rig.supervisor.writer.interval == 7.0
    await rig.supervisor.reload(config_of(virtual_server(A)))
    assert rig.supervisor.writer.interval == 0.0  # that of the command line
