"""`keepalive-ctl events`: what happened, and what happens."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from keepalive_py.cli.client import Client, NotAnswered, asking, control_argument, json_argument
from keepalive_py.cli.commands import Command, examples
from keepalive_py.cli.paint import Paint
from keepalive_py.config.spelling import nearest

GOOD = ("_up", "_gained", "_passed", "_restored", "announced", "_lifted", "_full", "complete")
BAD = ("_down", "_lost", "_failed", "_emptied", "_empty", "_refused", "_withdrawn")
MOST = 4096  # that the daemon remembers
AGAIN = 1.0  # seconds until a broken stream is taken up again

Row = dict[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on as things happen, until Ctrl-C")
    parser.add_argument("--kind", metavar="KIND", help="only this kind, as server_down")
    parser.add_argument("-n", "--limit", type=int, metavar="N", help="the latest N (default 100)")
    control_argument(parser)
    json_argument(parser)
    examples(parser, "keepalive-ctl events -n 20", "keepalive-ctl events -f --kind server_down --json")


def run(client: Client, given: argparse.Namespace) -> int:
    paint, last = Paint(), ""
    latest = client.get("/v1/events", follow="false", kind=given.kind, limit=given.limit)["events"]
    for event in latest:
        last = event["id"]
        show(event, given.json, paint)
    if given.kind and not latest:
        print(f"keepalive-ctl: {none_yet(client, given.kind)}", file=sys.stderr)
    while given.follow:
        last = followed(client, given, last, paint)
        time.sleep(AGAIN)
    return 0


def none_yet(client: Client, kind: str) -> str:
    """It may be misspelt, or just not have happened."""
    known = {each["kind"] for each in client.get("/v1/events", follow="false", limit=MOST)["events"]}
    close = nearest(kind, known)
    return f"nothing of kind `{kind}` happened so far" + (f": did you mean `{close}`?" if close else "")


def followed(client: Client, given: argparse.Namespace, last: str, paint: Paint) -> str:
    """Until the stream breaks; the id of the last event."""
    query = f"?kind={given.kind}" if given.kind else ""
    client.timeout = 60.0  # a comment comes every 15 s
    try:
        response = client.open("GET", f"/v1/events{query}", header={"Last-Event-ID": last} if last else {})
        for identity, event in messages(line.decode("utf-8", "replace") for line in response):
            last = identity or last
            show(event, given.json, paint)
    except (NotAnswered, OSError):
        pass  # it may come back: the daemon restarts
    return last


def messages(lines: Iterable[str]) -> Iterator[tuple[str, Row]]:
    """The events of a stream, each with its id."""
    identity, value = "", ""
    for line in lines:
        name, _, text = line.rstrip("\r\n").partition(": ")
        if name == "id":
            identity = text
        elif name == "data":
            value = text
        elif not line.strip() and value:
            yield identity, json.loads(value)
            identity, value = "", ""


def show(event: Row, as_json: bool, paint: Paint) -> None:
    if as_json:
        print(json.dumps(event, ensure_ascii=False), flush=True)
    elif "missed" in event:
        print(paint("yellow", f"({event['missed']} events are no longer known)"), flush=True)
    else:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event["at"]))
        reason = f" ({event['reason']})" if event.get("reason") else ""
        print(f"{stamp}  {paint(colour(event['kind']), event['text'])}{reason}", flush=True)


def colour(kind: str) -> str:
    if kind.endswith(GOOD):
        return "green"
    return "red" if kind.endswith(BAD) else ""


COMMAND = Command("events", "what happened, with reasons; -f follows", arguments, asking(run))
