"""FULLNAT under the daemon and under load: servers die, weights and pools change, files are
reloaded, the daemon is killed and started again, somebody flushes the rules, and no connection to
a healthy server is lost; after every step both tables of the kernel are what the model says, by
ipvsadm and nft.

Every step is taken once, and then any of them until KEEPALIVE_SOAK seconds (default 30) are over;
KEEPALIVE_SEED repeats a run that failed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from lab import table
from lab.daemons import KeepalivePy
from lab.flows import Greeter, Load
from lab.fullnat import LOCAL, VIP, Fullnat
from lab.needs import lacking, without_nat_by_nftables
from lab.waiting import equal, eventually

LACKING = lacking("nft", "ip", "ipvsadm") or without_nat_by_nftables()
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

SECONDS = float(os.environ.get("KEEPALIVE_SOAK", "30"))
LONG = "KEEPALIVE_SOAK" in os.environ
# The same in every run of the suite, another one in each long run.
SEED = int(os.environ.get("KEEPALIVE_SEED", str(random.randrange(10**6) if LONG else 1)))
PORT = 81  # of the real servers
# Virtual port and protocol, and the name of the pool, for each family.
SERVICES = ((81, "TCP", "a"), (82, "TCP", "b"), (81, "UDP", "b"), (83, "UDP", "c"))
MOST_FLOWS = 48
ADDRESSES = 12  # of a family, to make pools of

Held = dict[str, tuple[dict[str, int], list[str]]]  # of a service: weights by server, local addresses


class Story:
    """The lab, the daemon, and what ought to be."""

    def __init__(self, directory: Path) -> None:
        self.lab = Fullnat(servers=3)
        self.servers = [Greeter(host, PORT) for host in self.lab.hosts]
        self.load = Load(self.lab.client)
        options = ("--reconcile-interval", "600", "--dont-release-ipvs")
        self.daemon = KeepalivePy(self.lab.node, directory, options=options)
        self.random = random.Random(SEED)
        self.weights = [1, 1, 1]
        self.pools = {"a": [1, 2], "b": [3], "c": [1, 2, 4, 5]}
        self.taken: list[str] = []
        for server in self.servers:
            server.live()

    # ------------------------------------------------------------ what is wanted

    def write(self) -> None:
        text = ""
        for family in (4, 6):
            for name, numbers in self.pools.items():
                lines = "".join(f" {LOCAL[family].format(number)}\n" for number in numbers)
                text += f"local_address_group {name}{family} {{\n{lines}}}\n"
            for port, protocol, pool in SERVICES:
                text += self._service(family, port, protocol, pool)
        self.daemon.config.write_text(text)

    def _service(self, family: int, port: int, protocol: str, pool: str) -> str:
        reals = "".join(
            f" real_server {_address(family, number)} {PORT} {{\n weight {weight}\n"
            " TCP_CHECK {\n connect_timeout 2\n }\n }\n"
            for number, weight in enumerate(self.weights, 1)
        )
        return (
            f"virtual_server {VIP[family]} {port} {{\n delay_loop 0.5\n retry 1\n"
            " delay_before_retry 0.1\n warmup 0\n lvs_sched wrr\n"
            f" lvs_method FNAT\n laddr_group_name {pool}{family}\n protocol {protocol}\n{reals}}}\n"
        )

    def wanted(self) -> Held:
        return {
            f"{protocol} {_end(VIP[family], port)}": (
                {
                    _end(_address(family, number), PORT): self.weights[number - 1]
                    for number, server in enumerate(self.servers, 1)
                    if server.alive
                },
                sorted(LOCAL[family].format(number) for number in self.pools[pool]),
            )
            for family in (4, 6)
            for port, protocol, pool in SERVICES
        }

    # ------------------------------------------------------------ what is

    def held(self) -> Held:
        pools = self.rules()
        entries = table.read(self.lab.node)
        return {
            service: (
                {end: _weight(options) for end, options in entries[service].destinations.items()}
                if service in entries
                else {},
                pools.get(service, []),
            )
            for service in entries.keys() | pools.keys()
        }

    def rules(self) -> dict[str, list[str]]:
        """The local addresses of each service, as nft tells them; nothing else is in our table."""
        listed = json.loads(self.lab.node.output(["nft", "-j", "list", "ruleset"]))["nftables"]
        chains: dict[str, list[str]] = {}
        leads: dict[str, str] = {}
        for item in listed:
            if "rule" in item and item["rule"]["chain"].startswith("pool"):
                chains[item["rule"]["chain"]] = _drawn(item["rule"])
            elif "map" in item:
                protocol = item["map"]["name"].rstrip("46").upper()
                for key, verdict in item["map"].get("elem", []):
                    address, port = key["concat"]
                    leads[f"{protocol} {_end(address, port)}"] = verdict["goto"]["target"]
        for chain in chains.keys() - set(leads.values()):
            leads[f"{chain}, to which nothing leads"] = chain
        return {service: sorted(chains[chain]) for service, chain in leads.items()}

    def settled(self) -> None:
        equal(self.held, self.wanted(), within=30, what=lambda: f"both tables\n{self._tail()}")
        self.load.lives()

    def _tail(self) -> str:
        return f"seed {SEED}, steps {self.taken}\n{self.daemon.tail()}"

    def said(self, words: str, times: int = 1) -> None:
        def heard() -> bool:
            return sum(words in line for line in self.daemon.lines()) >= times

        eventually(heard, within=30, what=lambda: f"{words}\n{self._tail()}")

    # ------------------------------------------------------------ steps

    def connect(self) -> None:
        """A flow more through every service, from an address of its pool."""
        self.load.thin(MOST_FLOWS)
        for family in (4, 6):
            for port, protocol, pool in SERVICES:
                allowed = {ip_address(LOCAL[family].format(number)) for number in self.pools[pool]}
                for flow in self.load.open(VIP[family], port, 1, udp=protocol == "UDP"):
                    assert ip_address(flow.local) in allowed, str(flow)

    def start(self) -> None:
        before = sum("Startup complete" in line for line in self.daemon.lines())
        self.daemon.start()
        self.said("Startup complete", before + 1)

    def reload(self) -> None:
        self.write()
        self.daemon.reload()

    def a_server_dies_and_comes_back(self) -> None:
        server = self.random.choice(self.servers)
        server.die()
        self.load.forget(server.name)
        self.settled()
        self.connect()
        server.live()

    def two_servers_die_and_come_back(self) -> None:
        dying = self.random.sample(self.servers, 2)
        for server in dying:
            server.die()
            self.load.forget(server.name)
        self.settled()
        for server in dying:
            server.live()

    def weights_change(self) -> None:
        """Also to 0, which is no reason to lose what is there."""
        self.weights = [self.random.randint(0, 5), self.random.randint(1, 5), self.random.randint(1, 5)]
        self.random.shuffle(self.weights)
        self.reload()

    def pools_grow_and_shrink(self) -> None:
        for numbers in self.pools.values():
            if len(numbers) > 2:
                numbers.remove(self.random.choice(numbers))
            else:
                numbers.append(self.random.choice([n for n in range(1, ADDRESSES) if n not in numbers]))
        self.reload()

    def pools_are_replaced(self) -> None:
        for name in self.pools:
            self.pools[name] = self.random.sample(range(1, ADDRESSES), self.random.randint(1, 4))
        self.reload()

    def everything_changes_at_once(self) -> None:
        self.weights = self.random.sample(range(1, 9), 3)
        self.pools_are_replaced()

    def a_broken_file_changes_nothing(self) -> None:
        before = sum("Reload refused" in line for line in self.daemon.lines())
        self.daemon.config.write_text("virtual_server {\n")
        self.daemon.reload()
        self.said("Reload refused", before + 1)
        self.write()

    def it_is_killed_and_started(self) -> None:
        self.daemon.end(signal.SIGKILL)
        self.load.lives()
        rules = self.lab.node.output(["nft", "-a", "list", "ruleset"])
        self.start()
        assert self.lab.node.output(["nft", "-a", "list", "ruleset"]) == rules, "the same, not equal ones"

    def it_is_killed_and_finds_another_file(self) -> None:
        self.daemon.end(signal.SIGKILL)
        self.pools = {
            name: [*(n for n in numbers[1:] if n != ADDRESSES), ADDRESSES]
            for name, numbers in self.pools.items()
        }
        self.write()
        self.start()

    def it_ends_and_is_started(self) -> None:
        assert self.daemon.stop() == 0
        self.load.lives()
        self.start()

    def somebody_flushes_the_rules(self) -> None:
        """It is told by the kernel, and puts them back long before the next reading."""
        self.lab.node.output(["nft", "flush ruleset"])

    def somebody_takes_an_element(self) -> None:
        self.lab.node.output(["nft", f"delete element inet keepalive_py tcp4 {{ {VIP[4]} . 81 }}"])

    def somebody_changes_weights(self) -> None:
        end = _end(_address(4, 1), PORT)
        self.lab.node.output(["ipvsadm", "-e", "-t", f"{VIP[4]}:81", "-r", end, "-m", "-w", "9"])
        self.daemon.reload()

    def steps(self) -> list[Callable[[], None]]:
        return [
            self.a_server_dies_and_comes_back,
            self.weights_change,
            self.pools_grow_and_shrink,
            self.it_is_killed_and_started,
            self.pools_are_replaced,
            self.a_broken_file_changes_nothing,
            self.somebody_flushes_the_rules,
            self.it_is_killed_and_finds_another_file,
            self.two_servers_die_and_come_back,
            self.it_ends_and_is_started,
            self.somebody_takes_an_element,
            self.somebody_changes_weights,
            self.everything_changes_at_once,
        ]

    def take(self, step: Callable[[], None]) -> None:
        self.taken.append(step.__name__)
        step()
        self.settled()
        self.connect()

    def close(self) -> None:
        if self.daemon.exit_status() is None:
            self.daemon.kill()
        self.load.thin(0)
        for server in self.servers:
            server.die()
        self.lab.close()


def _address(family: int, number: int) -> str:
    return f"10.2.0.{10 + number}" if family == 4 else f"fd02::{10 + number}"


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _weight(options: str) -> int:
    words = options.split()
    assert words[0] == "-m", options
    return int(words[words.index("-w") + 1])


def _drawn(rule: dict[str, Any]) -> list[str]:
    """The addresses that the one rule of a pool draws from."""
    (expression,) = rule["expr"]
    return [address for _, address in expression["snat"]["addr"]["map"]["data"]["set"]]


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    made = Story(tmp_path)
    yield made
    print(made._tail())
    made.close()


def test_no_connection_to_a_healthy_server_is_lost(story: Story) -> None:
    story.write()
    story.start()
    story.settled()
    story.connect()
    story.connect()

    until = time.monotonic() + SECONDS
    for step in story.steps():
        story.take(step)
    while time.monotonic() < until:
        story.take(story.random.choice(story.steps()))

    # Started without an order to leave the table, it ends and nothing of it is left.
    story.daemon.kill()
    story.daemon.options = story.daemon.options[:-1]
    story.start()
    story.settled()
    assert story.daemon.stop() == 0
    assert story.lab.node.output(["ipvsadm", "-Sn"]) == ""
    assert story.lab.node.output(["nft", "list", "ruleset"]) == ""
    answers = story.load.proven + sum(flow.answers for flow in story.load.flows)
    print(f"{len(story.taken)} steps, {answers} answers")
