"""`keepalive-ctl config …`: look at configurations without running them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from keepalive_py import __version__
from keepalive_py.cli.commands import Command
from keepalive_py.cli.dry_run import dry_run
from keepalive_py.cli.given import found, take_in
from keepalive_py.cli.report import show
from keepalive_py.config.diagnostics import Diagnostic
from keepalive_py.config.diff import diff
from keepalive_py.config.formats import checkstyle, github, sarif
from keepalive_py.config.render import as_json
from keepalive_py.daemon.loading import load, read
from keepalive_py.daemon.options import DEFAULT_CONFIG, Options

FORMATS: Final[Mapping[str, Callable[[Iterable[Diagnostic]], str]]] = {
    "sarif": partial(sarif, version=__version__),
    "github": github,
    "checkstyle": checkstyle,
}


def reading_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--extra-file", help="side file with our own keywords")
    parser.add_argument("--config-id", help="read the lines that @ID selects (default: node name)")


def file_arguments(parser: argparse.ArgumentParser) -> None:
    standard = f"default {DEFAULT_CONFIG}; - is stdin"
    parser.add_argument("file", nargs="?", default=DEFAULT_CONFIG, help=standard)
    parser.add_argument("-t", "--template", help="made from this Jinja2 template in place of a file")
    parser.add_argument("-v", "--values", help="values for it, YAML or JSON")
    reading_arguments(parser)


def options_of(arguments: argparse.Namespace, file: str) -> Options:
    take_in(file)
    template, values = (getattr(arguments, name, None) for name in ("template", "values"))
    if values and not template:
        raise SystemExit("keepalive-ctl: -v needs -t")
    return Options(
        config_file=file,
        extra_file=arguments.extra_file,
        config_id=arguments.config_id,
        template=template and found(template),
        values=values and found(values),
    )


def check_arguments(parser: argparse.ArgumentParser) -> None:
    file_arguments(parser)
    format_arguments(parser)


def format_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="as JSON")
    parser.add_argument(
        "--format",
        choices=("text", "json", *FORMATS),
        default="text",
        help="sarif, github (workflow commands) and checkstyle are for code review tools",
    )


def check(arguments: argparse.Namespace) -> int:
    """The exit status of `keepalived -t`; but a file that is not there does not pass."""
    ready = load(options_of(arguments, arguments.file))
    status = ready.exit_status_of_test or (5 if ready.config is None else 0)
    if arguments.format in FORMATS:
        print(FORMATS[arguments.format](ready.diagnostics), end="")
        return status
    if arguments.format == "json":
        plain = [as_json(each) for each in ready.diagnostics]
        whole = {"exit_status": status, "diagnostics": plain, "files": ready.files, "remarks": ready.remarks}
        print(json.dumps(whole, indent=2))
        return status
    show(ready.diagnostics, sys.stdout)
    for remark in ready.remarks:
        print(remark)
    return status


def compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("old", help="- is stdin")
    parser.add_argument("new")
    reading_arguments(parser)


def compare(arguments: argparse.Namespace) -> int:
    """0: they mean the same; 1: they differ; 2: one of them cannot be run. As diff(1)."""
    configs = []
    for file in (arguments.old, arguments.new):
        loaded = read(options_of(arguments, file))
        show(loaded.diagnostics, sys.stderr)
        if loaded.config is None:
            return 2
        configs.append(loaded.config)
    changes = diff(*configs)
    for change in changes:
        print(change)
    return 1 if changes else 0


def plan_arguments(parser: argparse.ArgumentParser) -> None:
    file_arguments(parser)
    parser.add_argument("--dataplane", choices=("auto", "ipvs", "memory", "dpvs"), default="auto")


def plan(arguments: argparse.Namespace) -> int:
    return dry_run(replace(options_of(arguments, arguments.file), dataplane=arguments.dataplane))


CHECK = Command("config check", "check a configuration", check_arguments, check)
DIFF = Command("config diff", "what differs between two configurations", compare_arguments, compare)
PLAN = Command("config plan", "the steps from the table as it is to a configuration", plan_arguments, plan)
COMMANDS = (CHECK, DIFF, PLAN)
