"""Starts supervisors for a test and stops them after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import structlog
from daemon_rig import Process, Rig, Start, config_of

from keepalive_py.checkers import REGISTRY
from keepalive_py.config.kinds import Script
from keepalive_py.daemon import probes, voice
from keepalive_py.daemon.state_directory import StateDirectory
from keepalive_py.daemon.supervisor import Supervisor
from keepalive_py.dataplane import MemoryDataplane
from keepalive_py.notify.notifier import Notifier
from keepalive_py.notify.security import account
from keepalive_py.probing import Engine


@pytest.fixture
async def start(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    monkeypatch.setattr(probes, "FIRST_CHECK", 1e6)
    rigs: list[Rig] = []

    async def started(text: str, dataplane: MemoryDataplane | None = None, state: str = "") -> Rig:
        dataplane = dataplane or MemoryDataplane()
        engine = Engine(registry=REGISTRY, trouble=voice.trouble)
        engine.attach(asyncio.get_running_loop())
        scripts: list[Script] = []

        def launch(script: Script, ended: Callable[[], None]) -> Process:
            scripts.append(script)
            asyncio.get_running_loop().call_soon(ended)
            return Process(ended)

        notifier = Notifier(launch, account, voice.warn, lambda: 0.0)
        supervisor = Supervisor(
            config_of(text),
            dataplane,
            engine,
            notifier,
            router_id="LVS1",
            reconcile_interval=0.0,
            state=StateDirectory(state),
        )
        rigs.append(Rig(supervisor, dataplane, logged, scripts))
        await supervisor.start()
        return rigs[-1]

    with structlog.testing.capture_logs() as captured:
        logged: list[dict[str, Any]] = captured  # type: ignore[assignment]
        yield started
        for rig in rigs:
            if not rig.supervisor.writer.closed:
                await rig.supervisor.stop(keep_table=True)
                await rig.supervisor.close()
