"""The alert rules as Prometheus reads them, and whether they fire."""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parents[2] / "examples" / "monitoring"


def promtool(*words: str) -> str:
    done = subprocess.run(
        ["promtool", *words], cwd=HERE, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_are_well_formed() -> None:
    assert "19 rules found" in promtool("check", "rules", "alerts.yml")


def test_they_fire_when_they_should() -> None:
    promtool("test", "rules", "alerts_test.yml")
