"""Local addresses bound by the daemon, in the real servers' own subnet: the servers have no route
to anything else and would not answer the node's own address, so checks must come from a local
address, too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import table
from lab.daemons import KeepalivePy
from lab.flows import Greeter, Load
from lab.fullnat import VIP, Fullnat
from lab.needs import lacking, without_nat_by_nftables
from lab.waiting import equal, eventually

LACKING = lacking("nft", "ip", "ipvsadm") or without_nat_by_nftables()
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

PORT = 81
NET = {4: "10.2.0.{}", 6: "fd02::{}"}
THEIRS = "10.2.0.209"  # bound by the operator


class Story:
    def __init__(self, directory: Path) -> None:
        self.lab = Fullnat(servers=2)
        self.servers = [Greeter(host, PORT) for host in self.lab.hosts]
        for server in self.servers:
            server.live()
            server.host.ip(
                "route flush 10.200.0.0/24", "route flush fd03::/64",
                "route add blackhole 10.2.0.1/32", "route add blackhole fd02::1/128",
            )  # fmt: skip
        # A session is forgotten soon after its end.
        for state in ("time_wait", "fin_wait", "last_ack", "close_wait", "close"):
            self.lab.node.sysctl(f"net.netfilter.nf_conntrack_tcp_timeout_{state}", 1)
        self.load = Load(self.lab.client)
        self.daemon = KeepalivePy(
            self.lab.node, directory,
            options=("--state-directory", str(directory / "state")),
        )  # fmt: skip
        (directory / "state").mkdir(mode=0o700)

    def write(self, *numbers: int, checks: str = "check_from_local_address") -> None:
        text = ""
        for family in (4, 6):
            lines = "".join(f" {NET[family].format(number)} back\n" for number in numbers)
            text += f"local_address_group pool{family} {{\n{lines}}}\n"
            check = "TCP_CHECK {\n connect_timeout 1\n }"
            servers = "".join(
                f" real_server {NET[family].format(number)} {PORT} {{\n {check}\n }}\n" for number in (11, 12)
            )
            text += (
                f"virtual_server {VIP[family]} 80 {{\n delay_loop 0.5\n retry 1\n delay_before_retry 0.1\n"
                f" warmup 0\n alpha\n lvs_sched rr\n lvs_method FNAT\n laddr_group_name pool{family}\n"
                f" {checks}\n protocol TCP\n{servers}}}\n"
            )
        self.daemon.config.write_text(text)

    def bound(self) -> set[str]:
        """Host addresses on the interface towards the servers."""
        listed = json.loads(self.lab.node.output(["ip", "-j", "addr", "show", "dev", "back"]))
        return {
            each["local"]
            for each in listed[0]["addr_info"]
            if each["prefixlen"] == (32 if each["family"] == "inet" else 128)
        }

    def has_bound(self, *numbers: int, within: float = 20) -> None:
        wanted = {NET[family].format(number) for family in (4, 6) for number in numbers}
        equal(self.bound, wanted, within=within, what=lambda: f"bound\n{self.daemon.tail()}")

    def in_pool(self) -> int:
        return sum(len(entry.destinations) for entry in table.read(self.lab.node).values())

    def close(self) -> None:
        if self.daemon.exit_status() is None:
            self.daemon.kill()
        self.load.thin(0)
        for server in self.servers:
            server.die()
        self.lab.close()


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    made = Story(tmp_path)
    yield made
    print(made.daemon.tail())
    made.close()


def test_local_addresses_are_bound_checked_from_and_kept_while_a_session_has_them(story: Story) -> None:
    story.write(201, 202)
    story.daemon.start()
    story.has_bound(201, 202)
    equal(story.in_pool, 4, within=20, what=lambda: f"servers that answer\n{story.daemon.tail()}")
    flows = [flow for family in (4, 6) for flow in story.load.open(VIP[family], 80, 2)]
    assert {flow.local for flow in flows} <= {NET[family].format(n) for family in (4, 6) for n in (201, 202)}

    # Without the option checks leave from the node's own address, which the servers do not answer.
    story.write(201, 202, checks="")
    story.daemon.reloaded()
    equal(story.in_pool, 0, within=20, what=lambda: f"nobody answers\n{story.daemon.tail()}")
    story.write(201, 202)
    story.daemon.reloaded()
    equal(story.in_pool, 4, within=20, what=lambda: f"servers that answer again\n{story.daemon.tail()}")
    story.load.lives()

    # Other addresses: the old ones stay at least as long as a session has them.
    story.write(203)
    story.daemon.reloaded()
    story.has_bound(201, 202, 203)
    assert {flow.local for flow in story.load.open(VIP[4], 80, 1)} == {NET[4].format(203)}
    story.load.lives()

    # Killed and started: it knows what is its own, and who still needs it.
    story.daemon.kill()
    story.daemon.start()
    story.load.lives()
    story.load.thin(0)
    story.has_bound(203, within=40)

    # Somebody takes one away.
    story.lab.node.ip(f"addr del {NET[4].format(203)}/32 dev back")
    story.has_bound(203)

    # One that the operator has bound is used, and left where it is.
    story.lab.node.ip(f"addr add {THEIRS}/32 dev back")
    story.write(203, 209)
    story.daemon.reloaded()
    eventually(lambda: "not put there by us" in story.daemon.tail(), within=20, what="theirs is noticed")
    assert story.daemon.stop() == 0
    assert story.bound() == {THEIRS}
