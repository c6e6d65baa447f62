"""From texts to a `Config`: reads the main file and the side file, completes what had to wait for
the end, and checks what concerns the whole. Pure.

The side file (`keepalive_py.conf` beside the main file, or `--extra-file`) has our own keywords,
so that keepalived can still read the main file. It may hold any block. A `virtual_server` there
with the head of one in the main file adds keywords of ours to that one, and nothing else.
Definitions (`$NAME=`) of the main file are not seen in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from keepalive_py.config import virtual_server
from keepalive_py.config.check import CheckConfig
from keepalive_py.config.diagnostics import (
    Diagnostic,
    Diagnostics,
    ExitClass,
    Severity,
    exit_status,
)
from keepalive_py.config.extensions import EXTRA_BLOCKS
from keepalive_py.config.forwarding import Forwarding
from keepalive_py.config.global_defs import TOP_LEVEL_GLOBALS, GlobalDefs
from keepalive_py.config.kinds import Block, Script, ScriptLine
from keepalive_py.config.language import Language
from keepalive_py.config.model import Config
from keepalive_py.config.parser import Parser
from keepalive_py.config.preprocess import LineReader, ReadOptions
from keepalive_py.config.real_server import RealServer
from keepalive_py.config.schema import EXTENSION, Draft, Keyword, constructed, finished, keywords_of
from keepalive_py.config.source import Source, SourceProblem, directory_of, join
from keepalive_py.config.virtual_server import Surroundings
from keepalive_py.config.vrrp import scripts_in

__all__ = ["CheckKind", "Loaded", "SIDE_FILE", "language", "load", "scripts_of"]

SIDE_FILE = "keepalive_py.conf"


class Written(Protocol):
    """Notes which line set what; see `provenance`."""

    def note(self, draft: Draft) -> None:
        """A virtual server as it was written."""


class CheckKind(Protocol):
    """What is needed of an entry of the registry of checkers."""

    @property
    def kind(self) -> str: ...

    @property
    def config(self) -> type[CheckConfig]: ...


Registry = Mapping[str, CheckKind]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of reading. `config` is None when there is nothing to run: the main file cannot
    be read, or keepalived would have ended. `watched` are all paths and patterns that matter."""

    config: Config | None
    diagnostics: tuple[Diagnostic, ...]
    files: tuple[str, ...]
    watched: tuple[str, ...]

    @property
    def exit_status(self) -> int:
        """What `keepalived -t` ends with."""
        return exit_status(self.diagnostics)


def load(
    path: str,
    source: Source,
    options: ReadOptions,
    registry: Registry,
    extra_file: str | None = None,
    written: Written | None = None,
) -> Loaded:
    """Reads and checks a configuration. Every problem is a diagnostic; nothing is raised.

    `extra_file` names the side file; without it, the one beside the main file is read if there
    is one. `written` is told where the settings of virtual servers stand.
    """
    diagnostics = Diagnostics()
    top = Draft(Config, "", None, diagnostics)
    reading = _Reading(source, options, language(registry), top)
    files = reading.read(path)
    side = join(directory_of(path), SIDE_FILE) if extra_file is None else extra_file
    if files and (extra_file or not isinstance(source.read(side), SourceProblem)):
        files += reading.read_side(side)
    if written is not None:
        for draft in top.values.get("virtual_servers", ()):
            written.note(draft)
    config = _config(top, tuple(files))
    found = tuple(diagnostics)
    fatal = any(each.exit_class is ExitClass.MISSING_PARAMETER for each in found)
    watched = tuple(dict.fromkeys([*reading.watched, side]))
    return Loaded(config if files and not fatal else None, found, tuple(files), watched)


def language(registry: Registry) -> Language:
    """Every keyword there is, with the checkers of `registry` and the extra blocks."""
    checks = [
        Keyword(
            each.kind,
            Block(each.config, deferred=True),
            doc="A check, see its own table.",
            repeated=True,
            into="checks",
        )
        for each in registry.values()
    ]
    extras = [
        Keyword(name, block, _first_line(block), repeated=True, since="ours", into=f"{EXTENSION}{name}")
        for name, block in EXTRA_BLOCKS.items()
    ]
    return Language(Config, {RealServer: checks, Config: extras})


def _first_line(kind: Block) -> str:
    return (kind.block.__doc__ or "").strip().split("\n")[0]


class _Reading:
    """The texts of one configuration, read into one draft."""

    def __init__(self, source: Source, options: ReadOptions, words: Language, top: Draft) -> None:
        self.source = source
        self.options = options
        self.words = words
        self.top = top
        self.watched: list[str] = []

    def read(self, path: str, own_file: bool = False) -> list[str]:
        """The files that were read."""
        reader = LineReader(path, self.source, self.options, self.top.diagnostics)
        self.top.context = reader.include_level
        Parser(self.words, reader, self.top.diagnostics, own_file).run(self.top)
        self.watched += reader.watched
        return reader.files

    def read_side(self, path: str) -> list[str]:
        main = self.top.values.pop("virtual_servers", [])
        files = self.read(path, own_file=True)
        for draft in self.top.values.pop("virtual_servers", []):
            same = [each for each in main if _is_meant(each, draft)]
            if same:
                _add_own_keywords(draft, same)
            else:
                main.append(draft)
        self.top.values["virtual_servers"] = main
        return files


