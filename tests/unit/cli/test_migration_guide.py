"""docs/migration.md: its tables are those of the program, and what it promises is held by a test.
`python tests/unit/cli/test_migration_guide.py` writes the tables anew."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from lab.scenario import load

from keepalive_py.checkers import REGISTRY
from keepalive_py.cli.migration import SIGNALS, filled
from keepalive_py.config.build import language
from keepalive_py.control.metrics import FAMILIES
from keepalive_py.daemon.life import Life

TESTS = Path(__file__).parents[2]
PAGE = TESTS.parent / "docs" / "migration.md"


def test_the_tables_are_those_of_the_program() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page == filled(page, language(REGISTRY))
    assert "| `random_seed` of `global_defs` | keepalived does not use it either |" in page


def number_of(name: str) -> int:
    """Of `RTMIN+2`, `RTMAX-1` or a plain name."""
    word, sign, offset = re.fullmatch(r"([A-Z0-9]+?)(?:([+-])(\d+))?", name).groups()  # type: ignore[union-attr]
    return int(getattr(signal, f"SIG{word}")) + int(f"{sign or '+'}{offset or 0}")


def test_the_signals_are_those_that_are_taken() -> None:
    taken = Life.signal_handlers(MagicMock())

    assert {number_of(name): number for name, number, _, _ in SIGNALS} == {
        each: each for each in sorted(taken)
    }


def test_the_metrics_that_replace_snmp_exist() -> None:
    named = re.findall(r"`keepalive_(\w+)`", PAGE.read_text(encoding="utf-8"))

    assert len(named) >= 4
    assert set(named) <= FAMILIES.keys()


def held_by() -> list[tuple[str, str]]:
    """Each row of the last table, with each of the names that hold it."""
    table = PAGE.read_text(encoding="utf-8").partition("## What differs on purpose")[2]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    return [(row[0], name) for row in rows for name in re.findall(r"`([^`]+)`", row[-1])]


@pytest.fixture(scope="module")
def known() -> set[str]:
    defined = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
    names = {name for path in TESTS.rglob("test_*.py") for name in defined.findall(path.read_text())}
    return names | {one.id for one in load(TESTS / "differential" / "scenarios")}


@pytest.mark.parametrize(("subject", "name"), held_by())
def test_what_differs_is_held_by_a_test(subject: str, name: str, known: set[str]) -> None:
    assert name in known


def test_every_row_has_a_test() -> None:
    rows = PAGE.read_text(encoding="utf-8").partition("## What differs on purpose")[2].count("\n| ") - 1

    assert len({subject for subject, _ in held_by()}) == rows


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), language(REGISTRY)), encoding="utf-8")
