"""A module that an address requires: proven where somebody proves it, else there."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepalive_py.announcer import evidence
from keepalive_py.announcer.evidence import modules
from keepalive_py.health.fitness import Standing


@pytest.fixture(autouse=True)
def present(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bce_ttm").mkdir()
    monkeypatch.setattr(evidence, "SYSTEM_MODULES", tmp_path)


@pytest.mark.parametrize("standing", list(Standing))
def test_what_was_proven_decides(standing: Standing) -> None:
    assert modules(["bce-ttm"], {"bce_ttm": standing}.get) == {"bce-ttm": standing}


def test_of_one_that_nobody_proves_its_presence_decides() -> None:
    assert modules(["bce-ttm"], {"toa": Standing.NO}.get) == {"bce-ttm": Standing.YES}
    assert modules(["bce-ttm"]) == {"bce-ttm": Standing.YES}
