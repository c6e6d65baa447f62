"""The dataplane in memory as a mock: history, scripted refusals, counters, FULLNAT."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from contract.values import endpoint, service, virtual

from keepalive_py.config.model import Forwarding, LvsSyncDaemon
from keepalive_py.dataplane import memory
from keepalive_py.dataplane.memory import MemoryDataplane
from keepalive_py.dataplane.port import Counters
from keepalive_py.errors import KernelRefused
from keepalive_py.plan.steps import (
    AddDestination,
    AddLocalAddress,
    AddService,
    DeleteDestination,
    DeleteLocalAddress,
    DeleteService,
    EditDestination,
    Step,
)
from keepalive_py.plan.table import Destination

KEY = virtual()
RS = Destination(endpoint("10.0.0.1"))
OTHER = Destination(endpoint("10.0.0.2"))
LOCAL = endpoint("10.200.0.1").address


@pytest.fixture
async def plane() -> MemoryDataplane:
    made = MemoryDataplane()
    await made.open()
    await made.apply([AddService(service())])
    made.history.clear()
    return made


async def test_every_step_that_was_tried_is_in_the_history(plane: MemoryDataplane) -> None:
    steps: list[Step] = [AddDestination(KEY, RS), AddDestination(virtual(port=9), RS), DeleteService(KEY)]
    await plane.apply(steps)
    assert plane.history == steps


async def test_the_history_does_not_grow_for_ever(
    plane: MemoryDataplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "HISTORY", 10)
    for weight in range(50):
        await plane.apply([AddDestination(KEY, replace(RS, weight=weight))])
        assert len(plane.history) <= 20
    assert plane.history[-10:] == [
        AddDestination(KEY, replace(RS, weight=weight)) for weight in range(40, 50)
    ]


async def test_a_scripted_refusal_hits_the_next_step_once(plane: MemoryDataplane) -> None:
    plane.refuse_next(errno.ENOMEM)
    (refusal,) = await plane.apply([AddDestination(KEY, RS), AddDestination(KEY, OTHER)])
    assert (refusal.step, refusal.errno) == (AddDestination(KEY, RS), errno.ENOMEM)
    assert "memory" in refusal.hint
    assert list((await plane.read())[KEY].destinations) == [OTHER.endpoint]


async def test_a_scripted_refusal_matches_by_text(plane: MemoryDataplane) -> None:
    plane.refuse_next(errno.EBUSY, matching="10.0.0.2", times=2)
    steps = [AddDestination(KEY, RS), AddDestination(KEY, OTHER), DeleteDestination(KEY, OTHER.endpoint)]
    assert [refusal.errno for refusal in await plane.apply(steps)] == [errno.EBUSY, errno.EBUSY]
    assert await plane.apply([AddDestination(KEY, OTHER)]) == []


async def test_a_scripted_refusal_matches_by_function(plane: MemoryDataplane) -> None:
    plane.refuse_next(errno.EPERM, matching=lambda step: isinstance(step, EditDestination))
    await plane.apply([AddDestination(KEY, RS)])
    (refusal,) = await plane.apply([EditDestination(KEY, RS)])
    assert refusal.errno == errno.EPERM
    assert "CAP_NET_ADMIN" in refusal.hint


async def test_counters_are_settable_and_go_with_their_entry(plane: MemoryDataplane) -> None:
    await plane.apply([AddDestination(KEY, RS), AddDestination(KEY, OTHER)])
    plane.set_counters(KEY, Counters(connections=5))
    plane.set_counters(KEY, Counters(connections=3, active_connections=1), RS.endpoint)
    found = (await plane.counters())[KEY]
    assert found.service.connections == 5
    assert found.destinations == {
        RS.endpoint: Counters(connections=3, active_connections=1),
        OTHER.endpoint: Counters(),
    }
    await plane.apply([DeleteDestination(KEY, RS.endpoint), AddDestination(KEY, RS)])
    assert (await plane.counters())[KEY].destinations[RS.endpoint] == Counters()


async def test_counters_of_what_is_not_there_cannot_be_set(plane: MemoryDataplane) -> None:
    with pytest.raises(KeyError):
        plane.set_counters(virtual(port=9), Counters())
    with pytest.raises(KeyError):
        plane.set_counters(KEY, Counters(), RS.endpoint)


async def test_a_table_that_was_read_does_not_change_later(plane: MemoryDataplane) -> None:
    before = await plane.read()
    await plane.apply([AddDestination(KEY, RS)])
    assert before[KEY].destinations == {}


async def test_fullnat_and_local_addresses_are_kept(plane: MemoryDataplane) -> None:
    fullnat = Destination(RS.endpoint, Forwarding.FNAT)
    steps = [AddLocalAddress(KEY, LOCAL), AddLocalAddress(KEY, LOCAL + 1), AddDestination(KEY, fullnat)]
    assert await plane.apply(steps) == []
    entry = (await plane.read())[KEY]
    assert entry.local_addresses == (LOCAL, LOCAL + 1)
    assert entry.destinations == {RS.endpoint: fullnat}
    assert await plane.apply([DeleteLocalAddress(KEY, LOCAL)]) == []
    assert (await plane.read())[KEY].local_addresses == (LOCAL + 1,)


async def test_a_local_address_that_is_there_or_gone_already_is_no_error(plane: MemoryDataplane) -> None:
    add, delete = AddLocalAddress(KEY, LOCAL), DeleteLocalAddress(KEY, LOCAL)
    assert await plane.apply([add, add, delete, delete, DeleteLocalAddress(virtual(port=9), LOCAL)]) == []
    assert (await plane.read())[KEY].local_addresses == ()


async def test_a_local_address_needs_its_service_and_the_services_family(plane: MemoryDataplane) -> None:
    steps = [AddLocalAddress(virtual(port=9), LOCAL), AddLocalAddress(KEY, endpoint("2001:db8::1").address)]
    assert [refusal.errno for refusal in await plane.apply(steps)] == [errno.ESRCH, errno.EINVAL]


async def test_sync_daemons_and_mixed_families_exclude_each_other(plane: MemoryDataplane) -> None:
    mixed = AddDestination(KEY, Destination(endpoint("2001:db8::1"), Forwarding.TUN))
    daemon = LvsSyncDaemon("eth0", syncid=1)
    await plane.start_sync_daemon(daemon, master=True)
    assert await plane.sync_daemons() == [(daemon, True)]
    assert [refusal.errno for refusal in await plane.apply([mixed])] == [errno.EINVAL]
    await plane.stop_sync_daemon(daemon, master=True)
    assert await plane.apply([mixed]) == []
    with pytest.raises(KernelRefused):
        await plane.start_sync_daemon(daemon, master=False)
