"""A control socket in front of a host that is made up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from control_rig import FakeHost, Rig

from keepalive_py.control.listening import ControlSocket


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    warnings: list[str] = []
    mistakes: list[tuple[str, Exception]] = []
    host = FakeHost()
    control = ControlSocket(host, warnings.append, lambda where, error: mistakes.append((where, error)))
    control.open(str(tmp_path / "dir" / "control.sock"))
    yield Rig(control, host, warnings, mistakes)
    await control.close()
