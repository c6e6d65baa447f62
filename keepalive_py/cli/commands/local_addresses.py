"""`keepalive-ctl local-addresses`: how full FULLNAT's local addresses are."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence

from keepalive_py.cli.commands import Command
from keepalive_py.dataplane.namespace import run_in
from keepalive_py.errors import KeepaliveError
from keepalive_py.sessions import kernel
from keepalive_py.sessions.pressure import PORTS, Pressure, failures, of_sessions

COLUMNS = "{:<24} {:>8} {:>9}  {:<32} {:>9} {:>7}"
HEADING = COLUMNS.format("Local address", "Services", "Sessions", "Busiest real server", "Sessions", "Ports")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--warn", type=_percent, default=80.0, metavar="PERCENT", help="warn from here on (default 80)"
    )
    parser.add_argument("--json", action="store_true", help="one document")
    parser.add_argument("--namespace", help="network namespace whose addresses they are")


def _percent(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no percentage")
    return number


def run(given: argparse.Namespace) -> int:
    """Exit status 2 when an address is at the threshold or above."""
    try:
        found = run_in(given.namespace, lambda: of_sessions(kernel.read()))
        counted = failures(run_in(given.namespace, kernel.conntrack_statistics))
    except (KeepaliveError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    full = [each for each in found if each.share * 100 >= given.warn]
    print(as_json(found, counted) if given.json else as_text(found, counted))
    for each in full:
        print(
            f"{each.address} has {each.share:.0%} of its ports to {each.busiest} in use: add local addresses",
            file=sys.stderr,
        )
    return 2 if full else 0


def as_json(found: Sequence[Pressure], counted: Mapping[str, int]) -> str:
    rows = [
        {
            "address": str(each.address),
            "services": each.services,
            "sessions": each.sessions,
            "busiest": each.busiest,
            "busiest_sessions": each.busiest_sessions,
            "ports": PORTS,
            "share": round(each.share, 4),
        }
        for each in found
    ]
    return json.dumps({"local_addresses": rows, "conntrack": dict(counted)}, indent=2)


def as_text(found: Sequence[Pressure], counted: Mapping[str, int]) -> str:
    rows = [
        COLUMNS.format(
            str(each.address), each.services, each.sessions, each.busiest, each.busiest_sessions,
            f"{each.share:.1%}",
        )
        for each in found
    ]  # fmt: skip
    told = ", ".join(f"{name} {number}" for name, number in counted.items()) or "no statistics"
    if not rows:
        return f"no local address has a session\nconntrack since boot: {told}"
    return "\n".join([HEADING, *rows, f"conntrack since boot: {told}"])


COMMAND = Command("local-addresses", "how full FULLNAT's local addresses are", arguments, run)
