"""`keepalive-ctl lab …`: a cluster in network namespaces of this machine, and what happens to it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from keepalive_py.cli.commands import Command
from keepalive_py.errors import KeepaliveError
from keepalive_py.lab import holder
from keepalive_py.lab.needs import lacking

KINDS = ("bird", "frr")
UP = """\
client                                       lab-client
switch1, switch2, with ECMP                  lab-switch1, lab-switch2
{nodes:<45}{names}
real servers 10.2.0.101, 10.2.0.102          lab-rs1, lab-rs2

Try:
  ip netns exec lab-switch1 ip route show 192.0.2.10
  ip netns exec lab-node1 ipvsadm -Ln
  keepalive-ctl announcer status --state-directory {home}/node1/state
  keepalive-ctl announcer drain --state-directory {home}/node1/state
  keepalive-ctl lab run
  keepalive-ctl lab down"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--with", dest="kind", choices=KINDS, default="bird", help="the routing daemon")
    parser.add_argument("--nodes", type=int, choices=(2, 3), default=2, help="default 2")


def none(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments."""


def told(work: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    def run(given: argparse.Namespace) -> int:
        try:
            return work(given)
        except (KeepaliveError, OSError) as error:
            print(f"lab: {error}", file=sys.stderr)
            return 1

    return run


def is_possible(kind: str) -> bool:
    missing = lacking(kind)
    if missing:
        print("lab: this machine lacks", ", ".join(missing), file=sys.stderr)
    return not missing


def up(given: argparse.Namespace) -> int:
    if not is_possible(given.kind):
        return 1
    trouble = holder.start(given.kind, given.nodes)
    if trouble:
        print(f"lab: {trouble}", file=sys.stderr)
        return 1
    numbers = range(1, given.nodes + 1)
    nodes = f"nodes with {given.kind} and keepalive-py"
    names = ", ".join(f"lab-node{i}" for i in numbers)
    print(UP.format(nodes=nodes, names=names, home=holder.HOME))
    return 0


def run(given: argparse.Namespace) -> int:
    """With the lab that is up, or with one for the while."""
    if holder.is_up():
        return holder.ask("run")
    if not is_possible(given.kind):
        return 1
    began = time.monotonic()
    with holder.ending_in_order(), holder.cluster(given.kind, given.nodes) as built:
        print(f"a cluster of {given.nodes} nodes with {given.kind}: up in {time.monotonic() - began:.1f} s")
        return holder.play(built, lambda text: print(text, flush=True))


def down(_: argparse.Namespace) -> int:
    holder.end()
    return 0


COMMANDS = (
    Command("lab up", "build a cluster in network namespaces, and leave it up", arguments, told(up)),
    Command("lab run", "play what can happen to a cluster, and tell what it costs", arguments, told(run)),
    Command("lab down", "take it down", none, told(down)),
)
