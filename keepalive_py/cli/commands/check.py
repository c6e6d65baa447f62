"""`keepalive-ctl check now` and `keepalive-ctl why`: of a server and its checks."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any

from keepalive_py.cli.client import Client, asking, control_argument, json_argument, print_json
from keepalive_py.cli.commands import Command
from keepalive_py.cli.describe import recovering, server_state, since, verdict
from keepalive_py.cli.paint import Paint, many, milliseconds, sparkline, spoken

Row = dict[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("server", help="ADDRESS, ADDRESS:PORT, or as shown")
    parser.add_argument("--service", metavar="SERVICE", help="only of this one")
    control_argument(parser)
    json_argument(parser)


def now(client: Client, given: argparse.Namespace) -> int:
    found = client.post("/v1/checks/run", server=given.server, service=given.service)
    if given.json:
        print_json(found)
    else:
        started = many(found["started"], "check")
        print(f"{started} started; keepalive-ctl why {given.server} shows what is found")
    return 0


def why(client: Client, given: argparse.Namespace) -> int:
    found = client.get("/v1/servers", server=given.server, service=given.service)["servers"]
    if given.json:
        print_json(found)
    elif found:
        paint = Paint()
        print("\n".join(line for row in found for line in story(row, paint)))
    else:
        print(f"keepalive-ctl: there is no real server {given.server}", file=sys.stderr)
    return 0 if found else 1


def story(row: Row, paint: Paint) -> Iterator[str]:
    """Of one server: its state, each check, and what happened lately."""
    colour, state = server_state(row)
    name = paint("bold", row["name"])
    yield f"{name} of {row['service']}: {paint(colour, state)} for {spoken(since(row))}"
    yield from (f"  {line}" for line in standing(row))
    for check in row["checks"]:
        yield from (f"  {line}" for line in check_lines(check, paint))
    if row["changes"]:
        yield "  lately:"
    for change in row["changes"]:
        yield f"    {stamp(change['at'])}  {change['text']} ({change['reason']})"


def stamp(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def standing(row: Row) -> Iterator[str]:
    weight = row["effective_weight"]
    where = "not in the pool" if weight is None else f"in the pool with weight {weight}"
    yield f"{where} (configured {row['configured_weight']})"
    if row["held"]:
        yield "its checks find it down; depool_threshold holds it in, so that enough of the pool stays"
    if row["suppressed"]:
        yield f"up, but it flaps (damping_half_life): penalty {row['penalty']:.1f}, back in below 1.5"
    if row["alive"] and row["share"] < 100:
        yield f"slow_start: it has {row['share']} % of its weight so far"
    if row["override"] is not None:
        order = row["override"]
        until = f" until {stamp(order['until'])}" if order["until"] else ""
        yield f"{order['by']} wants it: {order['action']}{until}, {order['reason'] or 'no reason given'}"
    if row["counters"]:
        active, inactive = (row["counters"][f"{each}active_connections"] for each in ("", "in"))
        yield f"{active} active, {inactive} inactive connections"


def check_lines(check: Row, paint: Paint) -> Iterator[str]:
    history = check["history"]
    ago = f", {spoken(history[-1]['ago'])} ago" if history else ""
    state = paint("green", "up  ") if check["up"] else paint("red", "down")
    title = f"{check['kind']} {check['label']}".strip()
    yield f"{state} {title}: {verdict(check['last'])}{ago}"
    if history:
        failed = sum(run["passed"] is False for run in history)
        took = milliseconds(check["took"])
        yield f"     latest {sparkline(history)}  {failed} of {len(history)} failed, the last took {took}"
    if again := recovering(check):
        yield f"     {again}, then it counts as up"
    if check["failures"]:
        yield f"     {check['failures']} failures in a row, {check['retry']} are forgiven"


COMMANDS = (
    Command("check now", "run a server's checks now", arguments, asking(now)),
    Command("why", "why a server is as it is: checks, reasons, what happened lately", arguments, asking(why)),
)
