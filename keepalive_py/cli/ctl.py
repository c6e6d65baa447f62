"""`keepalive-ctl`: the operator's tool. Its subcommands are in `commands/`."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

from keepalive_py import __version__
from keepalive_py.cli.commands import (
    Command,
    announcer,
    check,
    config,
    config_fmt,
    config_render,
    config_tools,
    config_versions,
    ecmp,
    events,
    feed,
    genhash,
    lab,
    live,
    local_addresses,
    render,
    sessions,
    status,
    steer,
    table,
    toa,
    token,
)

COMMANDS: tuple[Command, ...] = (
    status.COMMAND,
    *live.COMMANDS,
    *check.COMMANDS,
    events.COMMAND,
    token.COMMAND,
    *steer.COMMANDS,
    config.CHECK,
    config_fmt.COMMAND,
    config.DIFF,
    config.PLAN,
    *config_versions.COMMANDS,
    config_render.COMMAND,
    config_tools.LINT,
    config_tools.IMPORT,
    table.COMMAND,
    sessions.COMMAND,
    local_addresses.COMMAND,
    genhash.COMMAND,
    *announcer.COMMANDS,
    feed.COMMAND,
    render.COMMAND,
    ecmp.COMMAND,
    *toa.COMMANDS,
    *lab.COMMANDS,
)
GROUPS = {
    "check": "health checks",
    "config": "look at configurations without running them",
    "announcer": "virtual addresses and their announcement by BGP",
    "toa": "kernel modules that give a real server the client's address",
    "lab": "a cluster to try things with, in network namespaces of this machine",
}


def main(words: Sequence[str] | None = None) -> int:
    parser = argument_parser()
    arguments = parser.parse_args(words)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except Exception as error:  # the boundary: an operator never sees a traceback
        print(f"keepalive-ctl: internal error: {type(error).__name__}: {error}", file=sys.stderr)
        if os.environ.get("KEEPALIVE_PY_DEBUG"):
            raise
        return 70


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="keepalive-ctl", description="Tools for an LVS node.")
    parser.add_argument("--version", action="version", version=f"keepalive-ctl {__version__}")
    top = parser.add_subparsers(metavar="COMMAND", required=True)
    groups = {
        name: top.add_parser(name, help=text).add_subparsers(metavar="COMMAND", required=True)
        for name, text in GROUPS.items()
    }
    for command in COMMANDS:
        group, _, word = command.name.rpartition(" ")
        place = groups[group] if group else top
        below = place.add_parser(word, help=command.help, description=command.help)
        command.arguments(below)
        below.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
