"""`keepalive-ctl sessions`: who is connected through whom, from the kernel's tables."""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from keepalive_py.cli.commands import Command
from keepalive_py.errors import KeepaliveError
from keepalive_py.net import Protocol
from keepalive_py.sessions import kernel
from keepalive_py.sessions.model import (
    COUNTS,
    NAMES,
    SORTS,
    End,
    Filter,
    Session,
    as_json,
    count,
    parse_end,
    show_end,
)

T = TypeVar("T")

CLEAR = "\x1b[H\x1b[2J"
COLUMNS = "%-5s %-24s %-24s %-24s %-24s %-12s %7s"
HEADING = COLUMNS % ("Proto", "Client", "Virtual", "Local", "Real server", "State", "Timeout")
AT_ONCE = 1000  # rows of one write
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
            with without_collector():
                show(given, found(given))
                sys.stdout.flush()
    except (KeepaliveError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        print(error, file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """A large table has no cycles, and looking for them takes longer than all the rest."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def found(given: argparse.Namespace) -> Iterator[Session]:
    if given.namespace is None:
        return wanted(given).select(kernel.read())
    # Imported late: it would take longer than to read a hundred thousand sessions.
    from keepalive_py.dataplane.namespace import run_in

    return iter(run_in(given.namespace, lambda: list(wanted(given).select(kernel.read()))))


def wanted(given: argparse.Namespace) -> Filter:
    return Filter(
        client=given.client,
        virtual=given.vip,
        local=given.local,
        server=given.rs,
        protocol=Protocol[given.protocol.upper()] if given.protocol else None,
        state=given.state.upper() if given.state else None,
    )


def _show_json(given: argparse.Namespace, sessions: Iterator[Session]) -> None:
    """One row a line; with --watch all on one, so that a line is a document."""
    if given.top:
        counted = count(sessions, given.top)[: given.limit]
        rows: Iterable[str] = (json.dumps({given.top: what, "sessions": many}) for what, many in counted)
    else:
        rows = map(as_json, _in_order(given, sessions)[: given.limit])
    between = ", " if given.watch else ",\n"
    sys.stdout.write("[")
    for place, some in enumerate(_batches(rows)):
        sys.stdout.write((between if place else "") + between.join(some))
    sys.stdout.write("]\n")


def _batches(rows: Iterable[T]) -> Iterator[list[T]]:
    """One write for many rows: standard output may be unbuffered (PYTHONUNBUFFERED)."""
    rest = iter(rows)
    while some := list(itertools.islice(rest, AT_ONCE)):
        yield some


def _show_text(given: argparse.Namespace, sessions: Iterator[Session]) -> None:
    live = bool(given.watch) and sys.stdout.isatty()
    if live and not given.limit:
        given.limit = SOME
    lines = _counted(given, sessions) if given.top else _listed(given, sessions)
    if live:
        sys.stdout.write(CLEAR + "\n".join(lines) + "\n")  # at once, or it flickers
    else:
        for some in _batches(lines):
            sys.stdout.write("\n".join(some) + "\n")


def _counted(given: argparse.Namespace, sessions: Iterator[Session]) -> Iterator[str]:
    counted = count(sessions, given.top)
    yield f"{'Sessions':>9}  {given.top.capitalize()}"
    for what, number in counted[: given.limit]:
        yield f"{number:>9}  {what}"
    yield f"{sum(number for _, number in counted):>9}  in all"


def _listed(given: argparse.Namespace, sessions: Iterator[Session]) -> Iterator[str]:
    ordered = _in_order(given, sessions)
    yield HEADING
    yield from map(_row, ordered[: given.limit])
    yield f"{min(len(ordered), given.limit or len(ordered))} of {len(ordered)} sessions"


def _in_order(given: argparse.Namespace, sessions: Iterator[Session]) -> list[Session]:
    key: Callable[[Session], object] = SORTS[given.sort]
    return sorted(sessions, key=key, reverse=given.reverse)  # type: ignore[arg-type]


def _row(one: Session) -> str:
    return COLUMNS % (
        NAMES[one.protocol],
        show_end(one.client, one.client_port),
        show_end(one.virtual, one.virtual_port),
        show_end(one.local, one.local_port),
        show_end(one.server, one.server_port),
        one.state,
        one.timeout,
    )


COMMAND = Command("sessions", "show who is connected through whom", arguments, run)
