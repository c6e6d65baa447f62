"""A table of 1,000 services with 10 real servers each, into the real kernel: ours beside ipvsadm.

    tests/kernel/boot python bench/tables.py [SERVICES [SERVERS [ROUNDS]]]

Run inside the kernel that tests/kernel/boot starts (it makes network namespaces). Every
figure is the best of ROUNDS, and both programs take turns in the same run, because times
on a busy machine differ from one minute to the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from keepalive_py.dataplane.ipvs import IpvsDataplane
from keepalive_py.dataplane.namespace import run_in
from keepalive_py.net import Endpoint, Family, Protocol
from keepalive_py.plan.steps import AddDestination, AddService, DeleteService, EditDestination, Step
from keepalive_py.plan.table import Destination, Service, ServiceEntry, ServiceKey, Table

TABLE = Path("/proc/net/ip_vs")
GOAL = 0.1  # of ipvsadm -R's time


def wanted_table(services: int, servers: int) -> Table:
    table: Table = {}
    for number in range(services):
        high, low = divmod(number, 250)
        where = Endpoint(ip_address(f"192.0.{high}.{low + 1}"), 80)
        key = ServiceKey(Family.INET, Protocol.TCP, where)
        ends = [Endpoint(ip_address(f"10.{high}.{low}.{i + 1}"), 80) for i in range(servers)]
        table[key] = ServiceEntry(Service(key, "wrr"), {end: Destination(end, weight=1) for end in ends})
    return table


def additions(table: Table) -> list[Step]:
    steps: list[Step] = []
    for key, entry in table.items():
        steps.append(AddService(entry.service))
        steps += [AddDestination(key, each) for each in entry.destinations.values()]
    return steps


def reweighted(table: Table, weight: int) -> list[Step]:
    return [
        EditDestination(key, replace(each, weight=weight))
        for key, entry in table.items()
        for each in entry.destinations.values()
    ]


def as_ipvsadm(table: Table) -> str:
    lines = []
    for key, entry in table.items():
        lines.append(f"-A -t {key.endpoint} -s {entry.service.scheduler}")
        lines += [
            f"-a -t {key.endpoint} -r {end} -m -w {each.weight}" for end, each in entry.destinations.items()
        ]
    return "\n".join(lines) + "\n"


def ipvsadm(namespace: str, *arguments: str, stdin: str = "") -> None:
    """Started from a thread that is in the namespace, so that nothing else is measured."""
    command = ["ipvsadm", *arguments]
    run_in(
        namespace, lambda: subprocess.run(command, input=stdin, text=True, capture_output=True, check=True)
    )


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


async def longest_wait(work: Callable[[], Awaitable[object]]) -> float:
    """How long, at the most, other tasks had to wait during `work`."""
    longest, latest = 0.0, time.perf_counter()

    async def bystander() -> None:
        nonlocal longest, latest
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, latest = max(longest, now - latest), now

    task = asyncio.create_task(bystander())
    await asyncio.sleep(0)
    await work()
    await asyncio.sleep(0)
    task.cancel()
    return longest


class Measurements:
    """The best time of each thing measured."""

    def __init__(self) -> None:
        self.best: dict[str, float] = {}

    def add(self, name: str, seconds: float) -> None:
        self.best[name] = min(seconds, self.best.get(name, seconds))


async def ipvsadm_round(namespace: str, table: Table, found: Measurements) -> None:
    text = as_ipvsadm(table)
    found.add("ipvsadm -R", await timed(lambda: asyncio.to_thread(ipvsadm, namespace, "-R", stdin=text)))
    found.add("ipvsadm -Sn", await timed(lambda: asyncio.to_thread(ipvsadm, namespace, "-Sn")))
    plane = IpvsDataplane(namespace=namespace)
    await plane.open()
    assert await plane.read() == table, "ipvsadm made another table"
    await plane.close()


async def our_round(namespace: str, table: Table, found: Measurements) -> None:
    plane = IpvsDataplane(namespace=namespace)
    await plane.open()
    steps = additions(table)
    found.add("add all", await timed(lambda: plane.apply(steps)))
    found.add("read back", await timed(plane.read))
    assert await plane.read() == table, "we made another table"
    found.add("counters", await timed(plane.counters))
    every, one = reweighted(table, 5), reweighted(table, 6)[:1]
    found.add("edit every weight", await timed(lambda: plane.apply(every)))
    found.add("edit one weight", await timed(lambda: plane.apply(one)))
    found.add("add all, all there", await timed(lambda: plane.apply(steps)))
    found.add("delete all", await timed(lambda: plane.apply([DeleteService(key) for key in table])))
    await plane.close()


async def waiting_round(namespace: str, table: Table, found: Measurements) -> None:
    plane = IpvsDataplane(namespace=namespace)
    await plane.open()
    steps = additions(table)
    found.add("longest wait, adding", await longest_wait(lambda: plane.apply(steps)))
    found.add("longest wait, reading", await longest_wait(plane.read))
    found.add("flush", await timed(plane.flush))
    await plane.close()


@contextlib.contextmanager
def fresh_namespace() -> Iterator[str]:
    """One for each that is measured: the kernel keeps deleted servers for two minutes and
    searches them at every addition, so whoever comes second would pay for the first."""
    name = f"bench-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        # Without loopback the kernel takes no address for a unicast one.
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def report(found: Measurements, services: int, servers: int) -> float:
    print(f"{services} services x {servers} real servers, best of each, ms")
    for name, seconds in found.best.items():
        print(f"  {name:24}{seconds * 1000:10.2f}")
    ratio = found.best["add all"] / found.best["ipvsadm -R"]
    print(f"add all / ipvsadm -R: {ratio:.3f} (goal {GOAL})")
    print(f"read back / ipvsadm -Sn: {found.best['read back'] / found.best['ipvsadm -Sn']:.3f}")
    return ratio


ROUNDS = (ipvsadm_round, our_round, waiting_round)


def main(services: int = 1000, servers: int = 10, rounds: int = 3) -> int:
    if not TABLE.exists():
        print(f"no IPVS here; run: tests/kernel/boot {sys.executable} bench/tables.py", file=sys.stderr)
        return 2
    found, table = Measurements(), wanted_table(services, servers)
    for _ in range(rounds):
        for measure in ROUNDS:
            with fresh_namespace() as name:
                asyncio.run(measure(name, table, found))
    return 0 if report(found, services, servers) <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
