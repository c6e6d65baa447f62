"""A table of conntrack that is full: the kernel drops our own checks, and no server goes for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from lab import table
from lab.daemons import KeepalivePy
from lab.needs import lacking
from lab.servers import Server
from lab.topology import VIP, Topology
from lab.traffic import Stream
from lab.waiting import eventually

LACKING = lacking("nft", "ipvsadm", "ip")
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

MAX = Path("/proc/sys/net/netfilter/nf_conntrack_max")
TRACKED = """
table ip tracked {
    chain out {
        type filter hook output priority 0
        ct state invalid drop
    }
}
"""
CONFIG = f"""
virtual_server {VIP[4]} 80 {{
    delay_loop 1
    lvs_sched wrr
    lvs_method NAT
    protocol TCP
    real_server 10.2.0.11 80 {{
        TCP_CHECK {{
            connect_timeout 1
            retry 0
        }}
    }}
}}
"""


@pytest.fixture
def topology() -> Iterator[Topology]:
    made = Topology(servers=1)
    yield made
    made.close()


@pytest.fixture
def most() -> Iterator[Path]:
    """The kernel's limit, which all namespaces share; as it was afterwards."""
    before = MAX.read_text()
    yield MAX
    MAX.write_text(before)


def test_no_server_goes_while_conntrack_is_full(topology: Topology, most: Path, tmp_path: Path) -> None:
    node = topology.node
    node.output(["nft", "-f", "-"], stdin=TRACKED)
    echo = Server(topology.hosts[0], "0.0.0.0", 7)
    echo.be("serve")
    daemon = KeepalivePy(node, tmp_path)
    (tmp_path / "keepalived.conf").write_text(CONFIG)
    weights = {f"TCP {VIP[4]}:80": {"10.2.0.11:80": 1}}
    with ExitStack() as stack:
        for _ in range(4):  # answered ones, which the kernel does not drop for others
            stream = Stream(node, "10.2.0.11", 7)
            stack.callback(stream.close)
            assert stream.alive()
        daemon.start()
        stack.callback(daemon.stop)
        eventually(lambda: table.weights(node) == weights, within=30, what="the table")
        most.write_text("2")

        def said() -> bool:
            assert table.weights(node) == weights, daemon.tail()
            return any("conntrack is full" in line for line in daemon.lines())

        eventually(said, within=30, what="it is said that conntrack is full")

        # A refusal comes from the server itself, once there is room again.
        most.write_text("65536")
        topology.servers[4][0].be("refuse")
        eventually(lambda: table.weights(node) == {f"TCP {VIP[4]}:80": {}}, within=30, what="it goes")
