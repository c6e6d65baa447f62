"""The contract of every dataplane, on the kernel's IPVS; and memory beside it on random steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from contract.dataplane_contract import Backend, DataplaneContract
from contract.values import endpoint, marked, service, virtual
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepalive_py.config.model import Forwarding, SchedulerFlag, Tunnel, TunnelType
from keepalive_py.dataplane import features
from keepalive_py.dataplane.features import Features, Present
from keepalive_py.dataplane.ipvs import IpvsDataplane
from keepalive_py.dataplane.memory import MemoryDataplane
from keepalive_py.plan.steps import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    EditDestination,
    EditService,
    Step,
)
from keepalive_py.plan.table import Destination


@pytest.fixture(scope="session")
def found() -> Features:
    return asyncio.run(features.probe())


class TestIpvs(DataplaneContract):
    @pytest.fixture
    async def backend(self, found: Features) -> AsyncIterator[Backend]:
        plane = IpvsDataplane()
        await plane.open()
        await plane.flush()
        schedulers = [name for name, finding in found.schedulers.items() if isinstance(finding, Present)]
        engines = [
            name for name, finding in found.persistence_engines.items() if isinstance(finding, Present)
        ]
        yield Backend(plane, schedulers, engines)
        await plane.flush()
        await plane.close()


# ---------------------------------------------------------------- memory is like the kernel

KEYS = [virtual(), virtual("2001:db8::1"), marked(1)]
ENDPOINTS = [endpoint("10.0.0.1"), endpoint("10.0.0.2", 0), endpoint("2001:db8:1::1"), endpoint("0.0.0.0")]

keys = st.sampled_from(KEYS)
services = st.builds(
    service,
    keys,
    scheduler=st.sampled_from(["rr", "wlc", "none", "nosuch"]),
    flags=st.sampled_from([SchedulerFlag.NONE, SchedulerFlag.ONE_PACKET, SchedulerFlag(0x38)]),
    persistence_timeout=st.sampled_from([0, 60]),
)
destinations = st.builds(
    Destination,
    st.sampled_from(ENDPOINTS),
    st.sampled_from([Forwarding.NAT, Forwarding.DR, Forwarding.TUN, Forwarding.TUN]),
    weight=st.sampled_from([0, 1, 5, -1]),
    u_threshold=st.sampled_from([0, 2]),
    l_threshold=st.sampled_from([0, 1]),
    tunnel=st.sampled_from([Tunnel(), Tunnel(TunnelType.GRE), Tunnel(TunnelType.GUE)]),
)
steps = (
    st.builds(AddService, services)
    | st.builds(EditService, services)
    | st.builds(DeleteService, keys)
    | st.builds(AddDestination, keys, destinations)
    | st.builds(EditDestination, keys, destinations)
    | st.builds(AddDestination, keys, destinations)
    | st.builds(DeleteDestination, keys, st.sampled_from(ENDPOINTS))
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(steps, max_size=25), min_size=1, max_size=3))
def test_memory_does_what_the_kernel_does(batches: list[list[Step]]) -> None:
    asyncio.run(compare(batches))


async def compare(batches: list[list[Step]]) -> None:
    kernel, memory = IpvsDataplane(), MemoryDataplane(engines=())
    await kernel.open()
    try:
        await kernel.flush()
        for batch in batches:
            ours, theirs = await memory.apply(batch), await kernel.apply(batch)
            assert [(r.step, r.errno) for r in ours] == [(r.step, r.errno) for r in theirs]
            assert await memory.read() == await kernel.read()
    finally:
        await kernel.flush()
        await kernel.close()
