"""`keepalive-ctl render`: the routing daemon's own configuration, from ours."""

from __future__ import annotations

import argparse
import sys

from keepalive_py.announcer.render import Switch, render
from keepalive_py.cli.commands import Command
from keepalive_py.cli.commands.config import options_of, reading_arguments
from keepalive_py.cli.report import show
from keepalive_py.daemon.announcing import block_of
from keepalive_py.daemon.loading import read
from keepalive_py.daemon.options import DEFAULT_CONFIG
from keepalive_py.errors import KeepaliveError
from keepalive_py.net import parse_address


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("daemon", choices=("bird", "frr", "gobgp", "exabgp"))
    parser.add_argument("-f", "--file", default=DEFAULT_CONFIG, help=f"default {DEFAULT_CONFIG}")
    parser.add_argument("--switch", metavar="PEER", help="for the switch that this peer is, not for the node")
    parser.add_argument(
        "--node", action="append", default=[], type=parse_address, help="with --switch: another node on it"
    )
    parser.add_argument(
        "--mate", action="append", default=[], type=parse_address,
        help="with --switch: the switch beside it, for when it has lost every node",
    )  # fmt: skip
    parser.add_argument("--router-id", type=parse_address, help="with --switch: its router id")
    parser.add_argument("--template", help="a Jinja2 template of your own")
    reading_arguments(parser)


def run(given: argparse.Namespace) -> int:
    loaded = read(options_of(given, given.file))
    show([each for each in loaded.diagnostics if each.code != "own-keyword"], sys.stderr)
    if loaded.config is None:
        return loaded.exit_status or 1
    block = block_of(loaded.config)
    if block is None:
        print(f"{given.file} has no bgp_announcer block", file=sys.stderr)
        return 1
    try:
        switch = switch_of(given) if given.switch else None
        print(render(loaded.config, block, given.daemon, switch, given.template), end="")
    except (KeepaliveError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def switch_of(given: argparse.Namespace) -> Switch:
    return Switch(given.switch, tuple(given.node), tuple(given.mate), given.router_id)


COMMAND = Command("render", "print a routing daemon's configuration", arguments, run)
