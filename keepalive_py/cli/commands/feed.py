"""`keepalive-ctl announcer feed`: tell a routing daemon that does not look at interfaces what they hold."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from ipaddress import ip_network

from keepalive_py.announcer.feed import Sink, Source, ToExabgp, ToGobgp, feed
from keepalive_py.announcer.rtnetlink import Listener
from keepalive_py.cli.commands import Command
from keepalive_py.config.bgp_announcer import Network
from keepalive_py.errors import KeepaliveError

PAUSE = 2.0  # s between two looks, when nothing is heard


def network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is no prefix") from None


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("daemon", choices=("exabgp", "gobgp"))
    parser.add_argument("--prefix", action="append", required=True, type=network, help="as in bgp_announcer")
    parser.add_argument("--interface", default="kavip", help="announced plainly; default kavip")
    parser.add_argument(
        "--drain-interface", default="kadrain", help="with GRACEFUL_SHUTDOWN; default kadrain"
    )
    parser.add_argument(
        "--prepend", action="append", default=[], type=int, metavar="ASN", help="to the path of drained ones"
    )
    parser.add_argument("--api", default="", metavar="HOST:PORT", help="of gobgpd")


def run(given: argparse.Namespace) -> int:
    source = Source(given.interface, given.drain_interface, tuple(given.prefix), tuple(given.prepend))
    sink: Sink = ToExabgp(source) if given.daemon == "exabgp" else ToGobgp(source, given.api)
    try:
        asyncio.run(work(source, sink, given.daemon == "exabgp"))
    except (KeepaliveError, OSError) as error:
        print(f"feed: {error}", file=sys.stderr)
        return 1
    return 0


async def work(source: Source, sink: Sink, is_child: bool) -> None:
    """Until the routing daemon whose child we are is gone."""
    news, over = asyncio.Event(), asyncio.Event()
    listener = Listener()

    def heard() -> None:
        listener.drain()
        news.set()

    def answered() -> None:
        if not os.read(0, 4096):
            over.set()

    loop = asyncio.get_running_loop()
    loop.add_reader(listener, heard)
    if is_child:
        loop.add_reader(0, answered)
    tasks = [loop.create_task(feed(source, sink, news, PAUSE)), loop.create_task(over.wait())]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    for task in done:
        task.result()


COMMAND = Command("announcer feed", "tell ExaBGP or GoBGP what the interfaces hold", arguments, run)
