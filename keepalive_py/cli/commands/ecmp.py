"""`keepalive-ctl ecmp`: which node a flow goes to, and what moves when a node leaves or joins."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from keepalive_py.cli.commands import Command
from keepalive_py.ecmp.flow import Flow, NextHop
from keepalive_py.ecmp.shares import METHODS, chooser, flows, move, shares
from keepalive_py.net import Address, Protocol, parse_address

SEED_FILE = Path("/proc/sys/net/ipv4/fib_multipath_hash_seed")
EXAMPLE = "192.0.2.10"
MOST = 1_000_000


def hop(text: str) -> NextHop:
    name, _, weight = text.partition("*")
    if not name or (weight and not (weight.isdigit() and 1 <= int(weight) <= 256)):
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME or NAME*WEIGHT, with a weight of 1 to 256")
    return NextHop(name, int(weight or 1))


def flow(text: str) -> Flow:
    """`SOURCE:PORT,DESTINATION:PORT[,PROTOCOL]`, IPv6 in brackets."""
    try:
        source, destination, *protocol = text.split(",")
        here, there = map(endpoint, (source, destination))
        if here[0].version != there[0].version:
            raise ValueError
        kind = Protocol[protocol[0].upper()] if protocol else Protocol.TCP
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"`{text}` is not SOURCE:PORT,DESTINATION:PORT[,tcp|udp]") from None
    return Flow(here[0], there[0], kind, here[1], there[1])


def endpoint(text: str) -> tuple[Address, int]:
    address, _, port = text.rpartition(":")
    number = int(port)
    if not 0 <= number <= 65535:
        raise ValueError(port)
    return parse_address(address.strip("[]")), number


def count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"`{text}` is not a number from 1 to {MOST}")
    return int(text)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("hops", nargs="+", type=hop, metavar="NODE[*WEIGHT]", help="in the route's order")
    parser.add_argument("--method", choices=METHODS, default="linux-l4", help="how the router chooses")
    parser.add_argument("--seed", type=int, help="net.ipv4.fib_multipath_hash_seed there (linux only)")
    parser.add_argument(
        "--flow", action="append", default=[], type=flow, metavar="FLOW", help="SRC:PORT,DST:PORT[,tcp|udp]"
    )
    parser.add_argument("--leave", action="append", default=[], metavar="NODE", help="this one leaves")
    parser.add_argument(
        "--join", action="append", default=[], type=hop, metavar="NODE", help="this one joins"
    )
    parser.add_argument("--flows", type=count, default=20000, help="how many to simulate")


def run(given: argparse.Namespace) -> int:
    names = [each.name for each in given.hops]
    strangers = [name for name in given.leave if name not in names]
    after = [each for each in given.hops if each.name not in given.leave] + given.join
    if strangers or not after:
        print(f"{strangers[0]} is none of them" if strangers else "nobody would be left", file=sys.stderr)
        return 1
    if given.flow:
        return explain(given)
    simulate(given, after)
    return 0


def explain(given: argparse.Namespace) -> int:
    """Where each flow goes. Only Linux's hash is known."""
    seed = given.seed if given.seed is not None else own_seed()
    if not given.method.startswith("linux"):
        print("a switch's hash is its vendor's: only shares can be told (leave --flow out)", file=sys.stderr)
        return 1
    if not seed:
        print(
            "the router's hash has a random key: set net.ipv4.fib_multipath_hash_seed there (Linux 6.11)"
            " and give it as --seed",
            file=sys.stderr,
        )
        return 1
    if any(each.source.version == 6 for each in given.flow):
        print("of IPv6 flows only shares can be told: Linux chooses otherwise there", file=sys.stderr)
        return 1
    choice = chooser(given.method, given.hops, seed=seed)
    for each in given.flow:
        print(f"{each}: {choice(each)}")
    return 0


def own_seed() -> int:
    try:
        return int(SEED_FILE.read_text())
    except (OSError, ValueError):
        return 0


def simulate(given: argparse.Namespace, after: list[NextHop]) -> None:
    among = flows(parse_address(EXAMPLE), 443, given.flows)
    seed = given.seed or 1  # any: the shares do not depend on it
    print_shares("now", shares(chooser(given.method, given.hops, seed=seed), among))
    if given.leave or given.join:
        result = move(given.method, given.hops, after, among, seed=seed)
        print_shares("then", result.shares)
        print(f"moved: {result.moved:.1%} of the flows, {result.needlessly:.1%} although their node stays")


def print_shares(title: str, found: dict[str, float]) -> None:
    print(f"{title}: " + ", ".join(f"{name} {share:.1%}" for name, share in found.items()))


COMMAND = Command("ecmp", "where flows go, and what moves when a node leaves or joins", arguments, run)
