"""Our engine alone on N targets, as the daemon runs it. `prober.py tcp|http N PORT`.

Ends with SIGTERM and then prints what it saw as JSON. The reports do what the health room must
at least do: look at the verdict and say when to come again.
"""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
from array import array
from typing import Any

from keepalive_py.checkers import REGISTRY
from keepalive_py.checkers.http import HttpGet, Url
from keepalive_py.checkers.tcp import TcpCheck
from keepalive_py.config.check import CheckConfig
from keepalive_py.health.verdict import Passed, Verdict
from keepalive_py.net import Endpoint, parse_address
from keepalive_py.probing import Engine, Limits, phase

INTERVAL = 1.0


def target(number: int, port: int) -> Endpoint:
    return Endpoint(parse_address(f"127.1.{number >> 8}.{number & 255}"), port)


def check(kind: str, where: Endpoint) -> CheckConfig:
    if kind == "tcp":
        return TcpCheck(target=where, connect_timeout=5.0, delay_loop=INTERVAL)
    return HttpGet(target=where, urls=(Url(path="/health"),), connect_timeout=5.0, delay_loop=INTERVAL)


class Listener:
    """One subscriber, and what it was told."""

    __slots__ = ("bad", "due", "late", "seen")

    def __init__(self, due: float, late: array[float]) -> None:
        self.due, self.late = due, late
        self.seen = self.bad = 0

    def report(self, verdict: Verdict, started: float, ended: float) -> float:
        self.late.append(started - self.due)
        self.due = ended + INTERVAL
        self.seen += 1
        if type(verdict) is not Passed:
            self.bad += 1
        return INTERVAL


async def run(kind: str, count: int, port: int) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    engine = Engine(registry=REGISTRY, limits=Limits(), trouble=lambda *told: print(*told, file=sys.stderr))
    engine.attach(loop)
    late = array("d")
    listeners = []
    for number in range(count):
        where = target(number, port)
        first_in = 1.0 + phase(str(where), INTERVAL)
        listeners.append(Listener(engine.clock() + first_in, late))
        engine.add(check(kind, where), listeners[-1].report, first_in=first_in)
    gc.collect()
    gc.freeze()
    began = engine.clock()
    await stop.wait()
    print(json.dumps(summary(listeners, sorted(late), engine.clock() - began, engine.statistics)))
    await engine.close()


def summary(listeners: list[Listener], late: list[float], seconds: float, statistics: Any) -> dict[str, Any]:
    # Each comes every INTERVAL plus what a probe and a tick take: 5 % is more than both.
    least = int((seconds - 1.0 - INTERVAL) / (INTERVAL * 1.05)) - 1
    return {
        "verdicts": sum(one.seen for one in listeners),
        "bad": sum(one.bad for one in listeners),
        "lost": sum(one.seen < least for one in listeners),
        "late_p50": late[len(late) // 2],
        "late_p99": late[len(late) * 99 // 100],
        "late_max": late[-1],
        "unknown": statistics.unknown,
    }


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
