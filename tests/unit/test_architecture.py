"""The house rules that a tool can hold: ranks of rooms, purity, no cycles."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "keepalive_py"
TESTS = Path(__file__).resolve().parent

RANKS = {
    "errors": 0, "net": 0, "turns": 0, "replacing": 0, "running": 0, "__init__": 0,
    "config": 1,
    "health": 2, "plan": 2,
    "wire": 2.5,  # the values of `plan` travel on the wire
    "checkers": 3, "rawtcp": 3,
    "probing": 4, "dataplane": 4, "announcer": 4, "uplink": 4, "toa": 4, "notify": 4, "sources": 4,
    "bfd": 4, "track_file": 4, "sessions": 4, "ecmp": 2,
    "control": 4.5,  # sees the daemon through a Protocol of its own
    "daemon": 5, "lab": 5.5, "testing": 6,
    "cli": 6, "__main__": 7, "pytest_plugin": 7,
}  # fmt: skip
PURE = {"net", "config", "wire", "health", "plan", "ecmp"}
FORBIDDEN_IN_PURE = {
    "asyncio", "os", "time", "subprocess", "logging", "select", "threading", "structlog",
    "pathlib", "io", "glob", "tempfile", "shutil", "datetime", "random", "secrets", "signal", "fcntl",
    "importlib", "aiohttp", "turns", "replacing", "running",
}  # fmt: skip
# `socket` is allowed for its constants and inet_pton; the names that do I/O are not.
SOCKET_IO = {"socket", "create_connection", "create_server", "getaddrinfo", "gethostname"}
CALLS_OF_IO = {"open", "input", "print", "__import__"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, [alias.name for alias in node.names]))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_lower_ranks_and_itself(path: Path) -> None:
    here = room(path)
    assert here in RANKS, f"{here} has no rank: add it to the table and to docs/architecture.md"
    for module, names in imports(path):
        if not module.startswith("keepalive_py"):
            continue
        parts = module.split(".")
        targets = [parts[1]] if len(parts) > 1 else names
        for target in targets:
            if target in {"__version__", here}:
                continue
            assert RANKS[target] < RANKS[here], f"{here} (rank {RANKS[here]}) imports {target}"


@pytest.mark.parametrize(
    "path", [p for p in MODULES if room(p) in PURE], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_a_pure_room_does_no_io_and_reads_no_clock(path: Path) -> None:
    for module, names in imports(path):
        top = module.removeprefix("keepalive_py.").split(".")[0]
        assert top not in FORBIDDEN_IN_PURE, f"{path.name} imports {module}"
        if top == "socket":
            assert not SOCKET_IO & set(names), f"{path.name} imports {names} of socket"
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Name(id=name)):
                assert name not in CALLS_OF_IO, f"{path.name}:{node.lineno} calls {name}"
            case ast.Attribute(value=ast.Name(id="socket"), attr=name):
                assert name not in SOCKET_IO, f"{path.name}:{node.lineno} uses socket.{name}"


def test_every_test_module_has_a_name_of_its_own() -> None:
    """They are no packages: pytest would take the second for the first."""
    names = Counter(
        path.name for path in TESTS.rglob("*.py") if path.name not in {"__init__.py", "conftest.py"}
    )
    assert [name for name, count in names.items() if count > 1] == []
