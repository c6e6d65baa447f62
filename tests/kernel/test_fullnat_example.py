"""examples/fullnat as it stands there, but for the addresses: they are the lab's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lab import table
from lab.daemons import KeepalivePy
from lab.flows import Greeter, Load
from lab.fullnat import LOCAL, VIP, Fullnat
from lab.needs import lacking, without_nat_by_nftables
from lab.waiting import equal

LACKING = lacking("nft", "ip", "ipvsadm") or without_nat_by_nftables()
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

EXAMPLE = Path(__file__).parents[2] / "examples/fullnat/keepalived.conf"
ADDRESSES = {
    "VIP": VIP[4], "VIP6": VIP[6], "LOCAL": "10.200.0.1-10.200.0.4", "LOCAL6": "fd03::1-fd03::4",
    "RS1": "10.2.0.11", "RS2": "10.2.0.12", "RS1_6": "fd02::11", "RS2_6": "fd02::12",
}  # fmt: skip


def in_the_lab(text: str) -> str:
    """With every definition of an address replaced."""
    for name, value in ADDRESSES.items():
        text, count = re.subn(rf"(?m)^\${name}=.*$", f"${name}={value}", text)
        assert count == 1, name
    return text


def test_the_example_works(tmp_path: Path) -> None:
    lab = Fullnat(servers=2)
    servers = [Greeter(host, 5000) for host in lab.hosts]
    daemon = KeepalivePy(lab.node, tmp_path)
    daemon.config.write_text(in_the_lab(EXAMPLE.read_text()))
    load = Load(lab.client)
    for server in servers:
        server.live()
    try:
        daemon.start()

        def weights() -> dict[str, list[str]]:
            held = table.read(lab.node)
            return {service: sorted(entry.destinations.values()) for service, entry in held.items()}

        wanted = {
            f"TCP {VIP[4]}:80": ["-m -w 1", "-m -w 2"],
            f"TCP [{VIP[6]}]:80": ["-m -w 1", "-m -w 1"],
            f"UDP {VIP[4]}:5000": ["-m -w 1", "-m -w 1"],
        }
        equal(weights, wanted, within=30, what=lambda: f"the table\n{daemon.tail()}")
        for family in (4, 6):
            assert lab.seen_by_server(family, 80) in {LOCAL[family].format(n) for n in range(1, 5)}
        (flow,) = load.open(VIP[4], 5000, 1, udp=True)
        assert flow.local in {LOCAL[4].format(n) for n in range(1, 5)}
        assert daemon.stop() == 0
        assert lab.node.output(["nft", "list", "ruleset"]) == ""
        assert "10.200.0." not in lab.node.output(["ip", "addr"])
    finally:
        if daemon.exit_status() is None:
            daemon.kill()
        load.thin(0)
        for server in servers:
            server.die()
        lab.close()
