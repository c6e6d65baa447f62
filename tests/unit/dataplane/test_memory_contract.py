"""The contract of every dataplane, on the one in memory."""

from __future__ import annotations

import pytest
from contract.dataplane_contract import Backend, DataplaneContract

from keepalive_py.dataplane.memory import ENGINES, SCHEDULERS, MemoryDataplane


class TestMemory(DataplaneContract):
    @pytest.fixture
    async def backend(self) -> Backend:
        plane = MemoryDataplane()
        await plane.open()
        return Backend(plane, SCHEDULERS, ENGINES)


class TestMemoryOfAPoorKernel(DataplaneContract):
    @pytest.fixture
    async def backend(self) -> Backend:
        schedulers = SCHEDULERS - {"twos", "lblcr"}
        plane = MemoryDataplane(schedulers=schedulers, engines=())
        await plane.open()
        return Backend(plane, schedulers, ())
