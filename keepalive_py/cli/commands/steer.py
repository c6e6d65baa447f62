"""`keepalive-ctl drain`, `undrain`, `disable`, `enable`, `weight`, `overrides`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from keepalive_py.cli.client import Client, asking, control_argument, json_argument, print_json
from keepalive_py.cli.commands import Command, examples
from keepalive_py.cli.commands.announcer import duration
from keepalive_py.cli.commands.status import watch_argument, watched, whom, worded
from keepalive_py.cli.paint import Cell, Paint, many, spoken, table

POLL: Final = 0.5  # seconds
VISIBLE: Final = ("announced", "draining")
HEADS: Final = ("What", "Order", "By", "Ends", "Servers", "Active", "Inactive", "Reason")

Row = dict[str, Any]
Run = Callable[[argparse.Namespace], int]


def server_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("server", help="real server: ADDRESS (every port) or ADDRESS:PORT")
    parser.add_argument("--service", metavar="SERVICE", help="only on this virtual server; default: on all")
    common(parser)


def drain_arguments(parser: argparse.ArgumentParser) -> None:
    target_arguments(parser)
    order_arguments(parser)
    parser.add_argument(
        "--wait", type=duration, default=0.0, metavar="TIME", help="wait so long for its connections to end"
    )
    examples(
        parser,
        "keepalive-ctl drain 10.0.0.5 --for 30m --reason 'new kernel' --wait 5m",
        "keepalive-ctl drain 10.0.0.5:443 --service 192.0.2.10:443",
        "keepalive-ctl drain --vip 192.0.2.10",
        "keepalive-ctl drain --node --wait 60s",
    )


def target_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("server", nargs="?", help="real server: ADDRESS (every port) or ADDRESS:PORT")
    parser.add_argument("--service", metavar="SERVICE", help="only on this virtual server; default: on all")
    parser.add_argument("--vip", metavar="ADDRESS", help="an announced virtual address")
    parser.add_argument("--node", action="store_true", help="all announced addresses: the node leaves")
    common(parser)


def order_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--for", dest="seconds", type=duration, metavar="TIME", help="90s, 30m, 2h; default: until taken back"
    )
    parser.add_argument("--reason", help="shown to everybody")
    parser.add_argument(
        "--force", action="store_true", help="also if no server is left that gets connections"
    )


def disable_arguments(parser: argparse.ArgumentParser) -> None:
    server_arguments(parser)
    order_arguments(parser)
    examples(parser, "keepalive-ctl disable 10.0.0.5:443 --service 192.0.2.10:443 --for 1h")


def weight_arguments(parser: argparse.ArgumentParser) -> None:
    server_arguments(parser)
    parser.add_argument("weight", type=int, help="weight while it is in the pool")
    order_arguments(parser)
    examples(parser, "keepalive-ctl weight 10.0.0.5 10 --for 1h --reason 'warm caches first'")


def common(parser: argparse.ArgumentParser) -> None:
    control_argument(parser)
    json_argument(parser)


def one_target(work: Callable[[Client, argparse.Namespace], int]) -> Run:
    """What is meant has to be said, and once."""
    ask = asking(work)

    def run(given: argparse.Namespace) -> int:
        meant = [given.server, getattr(given, "vip", None), getattr(given, "node", False)]
        if sum(map(bool, meant)) == 1:
            return ask(given)
        print("keepalive-ctl: give a server, --vip ADDRESS or --node, and one of them only", file=sys.stderr)
        return 1

    return run


def ordering(action: str) -> Run:
    def run(client: Client, given: argparse.Namespace) -> int:
        found = client.post(
            "/v1/overrides",
            action=action,
            server=given.server,
            service=given.service,
            vip=getattr(given, "vip", None),
            node=getattr(given, "node", False) or None,
            weight=getattr(given, "weight", None),
            seconds=given.seconds,
            reason=given.reason,
            force=given.force or None,
            on_behalf_of=os.environ.get("SUDO_USER"),
        )
        if given.json:
            print_json(found)
        else:
            print("\n".join(told(found)))
        wait = getattr(given, "wait", 0.0)
        return waited(client, given, wait) if wait else 0

    return one_target(run)


def told(found: Row) -> Iterator[str]:
    for each in found.get("overrides", ()):
        where = f" of {each['service']}" if each["service"] else " on all its virtual servers"
        yield f"{each['server']}{where}: {worded(each)}, {ends(each)}"
    for each in found.get("addresses", ()):
        yield f"{'the node' if each['node'] else each['vip']}: {worded(each)}, {ends(each)}"
    if not found.get("remembered", True):
        yield "not remembered over a restart: no --state-directory, or one that is not writable (see its log)"
    if not found.get("in_table", True):
        yield "the kernel's table does not follow yet: see the daemon's log"


def ends(each: Row) -> str:
    if not each["until"]:
        return "until it is taken back"
    return f"for {spoken(max(0.0, each['until'] - time.time()))} more"


def waited(client: Client, given: argparse.Namespace, patience: float) -> int:
    """0 when nothing is left, 1 when the time is over before. How many are left is said as it changes."""
    deadline, before = time.monotonic() + patience, ""
    while True:
        left, words = remaining(client, given)
        if words != before and not given.json:
            print(words, flush=True)
        before = words
        if not left:
            return 0
        if time.monotonic() >= deadline:
            print(f"keepalive-ctl: after {patience:g} s: {words}", file=sys.stderr)
            return 1
        time.sleep(POLL)


def remaining(client: Client, given: argparse.Namespace) -> tuple[int, str]:
    if given.server:
        found = client.get("/v1/overrides", server=given.server)["overrides"]
        left = sum(each["active_connections"] for each in found)
        return left, f"{many(left, 'connection')} left" if left else "no connections left"
    visible = [
        vip
        for each in client.get("/v1/overrides")["addresses"]
        if (each["node"] if given.node else each["vip"] == given.vip)
        for vip, state in each["states"].items()
        if state in VISIBLE
    ]
    return len(visible), f"still announced: {', '.join(visible)}" if visible else "announced no more"


def lift(client: Client, given: argparse.Namespace) -> int:
    found = client.delete(
        "/v1/overrides",
        server=given.server,
        service=given.service,
        vip=getattr(given, "vip", None),
        node="true" if getattr(given, "node", False) else None,
    )
    if given.json:
        print_json(found)
    for each in () if given.json else found["lifted"]:
        print(f"{whom(each)}: {worded(each)} no more")
    if not given.json and not found.get("remembered", True):
        print("a restart would bring it back: the state directory is not writable (see the daemon's log)")
    return 0


def overrides(client: Client, given: argparse.Namespace) -> int:
    def show() -> None:
        found = client.get("/v1/overrides")
        rows = [cells(each) for each in (*found["overrides"], *found["addresses"])]
        if given.json:
            print_json(found)
        else:
            print(
                "\n".join(table(HEADS, rows, Paint())) if rows else "nothing is drained, disabled or weighed"
            )

    return watched(show, given.watch)


def cells(each: Row) -> list[Cell]:
    counts = [
        str(each.get(count, "-")) for count in ("servers", "active_connections", "inactive_connections")
    ]
    return [
        whom(each),
        ("yellow", worded(each)),
        each["by"],
        "never" if not each["until"] else spoken(max(0.0, each["until"] - time.time())),
        *counts,
        each["reason"],
    ]


def overrides_arguments(parser: argparse.ArgumentParser) -> None:
    common(parser)
    watch_argument(parser)


COMMANDS = (
    Command(
        "drain", "no new connections for a server, an address or the node", drain_arguments, ordering("drain")
    ),
    Command(
        "undrain",
        "take an order of a server, a drain of an address or of the node back",
        target_arguments,
        one_target(lift),
    ),
    Command("disable", "take a server out of the pool at once", disable_arguments, ordering("disable")),
    Command(
        "enable", "the same as undrain, of a server: takes any order back", server_arguments, one_target(lift)
    ),
    Command("weight", "give a server another weight", weight_arguments, ordering("weight")),
    Command(
        "overrides",
        "who wants what, and how many connections are left",
        overrides_arguments,
        asking(overrides),
    ),
)
