"""The plugin as others meet it: in a run of pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "keepalive_py.pytest_plugin", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*command, "-q", *arguments],
        cwd=directory, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_example_suite_passes() -> None:
    done = run(ROOT / "examples" / "testing")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_it_works_in_both_modes_of_pytest_asyncio(mode: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.asyncio\n"
        "async def test_it(mock_daemon):\n"
        "    lb = await mock_daemon('virtual_server 192.0.2.10 80 {\\n real_server 10.0.0.1 80 {\\n }\\n}',"
        " strict=False)\n"
        "    await lb.expect_table({'UDP 192.0.2.10:80': {'10.0.0.1:80': 1}})\n"
    )
    done = run(tmp_path, "-o", f"asyncio_mode={mode}")
    assert done.returncode == 0, done.stdout


def test_it_costs_nothing_where_it_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test_it():\n    assert 'keepalive_py.daemon' not in sys.modules\n"
    )
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout
