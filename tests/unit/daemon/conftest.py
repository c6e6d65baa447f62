"""Starts supervisors for a test and stops them after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from daemon_rig import Rig, Start

from keepalive_py.daemon import probes
from keepalive_py.daemon.options import Options
from keepalive_py.dataplane.memory import MemoryDataplane
from keepalive_py.testing.hosting import HostedLife, Stage, loaded


@pytest.fixture
async def start(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Start]:
    monkeypatch.setattr(probes, "FIRST_CHECK", 1e6)
    rigs: list[Rig] = []

    async def started(text: str, dataplane: MemoryDataplane | None = None, state: str = "") -> Rig:
        path = tmp_path_factory.mktemp("daemon") / "lb.conf"
        path.write_text(text)
        options = Options(config_file=str(path), reconcile_interval=0.0, state_directory=state)
        stage = Stage(path.parent, dataplane or MemoryDataplane())
        supervisor = await HostedLife(options, stage, loaded(options)).made()
        rigs.append(Rig(supervisor, stage.dataplane, logged, stage.scripts))
        await supervisor.start()
        return rigs[-1]

    with structlog.testing.capture_logs() as captured:
        logged: list[dict[str, Any]] = captured  # type: ignore[assignment]
        yield started
        for rig in rigs:
            if not rig.supervisor.writer.closed:
                await rig.supervisor.stop(keep_table=True)
                await rig.supervisor.close()
