"""`keepalive-ctl sessions`: who is connected through whom, from the kernel's tables."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Sequence

from keepalive_py.cli.commands import Command
from keepalive_py.dataplane.namespace import run_in
from keepalive_py.errors import KeepaliveError
from keepalive_py.net import Protocol
from keepalive_py.sessions import kernel
from keepalive_py.sessions.model import (
    COUNTS,
    SORTS,
    End,
    Filter,
    Session,
    as_row,
    count,
    parse_end,
    show_end,
)

CLEAR = "\x1b[H\x1b[2J"
COLUMNS = "{:<5} {:<24} {:<24} {:<24} {:<24} {:<12} {:>7}"
HEADING = COLUMNS.format("Proto", "Client", "Virtual", "Local", "Real server", "State", "Timeout")
SOME = 20  # rows of a live view without --limit


def arguments(parser: argparse.ArgumentParser) -> None:
    for name, what in (
        ("client", "client"), ("vip", "virtual server"), ("local", "local address"), ("rs", "real server"),
    ):  # fmt: skip
        parser.add_argument(
            f"--{name}",
            type=_end,
            metavar="ADDRESS[:PORT]",
            help=f"only of this {what} (:PORT for any address)",
        )
    parser.add_argument("--protocol", choices=[protocol.name.lower() for protocol in Protocol])
    parser.add_argument("--state", metavar="STATE", help="only in this state, such as ESTABLISHED")
    parser.add_argument("--sort", choices=sorted(SORTS), default="virtual", help="default: virtual")
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    parser.add_argument("--top", choices=sorted(COUNTS), metavar="WHAT", help=f"count by {', '.join(COUNTS)}")
    parser.add_argument("--limit", type=_positive, metavar="N", help="at most N rows")
    parser.add_argument(
        "--watch", type=float, metavar="SECONDS", nargs="?", const=2.0, help="again and again"
    )
    parser.add_argument("--json", action="store_true", help="one document; with --watch one a line")
    parser.add_argument("--namespace", help="network namespace whose sessions they are")


def _end(text: str) -> End:
    try:
        return parse_end(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{error}: expected ADDRESS, ADDRESS:PORT, [V6]:PORT or :PORT"
        ) from None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def run(given: argparse.Namespace) -> int:
    show = _show_json if given.json else _show_text
    try:
        for turn in itertools.count() if given.watch else range(1):
            if turn:
                time.sleep(max(given.watch, 0.1))
            found = wanted(given).select(run_in(given.namespace, kernel.read))
            show(given, found)
    except (KeepaliveError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def wanted(given: argparse.Namespace) -> Filter:
    return Filter(
        client=given.client,
        virtual=given.vip,
        local=given.local,
        server=given.rs,
        protocol=Protocol[given.protocol.upper()] if given.protocol else None,
        state=given.state.upper() if given.state else None,
    )


def _show_json(given: argparse.Namespace, found: Sequence[Session]) -> None:
    if given.top:
        counted = count(found, given.top)[: given.limit]
        document: object = [{given.top: what, "sessions": number} for what, number in counted]
    else:
        document = [as_row(one) for one in _in_order(given, found)]
    print(json.dumps(document, indent=None if given.watch else 2), flush=True)


def _show_text(given: argparse.Namespace, found: Sequence[Session]) -> None:
    live = bool(given.watch) and sys.stdout.isatty()
    if live and not given.limit:
        given.limit = SOME
    lines = _counted(given, found) if given.top else _listed(given, found)
    print((CLEAR if live else "") + "\n".join(lines), flush=True)


def _counted(given: argparse.Namespace, found: Sequence[Session]) -> list[str]:
    rows = [f"{number:>9}  {what}" for what, number in count(found, given.top)[: given.limit]]
    return [f"{'Sessions':>9}  {given.top.capitalize()}", *rows, f"{len(found):>9}  in all"]


def _listed(given: argparse.Namespace, found: Sequence[Session]) -> list[str]:
    rows = [_row(one) for one in _in_order(given, found)]
    return [HEADING, *rows, f"{len(rows)} of {len(found)} sessions"]


def _in_order(given: argparse.Namespace, found: Sequence[Session]) -> list[Session]:
    key: Callable[[Session], object] = SORTS[given.sort]
    return sorted(found, key=key, reverse=given.reverse)[: given.limit]  # type: ignore[arg-type]


def _row(one: Session) -> str:
    return COLUMNS.format(
        Protocol(one.protocol).name,
        show_end(one.client, one.client_port),
        show_end(one.virtual, one.virtual_port),
        show_end(one.local, one.local_port),
        show_end(one.server, one.server_port),
        one.state,
        one.timeout,
    )


COMMAND = Command("sessions", "show who is connected through whom", arguments, run)
