"""10,000 FULLNAT services on a stock kernel: put there, changed, read back, and what they cost.

    tests/kernel/boot python bench/fullnat.py [SERVICES [SERVERS [POOLS [ROUNDS]]]]

Run inside the kernel that tests/kernel/boot starts (it makes network namespaces). Every figure
is the best of ROUNDS. Exit status 1 when the number of nf_tables rules depends on the number
of services, or when what is read back is not what was put there.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from tables import Measurements, fresh_namespace, longest_wait, timed

from keepalive_py.config.model import Forwarding
from keepalive_py.dataplane.fullnat_snat import FullnatSnatDataplane
from keepalive_py.dataplane.namespace import run_in
from keepalive_py.net import Address, Endpoint, Family, Protocol
from keepalive_py.plan.diff import diff
from keepalive_py.plan.steps import Step
from keepalive_py.plan.table import Destination, Service, ServiceEntry, ServiceKey, Table

TABLE = Path("/proc/net/ip_vs")
POOL = 4  # addresses of a pool
FEW = 10  # the number of rules is compared between so many services and all of them


def wanted_table(services: int, servers: int, pools: int) -> Table:
    """Services of TCP and UDP in turn, spread over the pools."""
    table: Table = {}
    for number in range(services):
        where = Endpoint(ip_address("198.18.0.0") + number // 200, 1000 + number % 200)
        key = ServiceKey(Family.INET, (Protocol.TCP, Protocol.UDP)[number % 2], where)
        ends = [
            Endpoint(ip_address("10.2.0.0") + number % 5000 * servers + each, 80) for each in range(servers)
        ]
        table[key] = ServiceEntry(
            Service(key, "rr"),
            {end: Destination(end, Forwarding.FNAT) for end in ends},
            pool(number % pools),
        )
    return table


def pool(number: int) -> tuple[Address, ...]:
    return tuple(ip_address("10.200.0.1") + number * POOL + each for each in range(POOL))


def rules(namespace: str) -> int:
    """As nft counts them, not we: every line of a chain but its declaration."""
    listed = run_in(
        namespace,
        lambda: subprocess.run(
            ["nft", "--stateless", "list", "table", "inet", "keepalive_py"],
            capture_output=True, text=True, check=True,
        ).stdout,
    )  # fmt: skip
    return sum("vmap @" in line or "snat ip" in line for line in listed.splitlines())


class Round:
    """One namespace, from no service to all of them and back."""

    def __init__(self, namespace: str, table: Table, found: Measurements) -> None:
        self.namespace = namespace
        self.table = table
        self.found = found
        self.plane = FullnatSnatDataplane(namespace=namespace)
        self.rules: dict[int, int] = {}

    async def run(self) -> dict[int, int]:
        """The number of rules by the number of services."""
        await self.plane.open()
        pools = {entry.local_addresses for entry in self.table.values()}
        few = dict(list(self.table.items())[: max(FEW, len(pools))])
        await self.apply("add the first", diff(few, {}))
        await self.check(few)
        await self.apply(f"add all {len(self.table)}", diff(self.table, few))
        await self.check(self.table)
        await self.change_one()
        self.found.add("read back", await timed(self.plane.read))
        self.found.add("longest wait, reading", await longest_wait(self.plane.read))
        gone = diff({}, self.table)
        self.found.add("delete all", await timed(lambda: self.plane.apply(gone)))
        assert await self.plane.read() == {}, "something is left"
        steps = diff(self.table, {})
        self.found.add("longest wait, adding", await longest_wait(lambda: self.plane.apply(steps)))
        await self.plane.flush()
        await self.plane.close()
        return self.rules

    async def apply(self, name: str, steps: Sequence[Step]) -> None:
        async def work() -> None:
            refused = await self.plane.apply(steps)
            assert not refused, refused[:3]

        self.found.add(name, await timed(work))

    async def check(self, table: Table) -> None:
        assert await self.plane.read() == table, "what is read back is not what was put there"
        self.rules[len(table)] = rules(self.namespace)

    async def change_one(self) -> None:
        key, entry = next(iter(self.table.items()))
        without = {each: what for each, what in self.table.items() if each != key}
        lighter = {end: replace(each, weight=7) for end, each in entry.destinations.items()}
        other = replace(entry, local_addresses=pool(1_000))
        await self.apply("delete one service", diff(without, self.table))
        await self.apply("add one service", diff(self.table, without))
        await self.apply(
            "change one's weights", diff({key: replace(entry, destinations=lighter)}, {key: entry})
        )
        await self.apply("weights back", diff({key: entry}, {key: replace(entry, destinations=lighter)}))
        await self.apply("move one to another pool", diff({key: other}, {key: entry}))
        await self.apply("move it back", diff({key: entry}, {key: other}))
        assert await self.plane.read() == self.table, "a change changed something else"


def main(services: int = 10_000, servers: int = 2, pools: int = 8, rounds: int = 3) -> int:
    if not TABLE.exists():
        print(f"no IPVS here; run: tests/kernel/boot {sys.executable} bench/fullnat.py", file=sys.stderr)
        return 2
    found, table = Measurements(), wanted_table(services, servers, pools)
    gc.freeze()  # as the daemon does, or the collector is what is measured
    counts: dict[int, int] = {}
    for _ in range(rounds):
        with fresh_namespace() as name:
            forward = ["sysctl", "-qw", "net.ipv4.ip_forward=1"]
            subprocess.run(["ip", "netns", "exec", name, *forward], check=True)
            counts = asyncio.run(Round(name, table, found).run())
    print(f"{services} FNAT services x {servers} real servers, {pools} pools of {POOL}, best of each, ms")
    for what, seconds in found.best.items():
        print(f"  {what:28}{seconds * 1000:10.2f}")
    for many, number in counts.items():
        print(f"  rules with {many} services: {number}")
    return 0 if len(set(counts.values())) == 1 else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
