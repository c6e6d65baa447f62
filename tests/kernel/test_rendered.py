"""What `keepalive-ctl render` prints, checked by the routing daemons themselves."""

from __future__ import annotations

import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest

from keepalive_py.announcer.render import Switch
from keepalive_py.lab.cluster import rendered

HEAD = """
bgp_announcer {
    local_as 65101
    router_id 10.0.1.2
    state_directory /run/x
"""
FOUR = """
    prefix 192.0.2.0/24
    prefix 198.51.100.7/32
    peer tor1 {
        address 10.0.1.1
        local 10.0.1.2
        remote_as 65000
    }
"""
SIX = """
    prefix 2001:db8:1::/64
    peer tor2 {
        address 2001:db8::1
        local 2001:db8::2
        remote_as 65000
        bfd off
    }
"""
MORE = """
    vip 203.0.113.9 {
    }
    interface vips
    drain_interface drained
    hold_interface none
    drain_prepend 0
    hold_time 30
    uplink left {
        interface bond0
    }
"""
TEXTS = {"v4": FOUR, "v6": SIX, "both": FOUR + SIX, "more": FOUR + SIX + MORE}
CHECKS = {
    "bird": ["bird", "-p", "-c"],
    "frr": ["vtysh", "-C", "-f"],
    "gobgp": ["gobgpd", "--dry-run", "-f"],
    "exabgp": ["exabgp", "--test"],
}
SWITCHES = {
    "tor1": Switch("tor1", (ip_address("10.0.2.2"),), (ip_address("10.0.9.2"),)),
    "tor2": Switch("tor2", (ip_address("2001:db8::6"),), (ip_address("2001:db8:9::2"),)),
}


def check(kind: str, text: str, directory: Path) -> None:
    path = directory / "speaker.conf"
    path.write_text(text)
    directory.chmod(0o755)
    told = subprocess.run([*CHECKS[kind], str(path)], capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 0, f"{told.stdout}{told.stderr}\n{text}"


@pytest.mark.parametrize("which", TEXTS)
@pytest.mark.parametrize("kind", CHECKS)
def test_the_node_s_configuration_is_right(kind: str, which: str, tmp_path: Path) -> None:
    check(kind, rendered(f"{HEAD}{TEXTS[which]}}}\n", kind), tmp_path)


@pytest.mark.parametrize("peer", SWITCHES)
@pytest.mark.parametrize("kind", ["bird", "frr"])
def test_the_switch_s_configuration_is_right(kind: str, peer: str, tmp_path: Path) -> None:
    check(kind, rendered(f"{HEAD}{TEXTS['both']}}}\n", kind, SWITCHES[peer]), tmp_path)


@pytest.mark.parametrize("kind", CHECKS)
def test_the_check_finds_a_mistake(kind: str, tmp_path: Path) -> None:
    text = rendered(f"{HEAD}{TEXTS['v4']}}}\n", kind)
    spoilt = text.replace("65101", "many", 3)
    assert spoilt != text
    with pytest.raises(AssertionError):
        check(kind, spoilt, tmp_path)
