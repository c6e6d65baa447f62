"""`keepalive-ctl status`: how the daemon is, and what is wrong."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from keepalive_py.cli.client import Client, asking, control_argument, json_argument, print_json
from keepalive_py.cli.commands import Command, examples
from keepalive_py.cli.describe import server_state, service_state, service_where
from keepalive_py.cli.paint import Paint, spoken

WELL = ("works", "loaded")  # of a module of the toa block
MOST_SHOWN = 20  # of what is wrong
CLEAR = "\x1b[H\x1b[2J"

Row = dict[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    control_argument(parser)
    json_argument(parser)
    parser.add_argument("--tree", action="store_true", help="every service with its servers")
    watch_argument(parser)
    examples(parser, "keepalive-ctl status --tree", "keepalive-ctl status --watch 1")


def watch_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--watch", nargs="?", type=float, const=2.0, metavar="SECONDS", help="again and again (default 2 s)"
    )


def watched(show: Callable[[], None], seconds: float | None) -> int:
    """Once, or until Ctrl-C."""
    while True:
        if seconds is not None and sys.stdout.isatty():
            print(CLEAR, end="")
        show()
        if seconds is None:
            return 0
        sys.stdout.flush()
        time.sleep(max(0.2, seconds))


def run(client: Client, given: argparse.Namespace) -> int:
    def show() -> None:
        if given.json:
            print_json(client.get("/v1/snapshot" if given.tree else "/v1/status"))
            return
        paint = Paint()
        print("\n".join(summary(client.get("/v1/status"), paint)))
        if given.tree:
            print("\n".join(tree(client.get("/v1/services")["services"], paint)))
        else:
            print("\n".join(wrong(client.get("/v1/servers", state="down")["servers"], paint)))

    return watched(show, given.watch)


def summary(found: Row, paint: Paint) -> Iterator[str]:
    services, servers, table = found["services"], found["servers"], found["table"]
    yield f"keepalive-py {found['version']}, pid {found['pid']}, up {spoken(found['uptime'])}"
    yield f"services   {share(services['with_quorum'], services['total'], paint)} have their quorum" + (
        f", {services['suspended']} suspended" if services["suspended"] else ""
    )
    yield f"servers    {share(servers['alive'], servers['total'], paint)} alive"
    yield f"table      {', '.join(table_words(table, paint))}"
    if found["overrides"]:
        yield paint("yellow", f"orders     {found['overrides']} hold: keepalive-ctl overrides shows them")
    if found["announcer"] is not None:
        yield f"announcer  {', '.join(announcer_words(found['announcer'], paint))}"
    for name, state in found["modules"].items():
        yield f"module     {name}: {paint('green' if state in WELL else 'red', state)}"
    yield from full_words(found["local_addresses_full"], paint)
    yield from configuration_lines(found["configuration"], paint)


def configuration_lines(found: Row, paint: Paint) -> Iterator[str]:
    number = f"generation {found['generation']}, " if found["generation"] is not None else ""
    yield f"config     {number}digest {found['digest']}"
    if found["instead_of_files"]:
        yield paint("yellow", f"           not that of the files: {found['instead_of_files']}")
    if found["refused"]:
        state = "held back" if found["held"] else "refused"
        yield paint("red", f"           a reload is {state}: {found['refused']}")


def full_words(full: list[Row], paint: Paint) -> Iterator[str]:
    for each in full:
        words = f"{each['address']} has {each['share']:.0%} of its ports to {each['busiest']} in use"
        yield paint("red", "full       ") + words


def share(good: int, total: int, paint: Paint) -> str:
    return paint("green" if good == total else "red" if not good else "yellow", f"{good} of {total}")


def table_words(table: Row, paint: Paint) -> Iterator[str]:
    yield str(table["dataplane"])
    yield paint("green", "as wanted") if table["settled"] else paint("yellow", "being changed")
    if table["refused_steps"]:
        yield paint("red", f"{table['refused_steps']} steps refused")
    if table["drift"]:
        yield paint("yellow", f"{len(table['drift'])} differences at the last reading")


def announcer_words(found: Row, paint: Paint) -> Iterator[str]:
    for state, count in sorted(found["vips"].items()):
        yield f"{count} {state}"
    for name, state in sorted(found["uplinks"].items()):
        yield f"uplink {name} {paint('green' if state == 'up' else 'red', state)}"
    if found["disagreements"]:
        yield paint("red", f"{found['disagreements']} not as the routing daemon says")


def tree(services: list[Row], paint: Paint) -> Iterator[str]:
    for service in services:
        colour, state = service_state(service)
        yield f"{paint('bold', service_where(service))} {paint(colour, state)}"
        servers = service["real_servers"]
        for at, server in enumerate(servers):
            branch = "└─" if at == len(servers) - 1 else "├─"
            yield f"  {branch} {server_line(server, paint)}"


def server_line(server: Row, paint: Paint) -> str:
    colour, state = server_state(server)
    counters = server["counters"] or {}
    connections = f" {counters['active_connections']} connections" if counters else ""
    name, weight = server["name"], server["effective_weight"] or 0
    return f"{name:<28} {paint(colour, f'{state:<9}')} weight {weight}{connections}"


def wrong(servers: list[Row], paint: Paint) -> Iterator[str]:
    for server in servers[:MOST_SHOWN]:
        yield paint("red", "down       ") + f"{server['name']} of {server['service']}: {why(server)}"
    if len(servers) > MOST_SHOWN:
        yield f"           and {len(servers) - MOST_SHOWN} more: keepalive-ctl servers --state down"


def why(server: Row) -> str:
    """The first check that is down, in a few words."""
    for check in server["checks"]:
        if not check["up"]:
            last = check["last"] or {}
            words = f"{check['kind']} {last.get('reason', 'not yet run')} {last.get('detail', '')}".strip()
            return f"{words}, for {spoken(server['since'])}"
    return "no check is down"


COMMAND = Command("status", "how the daemon is, and what is wrong", arguments, asking(run))
