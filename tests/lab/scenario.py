"""Scenarios for daemons: a configuration, scripted servers, and what happens to them.

Scenarios are tables in TOML files. `%NAME%` in a configuration stands for the macro NAME in
macros.toml beside them, `${DIR}` for a directory of the run's own, which holds

    notify WORDS    a script that notes that it was called so
    check NAME      a script that ends with the status that the scenario gave NAME

A step is a list of actions, done at once; then the stage waits until things have settled
and takes a record. The actions:

    start | reload | stop | kill        the daemon
    SERVER serve|refuse|deaf|hang|reset|slow [SECONDS]
    SERVER answers [/PATH] STATUS [BODY]
    SERVER raw [/PATH] TEXT             the whole response, with escapes as in Python
    CHECK exits STATUS | CHECK hangs    what a check script does from now on
    edit OLD -> NEW                     change every OLD in the configuration
    write FILE TEXT | move FILE TEXT    write into a file of ${DIR}, or put another in its place
    rm FILE
    remove config
    ip … | ipvsadm …                    run in the namespace
    any order                           what was noted in this step has no fixed order
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = """\
$DIR={directory}
global_defs {{
    script_user root
    lvs_notify_fifo ${{DIR}}/fifo
    {globals}
}}
"""


@dataclass(frozen=True)
class Scenario:
    """`servers`: name to `KIND ADDRESS:PORT`; they refuse until told to serve. `checks`:
    check script to the status it ends with. Things have settled when nothing has changed for
    `quiet` seconds and `rounds` rounds of probes of all `targets` different targets."""

    id: str
    about: str
    config: str
    steps: list[list[str]]
    servers: dict[str, str] = field(default_factory=dict)
    checks: dict[str, int] = field(default_factory=dict)
    globals: str = ""
    options: list[str] = field(default_factory=list)
    quiet: float = 1.5
    rounds: int = 3

    @property
    def targets(self) -> int:
        return len(self.servers) + len(self.checks)

    def text(self, directory: Path) -> str:
        return PREFIX.format(directory=directory, globals=self.globals.strip()) + self.config


def load(folder: Path) -> list[Scenario]:
    """Every scenario of the folder's files; ids are unique."""
    macros = tomllib.loads((folder / "macros.toml").read_text())
    found: dict[str, Scenario] = {}
    for path in sorted(folder.glob("*.toml")):
        for table in tomllib.loads(path.read_text()).get("scenario", []):
            one = Scenario(**{**table, "config": expand(table["config"], macros)})
            assert one.id not in found, f"{path}: {one.id} twice"
            found[one.id] = one
    return list(found.values())


def expand(config: str, macros: dict[str, str]) -> str:
    for name, text in macros.items():
        config = config.replace(f"%{name}%", text.strip())
    assert "%" not in config, f"unknown macro in {config}"
    return config
