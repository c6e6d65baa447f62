"""Small JSON files that survive us: replaced whole, so that a reader never sees half of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from keepalive_py.replacing import replace_file


def write_json(path: Path, value: Any) -> None:
    """Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    replace_file(str(path), json.dumps(value, indent=1).encode() + b"\n", mode=0o644)


def read_json(path: Path) -> dict[str, Any]:
    """What is there; {} when there is no such file or nobody can read it as one. Raises
    OSError when it is there and must not be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
