"""FULLNAT under the daemon: servers die, weights and pools change, files are reloaded, the
daemon is killed and started again, and no connection to a healthy server is lost."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from lab.daemons import KeepalivePy
from lab.fullnat import LOCAL, VIP, Fullnat
from lab.needs import lacking, without_nat_by_nftables
from lab.servers import Server
from lab.traffic import Stream
from lab.waiting import equal, eventually

LACKING = lacking("nft", "ip") or without_nat_by_nftables()
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

ECHO = 81
CTL = [sys.executable, "-m", "keepalive_py.cli.ctl"]


class Story:
    """The lab, the daemon, echoing servers, and connections that must live."""

    def __init__(self, directory: Path) -> None:
        self.lab = Fullnat()
        self.servers = {
            family: [
                Server(host, "::" if family == 6 else "0.0.0.0", ECHO, name=f"rs{number}")
                for number, host in enumerate(self.lab.hosts, 1)
            ]
            for family in (4, 6)
        }
        for server in (*self.servers[4], *self.servers[6]):
            server.be("serve")
        self.daemon = KeepalivePy(self.lab.node, directory)
        self.pools = {4: [1, 2], 6: [1, 2]}
        self.weights = [1, 1]
        self.streams: list[tuple[Stream, str]] = []

    def write(self) -> None:
        blocks = [_group(family, numbers) for family, numbers in self.pools.items()]
        for family in (4, 6):
            blocks.append(self._service(family, "TCP", ECHO))
            blocks.append(self._service(family, "UDP", 80))
        self.daemon.config.write_text("".join(blocks))

    def _service(self, family: int, protocol: str, port: int) -> str:
        check = f"TCP_CHECK {{\n connect_port {ECHO}\n connect_timeout 1\n }}"
        reals = "".join(
            f" real_server {_address(family, number)} {port} {{\n weight {weight}\n {check}\n }}\n"
            for number, weight in enumerate(self.weights, 1)
        )
        return (
            f"virtual_server {VIP[family]} {port} {{\n delay_loop 0.5\n retry 1\n"
            " delay_before_retry 0.1\n warmup 0\n lvs_sched rr\n"
            f" lvs_method FNAT\n laddr_group_name pool{family}\n protocol {protocol}\n{reals}}}\n"
        )

    # ------------------------------------------------------------ what is

    def table(self) -> dict[str, dict[str, Any]]:
        listed = json.loads(self.lab.node.output([*CTL, "table", "--json"]))
        return {entry["service"]: entry for entry in listed}

    def sessions(self) -> dict[str, dict[str, Any]]:
        """By client."""
        listed = json.loads(self.lab.node.output([*CTL, "sessions", "--json", "--protocol", "tcp"]))
        return {one["client"]: one for one in listed}

    def until(self, *alive: int) -> None:
        """Wait until table and pools are what configuration and health say."""
        equal(self._held, self._wanted(alive), within=20, what=f"the table\n{self.daemon.tail()}")
        rules = self.lab.node.output(["nft", "list", "ruleset"])
        assert rules.count("chain pool4_") == 1
        assert rules.count("chain pool6_") == 1

    def _wanted(self, alive: tuple[int, ...]) -> dict[str, tuple[dict[str, int], list[str]]]:
        return {
            _title(family, protocol, port): (
                {_end(_address(family, number), port): self.weights[number - 1] for number in alive},
                [LOCAL[family].format(number) for number in self.pools[family]],
            )
            for family in (4, 6)
            for protocol, port in (("TCP", ECHO), ("UDP", 80))
        }

    def _held(self) -> dict[str, tuple[dict[str, int], list[str]]]:
        return {
            title: (
                {to["endpoint"]: to["weight"] for to in entry["destinations"] if to["forwarding"] == "FNAT"},
                entry["local_addresses"],
            )
            for title, entry in self.table().items()
        }

    # ------------------------------------------------------------ connections

    def connect(self, count: int) -> None:
        """Connections more of each family, each known with its real server."""
        new = [Stream(self.lab.client, VIP[family], ECHO) for _ in range(count) for family in (4, 6)]
        assert all(stream.alive() for stream in new)
        sessions = self.sessions()
        for stream in new:
            found = sessions[_name(stream)]
            pool = self.pools[6 if found["local"].startswith("[") else 4]
            assert ip_address(_host(found["local"])) in {
                ip_address(LOCAL[6 if found["local"].startswith("[") else 4].format(number))
                for number in pool
            }
            self.streams.append((stream, _host(found["server"])))

    def all_live(self, *, except_on: int = 0) -> None:
        """Every connection to another server than this answers; those to it are forgotten."""
        lost = {_address(family, except_on) for family in (4, 6)} if except_on else set()
        self.streams = [(stream, server) for stream, server in self.streams if server not in lost]
        assert self.streams
        assert [server for stream, server in self.streams if not stream.alive()] == []
        for family in (4, 6):
            assert self.lab.seen_by_server(family, 80, udp=True) in {
                LOCAL[family].format(number) for number in self.pools[family]
            }

    def close(self) -> None:
        if self.daemon.exit_status() is None:
            self.daemon.stop()
        for stream, _ in self.streams:
            stream.close()
        for server in (*self.servers[4], *self.servers[6]):
            server.be("refuse")
        self.lab.close()


def _group(family: int, numbers: list[int]) -> str:
    lines = "".join(f" {LOCAL[family].format(number)}\n" for number in numbers)
    return f"local_address_group pool{family} {{\n{lines}}}\n"


def _address(family: int, number: int) -> str:
    return f"10.2.0.{10 + number}" if family == 4 else f"fd02::{10 + number}"


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _title(family: int, protocol: str, port: int) -> str:
    return f"{protocol} {_end(VIP[family], port)}"


def _host(end: str) -> str:
    return end.rpartition(":")[0].strip("[]")


def _name(stream: Stream) -> str:
    address, port = stream._socket.getsockname()[:2]
    return _end(address, port)


def said(story: Story, words: str, times: int = 1) -> None:
    def heard() -> bool:
        return sum(words in line for line in story.daemon.lines()) >= times

    eventually(heard, within=20, what=f"{words}\n{story.daemon.tail()}")


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    made = Story(tmp_path)
    yield made
    print(made.daemon.tail())
    made.close()


def test_no_connection_to_a_healthy_server_is_lost(story: Story) -> None:
    story.write()
    story.daemon.start()
    story.until(1, 2)
    story.connect(4)

    # A server dies, and comes back.
    for family in (4, 6):
        story.servers[family][0].be("refuse")
    story.until(2)
    story.all_live(except_on=1)
    story.connect(2)
    for family in (4, 6):
        story.servers[family][0].be("serve")
    story.until(1, 2)
    story.all_live()
    story.connect(2)

    # Weights change.
    story.weights = [3, 7]
    story.write()
    story.daemon.reload()
    story.until(1, 2)
    story.all_live()

    # Pools change: grown, replaced.
    for numbers in ([1, 2, 3], [7, 9]):
        story.pools = {4: numbers, 6: numbers}
        story.write()
        story.daemon.reload()
        story.until(1, 2)
        story.all_live()
        story.connect(2)

    # A file that is broken changes nothing.
    before = story.table()
    story.daemon.config.write_text("virtual_server {\n")
    story.daemon.reload()
    said(story, "Reload refused")
    assert {title: entry["destinations"] != [] for title, entry in story.table().items()} == dict.fromkeys(
        before, True
    )
    story.all_live()
    story.write()

    # The daemon is killed and started again: it adopts what it finds.
    story.daemon.end(signal.SIGKILL)
    story.all_live()
    rules = story.lab.node.output(["nft", "-a", "list", "ruleset"])
    story.daemon.start()
    said(story, "Startup complete", times=2)
    story.until(1, 2)
    story.all_live()
    story.connect(1)
    assert story.lab.node.output(["nft", "-a", "list", "ruleset"]) == rules, "the same rules, not equal ones"

    # Somebody flushes the rule set, as firewalls do when they reload.
    story.lab.node.output(["nft", "flush ruleset"])
    story.daemon.reload()
    story.until(1, 2)
    story.all_live()

    # It ends, and nothing of it is left.
    assert story.daemon.stop() == 0
    assert story.table() == {}
    assert story.lab.node.output(["nft", "list", "ruleset"]) == ""
