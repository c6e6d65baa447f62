"""`keepalive-ctl announcer …`: which addresses are announced, and who drained them.

It works on the announcer's files, so also while the daemon does not run.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from keepalive_py.announcer.drains import ALL, Drain, Drains
from keepalive_py.announcer.files import read_json
from keepalive_py.announcer.loopback import Loopback, Position
from keepalive_py.announcer.ownership import Ownership
from keepalive_py.announcer.rtnetlink import Rtnetlink
from keepalive_py.cli.commands import Command
from keepalive_py.config.bgp_announcer import STATE_DIRECTORY
from keepalive_py.daemon.announcing import STATUS_FILE
from keepalive_py.errors import KeepaliveError
from keepalive_py.net import parse_address

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
VISIBLE = ("announced", "draining")


def place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state-directory", default=STATE_DIRECTORY, help=f"as in bgp_announcer (default {STATE_DIRECTORY})"
    )


def vip(text: str) -> str:
    if text == ALL:
        return text
    try:
        return str(parse_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is neither an IP address nor `{ALL}`") from None


def duration(text: str) -> float:
    match = re.fullmatch(r"(\d+)([smhd]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"`{text}` is no time: write 90s, 30m, 2h or 1d")
    return int(match[1]) * UNITS[match[2] or "s"]


def vip_arguments(parser: argparse.ArgumentParser) -> None:
    place(parser)
    parser.add_argument("vips", nargs="*", type=vip, metavar="VIP", help="none: the whole node")


def drain_arguments(parser: argparse.ArgumentParser) -> None:
    vip_arguments(parser)
    parser.add_argument(
        "--for", dest="seconds", type=duration, default=0.0, help="90s, 30m, 2h; default: until undrain"
    )
    parser.add_argument("--reason", default="", help="shown to everybody")
    parser.add_argument("--wait", type=duration, default=0.0, help="wait for so long until it is withdrawn")


def status_arguments(parser: argparse.ArgumentParser) -> None:
    place(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def told(work: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    def run(given: argparse.Namespace) -> int:
        try:
            return work(given)
        except (KeepaliveError, OSError) as error:
            print(error, file=sys.stderr)
            return 1

    return run


def drain(given: argparse.Namespace) -> int:
    now = time.time()
    drains = Drains(given.state_directory)
    drains.read()
    until = now + given.seconds if given.seconds else 0.0
    new = Drain(getpass.getuser(), given.reason, now, until)
    names = given.vips or [ALL]
    drains.write({**drains.current, **dict.fromkeys(names, new)})
    return wait_until_gone(given, names) if given.wait else 0


def wait_until_gone(given: argparse.Namespace, names: list[str]) -> int:
    """0 when all are withdrawn; 1 when the time passed before."""
    deadline = time.monotonic() + given.wait
    while time.monotonic() < deadline:
        vips = status_of(given).get("vips", {})
        if not any(each["state"] in VISIBLE for name, each in vips.items() if name in names or ALL in names):
            return 0
        time.sleep(0.2)
    print(f"not withdrawn within {given.wait:g} s", file=sys.stderr)
    return 1


def undrain(given: argparse.Namespace) -> int:
    drains = Drains(given.state_directory)
    drains.read()
    gone = given.vips or list(drains.current)
    drains.write({name: each for name, each in drains.current.items() if name not in gone})
    return 0


def withdraw_arguments(parser: argparse.ArgumentParser) -> None:
    place(parser)
    parser.add_argument(
        "--after-crash",
        action="store_true",
        help="as ExecStopPost=: do nothing when $SERVICE_RESULT is success",
    )


def withdraw(given: argparse.Namespace) -> int:
    """For when the daemon is gone: it would put them back."""
    if given.after_crash and os.environ.get("SERVICE_RESULT", "success") == "success":
        return 0  # the daemon itself did what on_stop says
    ownership = Ownership(given.state_directory)
    ownership.load()
    if not ownership.places:
        print("no address is ours")
        return 0
    kernel = Rtnetlink()
    try:
        outcome = Loopback[Position](kernel, ownership, {}).place({})
    finally:
        kernel.close()
    for address in outcome.moved:
        print(f"{address} taken off")
    for text in outcome.refused:
        print(text, file=sys.stderr)
    return 1 if outcome.refused else 0


def status_of(given: argparse.Namespace) -> dict[str, Any]:
    return read_json(Path(given.state_directory) / STATUS_FILE)


def status(given: argparse.Namespace) -> int:
    found = status_of(given)
    if not found:
        print(f"the announcer has left no status in {given.state_directory}", file=sys.stderr)
        return 1
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(lines(found)))
    return 0


def lines(found: dict[str, Any]) -> Iterator[str]:
    if not found.get("running"):
        yield "The daemon does not run; this is what it left behind."
    yield f"{'VIP':<40} {'State':<10} {'Exported to':<24} Why"
    for name, each in found.get("vips", {}).items():
        why = (
            f"drained by {each['drained_by']}: {each['drain_reason']}" if each["drained_by"] else each["why"]
        )
        yield f"{name:<40} {each['state']:<10} {', '.join(each['exported_to']) or '-':<24} {why}"
    for name, each in found.get("uplinks", {}).items():
        yield f"uplink {name}: {', '.join(filter(None, uplink(each)))}"
    for name, each in found.get("sessions", {}).items():
        bfd = f", BFD {each['bfd']}" if each["bfd"] else ""
        yield f"session {name} to {each['neighbour']}: {each['state']}{bfd}"
    for text in found.get("disagreements", ()):
        yield f"WRONG: {text}"


def uplink(seen: dict[str, Any]) -> Iterator[str]:
    """What there is to say of it."""
    yield seen["state"]
    yield seen["detail"]
    members = seen.get("members", {})
    dark = sum(not carrier for carrier in members.values())
    yield f"{seen['kind']} of {', '.join(members)} ({dark} dark)" if members else seen["kind"]
    yield f"neighbour {seen['neighbour']}" if seen.get("neighbour") else ""
    for name, session in seen.get("sessions", {}).items():
        yield f"BGP to {name} {session['state']}" + (f" (BFD {session['bfd']})" if session["bfd"] else "")


COMMANDS = (
    Command("announcer status", "what is announced, to whom, and why not", status_arguments, told(status)),
    Command("announcer drain", "take VIPs out of service in order", drain_arguments, told(drain)),
    Command("announcer undrain", "take a drain back", vip_arguments, told(undrain)),
    Command(
        "announcer withdraw",
        "take off every VIP of a daemon that is gone",
        withdraw_arguments,
        told(withdraw),
    ),
)
