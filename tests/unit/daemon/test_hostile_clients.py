"""Two hundred clients that mean ill, beside checks that must not notice.

The daemon runs in a process of its own. What is asserted always is the processor time that a turn of its loop
takes. How late probes begin also depends on who else uses the machine: it is asserted when the machine let
the daemon run, which the kernel tells (schedstat).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keepalive_py.cli.client import Client, NotAnswered, Refused
from keepalive_py.probing.statistics import LATENESS_BOUNDS

TURN_LIMIT = 0.05  # seconds of processor time
LAG_LIMIT = 0.05  # seconds that 99 of 100 probes may begin late
PROBES = 2400  # that must have run while the clients were there: longer than a head may take
CLIENTS = 200
PATIENCE = 120.0  # seconds; never waited for in vain

PROGRAM = """
import asyncio, json, selectors, sys, time, types
from keepalive_py.checkers import REGISTRY
from keepalive_py.control.listening import ControlSocket, load_server
from keepalive_py.daemon import probes, voice
from keepalive_py.daemon.controlled import Controlled
from keepalive_py.daemon.loading import load
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.supervisor import Supervisor
from keepalive_py.dataplane import MemoryDataplane
from keepalive_py.notify.notifier import Notifier
from keepalive_py.notify.security import account
from keepalive_py.probing import Engine
import structlog
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
probes.FIRST_CHECK = 0.1

class Timed(selectors.EpollSelector):
    '''Remembers the processor time of the loop's thread between two waits.'''
    longest = began = 0.0
    def select(self, timeout=None):
        self.longest = max(self.longest, time.thread_time() - self.began)
        ready = super().select(timeout)
        self.began = time.thread_time()
        return ready

async def main():
    engine = Engine(registry=REGISTRY, trouble=voice.trouble)
    engine.attach(asyncio.get_running_loop())
    config = load(Options(config_file=sys.argv[1])).config
    notifier = Notifier(None, account, voice.warn, time.time)
    supervisor = Supervisor(config, MemoryDataplane(), engine, notifier, router_id="x")
    await supervisor.start()
    said = dict(digest="", since=0.0, generation=None, instead_of_files=None, refused=None, held=False)
    configuring = types.SimpleNamespace(summary=lambda: said)
    life = types.SimpleNamespace(supervisor=supervisor, born=0.0, began=0.0, configuring=configuring)
    mistakes = []
    complain = lambda where, error: mistakes.append(f"{where}: {error!r}")
    control = ControlSocket(Controlled(life), mistakes.append, complain)
    await load_server()
    control.open(sys.argv[2])
    await asyncio.sleep(1)
    timed.longest = 0.0
    at_first = [int(each) for each in open("/proc/self/schedstat").read().split()][:2]
    await asyncio.to_thread(sys.stdin.readline)
    found = {"longest": timed.longest, "mistakes": mistakes, "failed": engine.statistics.failed,
             "unknown": engine.statistics.unknown, "cut_off": control.server.gate.cut_off,
             "refused": control.server.gate.refused, "late": engine.statistics.late.counts}
    begun = [int(each) for each in open("/proc/self/schedstat").read().split()]
    found["ran"], found["waited"] = (now - then for now, then in zip(begun, at_first))
    print(json.dumps(found), flush=True)
    await control.close()
    await supervisor.stop(keep_table=True)
    await supervisor.close()

timed = Timed()
with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(timed)) as runner:
    runner.run(main())
"""


def configuration(port: int) -> str:
    servers = "".join(
        f" real_server 127.0.0.{number} {port} {{\n  TCP_CHECK {{\n   delay_loop 0.1\n   warmup 0.1\n"
        "   connect_timeout 5\n  }\n }\n"
        for number in range(1, 21)
    )
    return f"virtual_server 10.0.0.1 80 {{\n lb_algo rr\n lb_kind NAT\n protocol TCP\n{servers}}}\n"


class Hostile:
    """Threads that do ill until they are told to stop."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.stop = threading.Event()
        kinds = (self.silent, self.slow, self.garbage, self.deaf, self.greedy)
        self.threads = [
            threading.Thread(target=self.again, args=(kinds[number % len(kinds)],))
            for number in range(CLIENTS)
        ]

    def __enter__(self) -> None:
        threading.stack_size(256 * 1024)
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def again(self, ill: Callable[[socket.socket], None]) -> None:
        while not self.stop.is_set():
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as channel:
                channel.settimeout(1.0)
                channel.connect(self.path)
                ill(channel)
            self.stop.wait(0.5)

    def silent(self, channel: socket.socket) -> None:
        """Connects, and no more."""
        self.stop.wait(5)

    def slow(self, channel: socket.socket) -> None:
        """One letter at a time."""
        for letter in b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1000:
            channel.send(bytes([letter]))
            if self.stop.wait(0.2):
                return

    def garbage(self, channel: socket.socket) -> None:
        channel.sendall(b"\0\xff garbage \r\n" * 5000)

    def deaf(self, channel: socket.socket) -> None:
        """Asks for much, and does not read."""
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        channel.sendall(b"GET /v1/snapshot HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        self.stop.wait(5)

    def greedy(self, channel: socket.socket) -> None:
        """Asks for everything, and goes."""
        channel.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        channel.recv(100)


def started(client: Client) -> int:
    """How many probes have begun, as a well-behaved client learns between all the others."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return int(client.get("/v1/snapshot")["probes"]["started"])
        except (NotAnswered, Refused):
            assert time.monotonic() < deadline
            time.sleep(0.1)


@contextlib.contextmanager
def daemon(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with socket.create_server(("", 0), backlog=4096) as listening:
        config, path = tmp_path / "lb.conf", str(tmp_path / "control.sock")
        config.write_text(configuration(listening.getsockname()[1]))
        accepting = threading.Thread(target=accept_all, args=(listening,), daemon=True)
        accepting.start()
        command = [sys.executable, "-c", PROGRAM, str(config), path]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            try:
                yield child, path
            finally:
                child.kill()
        listening.shutdown(socket.SHUT_RDWR)


def accept_all(listening: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            listening.accept()[0].close()


def percentile(share: float, counts: list[int]) -> float:
    """The upper bound of the class that has it."""
    sums = itertools.accumulate(counts)
    bounds = (*LATENESS_BOUNDS, float("inf"))
    return next(bound for bound, below in zip(bounds, sums, strict=True) if below >= share * sum(counts))


@pytest.mark.slow
def test_checks_do_not_notice(tmp_path: Path) -> None:
    with daemon(tmp_path) as (child, path):
        client = Client(path, timeout=10.0)
        before = started(client)
        with Hostile(path):
            while started(client) < before + PROBES:
                time.sleep(0.2)
        out, _ = child.communicate("end\n", timeout=PATIENCE)
    found: dict[str, Any] = json.loads(out)
    assert found["mistakes"] == []
    assert (found["failed"], found["unknown"]) == (0, 0)
    assert found["refused"] > 0  # there are fewer places than clients
    assert found["cut_off"] > 0  # who took too long
    lag = percentile(0.99, found["late"])
    share = found["waited"] / found["ran"]
    print(f"99 of 100 probes began within {lag * 1000:g} ms; the daemon waited {share:.0%} of what it ran")
    assert lag <= LAG_LIMIT or share > 0.5
    assert found["longest"] <= TURN_LIMIT
