"""`keepalive-ctl dashboard`: the page in a browser, also through ssh -L."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys

from keepalive_py.cli.client import Client, asking, control_argument
from keepalive_py.cli.commands import Command

HOST = "127.0.0.1"


def arguments(parser: argparse.ArgumentParser) -> None:
    control_argument(parser)
    parser.add_argument(
        "--port", type=int, default=0, metavar="PORT", help="on loopback (default: a free one)"
    )


def run(client: Client, given: argparse.Namespace) -> int:
    client.get("/v1/caller")  # says at once when nobody answers
    try:
        asyncio.run(serve(given.control, given.port))
    except OSError as error:
        print(f"keepalive-ctl: port {given.port} of {HOST}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


async def serve(control: str, port: int) -> None:
    """Until Ctrl-C."""
    from aiohttp import web

    from keepalive_py.cli.proxy import Proxy

    channel = socket.create_server((HOST, port))
    port = channel.getsockname()[1]
    proxy = Proxy(control, lambda once: print(f"for another browser: {link(port, once)}", flush=True))
    runner = web.AppRunner(
        proxy.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.2
    )
    await runner.setup()
    await web.SockSite(runner, channel).start()
    print(f"open {link(port, proxy.once)}")
    if "SSH_CONNECTION" in os.environ:
        print(f"from your own machine first: ssh -L {port}:{HOST}:{port} {os.uname().nodename}")
    print("The link works once. Ctrl-C ends it.", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def link(port: int, once: str) -> str:
    return f"http://{HOST}:{port}/#once={once}"


COMMAND = Command("dashboard", "show the daemon in a browser, by a port on loopback", arguments, asking(run))
