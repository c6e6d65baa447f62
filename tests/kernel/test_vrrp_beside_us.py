"""The guide's `keepalived -P` beside keepalive-py: one file, VRRP by the one, services by the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import table
from lab.daemons import Daemon, Keepalived, KeepalivePy
from lab.needs import lacking
from lab.topology import Topology
from lab.traffic import Client
from lab.waiting import equal, eventually

LACKING = lacking("ipvsadm", "ip", "keepalived")
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

ADDRESS = "10.99.0.9"
CONFIG = f"""
vrrp_instance one {{
    interface eth0
    state MASTER
    virtual_router_id 51
    priority 200
    advert_int 0.2
    virtual_ipaddress {{
        {ADDRESS}/32
    }}
}}
virtual_server {ADDRESS} 80 {{
    delay_loop 0.5
    warmup 0
    lvs_sched rr
    lvs_method NAT
    protocol TCP
    ha_suspend
    real_server 10.2.0.11 80 {{
        TCP_CHECK {{
        }}
    }}
}}
"""


class Vrrp(Keepalived):
    """keepalived for VRRP alone, from the same file, with pid files of its own."""

    def command(self) -> list[str]:
        pids = [f"-{letter}{self.directory}/vrrp-{letter}.pid" for letter in "pr"]
        return ["keepalived", "-P", "-n", "-l", "-D", "-f", str(self.config), *pids, *self.options]


class SamePid(Vrrp):
    def command(self) -> list[str]:
        return [*super().command(), f"-p{self.directory}/p.pid"]


@pytest.fixture
def topology() -> Iterator[Topology]:
    built = Topology(servers=1)
    yield built
    built.close()


@pytest.fixture
def both(topology: Topology, tmp_path: Path) -> Iterator[tuple[Daemon, Daemon]]:
    pair = KeepalivePy(topology.node, tmp_path), Vrrp(topology.node, tmp_path)
    pair[1].log = tmp_path / "vrrp.log"
    pair[1].log.touch()
    pair[0].config.write_text(CONFIG)
    yield pair
    for daemon in pair:
        if daemon.child is not None and daemon.exit_status() is None:
            daemon.stop()
        print(daemon.tail())


def has_address(topology: Topology) -> bool:
    return ADDRESS in topology.node.output(["ip", "-br", "address", "show", "dev", "eth0"])


def until(topology: Topology, there: bool) -> None:
    equal(lambda: has_address(topology), there, within=30, what="the address")


def test_vrrp_and_services_of_one_file(topology: Topology, both: tuple[Daemon, Daemon]) -> None:
    ours, vrrp = both
    ours.start()
    eventually(lambda: "Startup complete" in ours.lines(), within=30, what="our start")
    assert any(line.startswith("Deactivating healthchecker") for line in ours.lines())

    same = SamePid(topology.node, ours.directory)
    same.log = vrrp.log
    same.start()
    assert same.wait() == 0
    assert any("already running" in line for line in vrrp.lines())

    vrrp.start()
    until(topology, there=True)
    eventually(
        lambda: any(f"reports IP {ADDRESS} added" in line for line in ours.lines()),
        within=30,
        what="ha_suspend",
    )
    with Client(topology.client, ADDRESS, 80) as client:
        client.sees("rs1")
        for daemon in both:
            daemon.reloaded()
        client.more(20)
        assert client.errors() == []

    vrrp.stop()
    until(topology, there=False)
    assert list(table.read(topology.node)) == [f"TCP {ADDRESS}:80"]

    vrrp.start()
    until(topology, there=True)
    ours.stop()
    assert table.read(topology.node) == {}
    assert has_address(topology)
