"""`keepalive-ctl status`: how the daemon is."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from keepalive_py.cli.client import Client, asking, control_argument, json_argument, print_json
from keepalive_py.cli.commands import Command


def arguments(parser: argparse.ArgumentParser) -> None:
    control_argument(parser)
    json_argument(parser)


def run(client: Client, given: argparse.Namespace) -> int:
    found = client.get("/v1/status")
    if given.json:
        print_json(found)
    else:
        print("\n".join(lines(found)))
    return 0


def lines(found: dict[str, Any]) -> Iterator[str]:
    services, servers = found["services"], found["servers"]
    yield f"keepalive-py {found['version']}, pid {found['pid']}, up {spoken(found['uptime'])}"
    yield f"services   {services['with_quorum']} of {services['total']} have their quorum"
    yield f"servers    {servers['alive']} of {servers['total']} alive"


def spoken(seconds: float) -> str:
    """93784 -> 1d 2h; 75 -> 1m 15s."""
    whole, parts = int(seconds), list[str]()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, whole = divmod(whole, size)
        if number or (unit == "s" and not parts):
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2])


COMMAND = Command("status", "how the daemon is, in short", arguments, asking(run))
