"""What examples/ has is understood without a word of complaint."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepalive_py.checkers import REGISTRY
from keepalive_py.config.build import load
from keepalive_py.config.diagnostics import Severity
from keepalive_py.config.lint import lint
from keepalive_py.config.preprocess import ReadOptions
from keepalive_py.config.source import Documents

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("name", ["fullnat"])
def test_an_example_is_understood(name: str) -> None:
    text = (EXAMPLES / name / "keepalived.conf").read_text()

    loaded = load("/lb.conf", Documents({"/lb.conf": text}), ReadOptions(), REGISTRY)

    complaints = [each for each in loaded.diagnostics if each.severity is not Severity.NOTE]
    assert complaints == []
    assert lint(loaded.config) == []
    assert loaded.config is not None
    assert len(loaded.config.virtual_servers) == 3
