"""`keepalive-ctl status`: how the daemon is, and what is wrong."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from keepalive_py.cli.client import Client, asking, control_argument, json_argument, print_json
from keepalive_py.cli.commands import Command, examples
from keepalive_py.cli.describe import ORDERED, order, server_state, service_state, service_where, since, why
from keepalive_py.cli.paint import Paint, many, spoken

WELL = ("works", "loaded")  # of a module of the toa block
MOST_SHOWN = 20  # of what is wrong, of each kind
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
        paint, found = Paint(), client.get("/v1/status")
        for line in (*summary(found, paint), *orders(client, found, paint)):
            print(line)
        rest = (
            tree(client.get("/v1/services")["services"], paint) if given.tree else wrong(client, found, paint)
        )
        for line in rest:
            print(line)

    return watched(show, given.watch)


def summary(found: Row, paint: Paint) -> Iterator[str]:
    services, servers, table = found["services"], found["servers"], found["table"]
    up = spoken(found["uptime"])
    yield f"keepalive-py {found['version']} on {found['host']}, pid {found['pid']}, up {up}"
    yield f"services   {share(services['with_quorum'], services['total'], paint)} have their quorum" + (
        f", {services['suspended']} suspended" if services["suspended"] else ""
    )
    yield f"servers    {share(servers['alive'], servers['total'], paint)} alive" + (
        paint("red", f", {servers['held']} held in although down") if servers["held"] else ""
    ) + (paint("yellow", f", {servers['suppressed']} damped") if servers["suppressed"] else "")  # fmt: skip
    yield f"table      {', '.join(table_words(table, paint))}"
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
    if table.get("trouble"):
        yield paint("red", f"not known: {table['trouble']}")
    if table["refused_steps"]:
        yield paint("red", f"{table['refused_steps']} steps refused")
    if table["drift"]:
        repaired = ", repaired" if table["policy"] == "repair" and table["settled"] else ""
        changes = many(len(table["drift"]), "change")
        yield paint("yellow", f"{changes} of somebody else at the last reading{repaired}")


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
    active = (server["counters"] or {}).get("active_connections", "-")
    weight = "-" if server["effective_weight"] is None else server["effective_weight"]
    words = f"{server['name']:<28} {paint(colour, f'{state:<8}')}  weight {weight:<4}"
    return f"{words} active {active:<5} {why(server)}".rstrip()


def orders(client: Client, found: Row, paint: Paint) -> Iterator[str]:
    """What operators want, in a line each."""
    if not found["overrides"] and not (found["announcer"] or {}).get("drains"):
        return
    known = client.get("/v1/overrides")
    given = [*known["addresses"], *known["overrides"]]
    for each in given[:MOST_SHOWN]:
        end = f", {spoken(max(0.0, each['until'] - time.time()))} left" if each["until"] else ""
        yield paint("yellow", "order      ") + f"{whom(each)} {worded(each)} {order(each)}{end}"
    if len(given) > MOST_SHOWN:
        yield f"           and {len(given) - MOST_SHOWN} more: keepalive-ctl overrides"


def whom(each: Row) -> str:
    """Of an order: `10.0.0.5:80 of [192.0.2.1]:tcp:80`, an address, or the node."""
    name = each.get("server") or ("the node" if each.get("node") else each["vip"])
    return f"{name} of {each['service']}" if each.get("service") else str(name)


def worded(each: Row) -> str:
    return ORDERED.get(each["action"]) or f"weight {each['weight']}"


def wrong(client: Client, found: Row, paint: Paint) -> Iterator[str]:
    """Services that nobody serves, then servers that are not well."""
    services, servers = found["services"], found["servers"]
    if services["with_quorum"] < services["total"] or services["steered_empty"]:
        rows = client.get("/v1/overview")["overview"]
        yield from cut([line for row in rows if (line := unserved(row, paint))], "services")
    if servers["suppressed"]:
        rows = [each for each in client.get("/v1/servers", state="up")["servers"] if each["suppressed"]]
        yield from cut([ailing(row, paint) for row in rows], "servers")
    if servers["alive"] < servers["total"]:
        rows = client.get("/v1/servers", state="down")["servers"]
        yield from cut([ailing(row, paint) for row in rows], "servers --state down")


def cut(lines: list[str], command: str) -> Iterator[str]:
    yield from lines[:MOST_SHOWN]
    if len(lines) > MOST_SHOWN:
        yield f"           and {len(lines) - MOST_SHOWN} more: keepalive-ctl {command}"


def unserved(row: Row, paint: Paint) -> str:
    """Of a line of /v1/overview; "" if somebody serves."""
    if row["suspended"]:
        return ""
    if not row["quorum_up"]:
        sorry = row["sorry_server"]
        words = "the sorry server serves" if sorry and sorry["in_use"] else "nobody serves"
        return paint("red", "no quorum  ") + f"{service_where(row)}: {words}"
    if row["servers"] and not any(server[2] for server in row["servers"]):
        return paint("red", "empty      ") + f"{service_where(row)}: no server of it gets connections"
    return ""


def ailing(server: Row, paint: Paint) -> str:
    colour, state = server_state(server)
    words = f"{server['name']} of {server['service']}: {why(server)}, for {spoken(since(server))}"
    return paint(colour, f"{state:<11}") + words


COMMAND = Command("status", "how the daemon is, and what is wrong", arguments, asking(run))
