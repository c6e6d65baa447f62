"""The script that makes a host a real server, run where it has to work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.namespace import Namespace
from lab.needs import lacking

LACKING = lacking("ip", "ps")
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

CTL = str(Path(sys.executable).parent / "keepalive-ctl")


@pytest.fixture
def host() -> Iterator[Namespace]:
    made = Namespace("rs")
    yield made
    made.close()


def test_direct_routing(host: Namespace, tmp_path: Path) -> None:
    """Twice, since it runs at each boot and whenever somebody is not sure."""
    script = tmp_path / "real_server.sh"
    render = [CTL, "config", "render", "-t", "real_server.sh.j2", "-v", "real_server_dr.values.yaml"]
    script.write_text(host.output(render))
    for _ in range(2):
        host.output(["sh", str(script)])
    addresses = host.output(["ip", "-o", "address", "show", "dev", "lo"])
    assert addresses.count("203.0.113.10/32") == 1
    assert addresses.count("2001:db8::10/128") == 1
    for interface in ("all", "lo"):
        found = host.output(["sysctl", "-n", f"net.ipv4.conf.{interface}.arp_ignore"])
        assert found == "1\n"
        found = host.output(["sysctl", "-n", f"net.ipv4.conf.{interface}.arp_announce"])
        assert found == "2\n"
