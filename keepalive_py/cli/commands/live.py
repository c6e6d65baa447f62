"""`keepalive-ctl services`, `servers`, `checks`: what the daemon has, as tables."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keepalive_py.cli.client import Client, asking, control_argument, json_argument, print_json
from keepalive_py.cli.commands import Command
from keepalive_py.cli.commands.status import watch_argument, watched
from keepalive_py.cli.describe import server_state, service_state, service_where, since, verdict, why
from keepalive_py.cli.paint import Cell, Paint, milliseconds, sparkline, spoken, table

Row = dict[str, Any]

SERVICE_HEADS = ("Service", "State", "Scheduler", "Forward", "Weight", "Quorum", "Active", "Connections")
SERVER_HEADS = ("Server", "Service", "State", "Weight", "Active", "Inactive", "For", "Why")
CHECK_HEADS = ("Server", "Service", "Check", "State", "Last", "Took", "Latest", "Ago")


def service_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("service", nargs="?", help="ADDRESS, ADDRESS:PORT, a group's name, or as shown")
    common(parser)


def server_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("server", nargs="?", help="ADDRESS, ADDRESS:PORT, or as shown")
    parser.add_argument("--service", metavar="SERVICE", help="only of this one")
    parser.add_argument("--state", choices=("up", "down"), help="only those")
    common(parser)


def common(parser: argparse.ArgumentParser) -> None:
    control_argument(parser)
    json_argument(parser)
    watch_argument(parser)


def listing(
    what: str, heads: Sequence[str], cells: Callable[[Row], Sequence[Cell]]
) -> Callable[[Client, argparse.Namespace], int]:
    def run(client: Client, given: argparse.Namespace) -> int:
        query = {name: getattr(given, name, None) for name in ("service", "server", "state")}

        def show() -> None:
            found = client.get(f"/v1/{what}", **query)
            if given.json:
                print_json(found)
            elif found[what]:
                print("\n".join(table(heads, [cells(row) for row in found[what]], Paint())))
            else:
                print(nothing(what, query))

        return watched(show, given.watch)

    return run


def nothing(what: str, query: Mapping[str, str | None]) -> str:
    meant = [value for name in ("server", "service") if (value := query[name])]
    state = f" {query['state']}" if query["state"] else ""
    if not meant:
        return f"no {what} are{state}" if state else f"there are no {what}"
    return f"no {what} of {' and '.join(meant)}" + (f" are{state}" if state else "")


def service_cells(row: Row) -> Sequence[Cell]:
    counters = row["counters"] or {}
    active = [(each["counters"] or {}).get("active_connections") for each in row["real_servers"]]
    known = [count for count in active if count is not None]
    return (
        service_where(row),
        service_state(row),
        row["scheduler"],
        row["forwarding"],
        str(row["alive_weight"]),
        str(row["quorum"]),
        str(sum(known)) if known else "-",
        str(counters.get("connections", "-")),
    )


def server_cells(row: Row) -> Sequence[Cell]:
    counters = row["counters"] or {}
    return (
        row["name"],
        row["service"],
        server_state(row),
        str(row["effective_weight"] if row["effective_weight"] is not None else "-"),
        str(counters.get("active_connections", "-")),
        str(counters.get("inactive_connections", "-")),
        spoken(since(row)),
        why(row),
    )


def check_cells(row: Row) -> Sequence[Cell]:
    history = row["history"]
    return (
        row["server"],
        row["service"],
        row["kind"],
        ("green", "up") if row["up"] else ("red", "down"),
        verdict(row["last"]),
        milliseconds(row["took"]),
        sparkline(history),
        spoken(history[-1]["ago"]) if history else "-",
    )


COMMANDS = (
    Command(
        "services",
        "virtual servers",
        service_arguments,
        asking(listing("services", SERVICE_HEADS, service_cells)),
    ),
    Command(
        "servers", "real servers", server_arguments, asking(listing("servers", SERVER_HEADS, server_cells))
    ),
    Command(
        "checks",
        "health checks and their latest runs",
        server_arguments,
        asking(listing("checks", CHECK_HEADS, check_cells)),
    ),
)