def _is_meant(main: Draft, side: Draft) -> bool:
    """Same head, and same protocol if the side file says one (53 may be both TCP and UDP)."""
    protocol = side.values.get("protocol")
    return main.head == side.head and protocol in (None, main.values.get("protocol"))


def _add_own_keywords(side: Draft, servers: list[Draft]) -> None:
    own = {keyword.into for keyword in keywords_of(side.block) if keyword.since == "ours"}
    for name in side.written:
        if name in own:
            for server in servers:
                server.values[name] = side.values[name]
                server.written[name] = side.written[name]
        elif name == "forwarding" and side.values[name] is Forwarding.FNAT:
            for server in servers:
                _forward_by_fullnat(server)
        elif name != "protocol":
            side.report(
                "not-ours",
                f"{side.title} is in the main file: only keywords of our own can be added here",
                field=name,
            )


def _forward_by_fullnat(service: Draft) -> None:
    """FNAT for the service and for its real servers that do not say otherwise."""
    service.values["forwarding"] = Forwarding.FNAT
    for server in service.values.get("real_servers", ()):
        if "forwarding" not in server.written:
            server.values["forwarding"] = Forwarding.FNAT


def _config(top: Draft, files: tuple[str, ...]) -> Config:
    values = top.values
    global_defs = _global_defs(top)
    around = _surroundings(values, global_defs)
    drafts = values.pop("virtual_servers", [])[::-1]
    servers = []
    while drafts:  # each draft goes when its server is made, to be small
        server = virtual_server.complete(drafts.pop(), around)
        if server is not None:
            servers.append(server)
    values["virtual_servers"] = servers
    values["global_defs"] = global_defs
    values["files"] = files
    values["extensions"] = {
        name.removeprefix(EXTENSION): tuple(blocks)
        for name, blocks in values.items()
        if name.startswith(EXTENSION)
    }
    config: Config = constructed(top)
    _warn_of_scripts(top, config)
    return config


def _global_defs(top: Draft) -> GlobalDefs:
    draft = top.values.get("global_defs") or Draft(GlobalDefs, "global_defs", None, top.diagnostics)
    for keyword in TOP_LEVEL_GLOBALS:
        if keyword.into in top.values:
            draft.values[keyword.into] = top.values[keyword.into]
    result: GlobalDefs = finished(draft)
    return result


def _surroundings(values: Mapping[str, Any], global_defs: GlobalDefs) -> Surroundings:
    defaults: dict[str, Any] = {}
    for alert in (global_defs.smtp_alert, global_defs.smtp_alert_checker):
        if alert is not None:
            defaults["smtp_alert"] = alert
    return Surroundings(
        groups=values.get("groups", {}),
        local_groups=values.get("local_address_groups", {}),
        service_defaults=defaults,
        server_defaults={**defaults, "log_all_failures": global_defs.checker_log_all_failures},
    )


def _warn_of_scripts(top: Draft, config: Config) -> None:
    """Whether a script exists and is safe, is looked at elsewhere; keepalived does not count
    scripts that it cannot find."""
    scripts = list(scripts_of(config))
    if scripts and not config.global_defs.enable_script_security:
        top.diagnostics.add(
            Diagnostic(
                Severity.WARNING,
                "script-security",
                "scripts are executed but enable_script_security is not set",
                subject=scripts[0].where,
                notes=("without it, a script that others could change runs all the same",),
                exit_class=ExitClass.SECURITY,
            )
        )


def scripts_of(config: Config) -> Iterator[Script]:
    """Every command of the configuration, those of kept blocks included."""
    defs = config.global_defs
    yield from _present(defs.startup_script, defs.shutdown_script)
    if config.virtual_servers:
        yield from _present(*(fifo.script for fifo in (defs.notify_fifo, defs.lvs_notify_fifo) if fifo))
    for service in config.virtual_servers:
        yield from _present(service.quorum_up, service.quorum_down)
        for server in service.real_servers:
            yield from _present(server.notify_up, server.notify_down)
            for check in server.checks:
                yield from check_scripts(check)
    if any(block.keyword == "vrrp_instance" for block in config.kept_blocks):
        for block in config.kept_blocks:
            yield from scripts_in(block)


def _present(*scripts: Script | None) -> Iterator[Script]:
    return (script for script in scripts if script is not None)


def check_scripts(check: CheckConfig) -> Iterator[Script]:
    block: type = type(check)
    for name in script_fields(block):
        script = getattr(check, name)
        if script is not None:
            yield script


@cache
def script_fields(block: type) -> tuple[str, ...]:
    return tuple(keyword.into for keyword in keywords_of(block) if isinstance(keyword.kind, ScriptLine))
