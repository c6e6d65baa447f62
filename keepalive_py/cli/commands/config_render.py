"""`keepalive-ctl config render`: text out of a template and values."""

from __future__ import annotations

import argparse
import os
import sys

from keepalive_py.cli.commands import Command
from keepalive_py.cli.given import SHIPPED, found
from keepalive_py.cli.report import show
from keepalive_py.daemon.loading import load
from keepalive_py.daemon.options import Options
from keepalive_py.sources.template import rendered


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-t", "--template", help="a file, or the name of one that --list shows")
    parser.add_argument("-v", "--values", help="YAML or JSON")
    parser.add_argument(
        "--node", default=os.uname().nodename, help="whose configuration it is (default: this node)"
    )
    parser.add_argument("--check", action="store_true", help="check the text as a configuration, too")
    parser.add_argument("--list", action="store_true", help="the templates that come with the program")


def run(given: argparse.Namespace) -> int:
    """0: the text is printed; 1: it cannot be made; else, with --check, that of `config check`."""
    if given.list:
        print("\n".join(str(path) for path in sorted(SHIPPED.iterdir())))
        return 0
    if given.template is None:
        print("keepalive-ctl: -t TEMPLATE is missing; --list shows those there are", file=sys.stderr)
        return 1
    template, values = found(given.template), given.values and found(given.values)
    made = rendered(template, values, given.node)
    if made.trouble is not None:
        show([made.trouble], sys.stderr)
        return 1
    print(made.text, end="")
    return checked(Options(template=template, values=values, config_id=given.node)) if given.check else 0


def checked(options: Options) -> int:
    ready = load(options)
    show(ready.diagnostics, sys.stderr)
    for remark in ready.remarks:
        print(remark, file=sys.stderr)
    return ready.exit_status_of_test


COMMAND = Command("config render", "a configuration out of a template and values", arguments, run)
