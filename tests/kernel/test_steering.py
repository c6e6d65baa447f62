"""A server is drained, on a real kernel: its connections live, new ones go elsewhere, and this outlives
the daemon."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import table
from lab.daemons import KeepalivePy
from lab.needs import lacking
from lab.servers import Server
from lab.topology import VIP, Topology
from lab.traffic import Client, Stream
from lab.waiting import eventually

LACKING = lacking("ipvsadm", "ip")
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)


def virtual_server(topology: Topology, port: int) -> str:
    check = "        TCP_CHECK {\n            connect_timeout 2\n        }\n"
    servers = "".join(
        f"    real_server {topology.address(number)} {port} {{\n{check}    }}\n" for number in (1, 2)
    )
    return (
        f"virtual_server {VIP[4]} {port} {{\n    delay_loop 1\n    lvs_sched rr\n    lvs_method NAT\n"
        f"    protocol TCP\n{servers}}}\n"
    )


@pytest.fixture
def topology() -> Iterator[Topology]:
    built = Topology()
    for host in built.hosts[:2]:  # an echoing service beside, for connections that last
        Server(host, "0.0.0.0", 7).be("serve")
    yield built
    built.close()


@pytest.fixture
def daemon(topology: Topology, tmp_path: Path) -> Iterator[KeepalivePy]:
    options = ("-I", "--state-directory", str(tmp_path / "state"))
    daemon = KeepalivePy(topology.node, tmp_path, options=options)
    daemon.config.write_text(virtual_server(topology, 80) + virtual_server(topology, 7))
    daemon.start()
    yield daemon
    if daemon.exit_status() is None:
        daemon.stop()
    print(daemon.tail())


def ctl(daemon: KeepalivePy, *words: str) -> str:
    command = [sys.executable, "-m", "keepalive_py.cli.ctl", *words, "--control", str(daemon.control)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def weights(topology: Topology, port: int) -> dict[str, str]:
    """What ipvsadm says of each server, by its address."""
    entry = table.read(topology.node).get(f"TCP {VIP[4]}:{port}")
    return (
        {}
        if entry is None
        else {name.partition(":")[0]: str(one) for name, one in entry.destinations.items()}
    )


def test_a_drained_server_keeps_its_connections_and_gets_no_new_ones(
    topology: Topology, daemon: KeepalivePy
) -> None:
    first, second = topology.address(1), topology.address(2)
    eventually(lambda: set(weights(topology, 7)) == {first, second}, within=30, what="the table")
    before = weights(topology, 80)
    streams = [Stream(topology.client, VIP[4], 7) for _ in range(2)]  # by turns: one to each server
    assert all(stream.alive() for stream in streams)

    with Client(topology.client, VIP[4], 80) as client:
        client.sees("rs1", "rs2")
        assert "drained" in ctl(daemon, "drain", first, "--reason", "a new kernel")
        client.sees("rs2")
        assert all(stream.alive() for stream in streams)
        drained = weights(topology, 80)
        assert drained[first] != before[first]
        assert drained[second] == before[second]

        daemon.stop()
        daemon.start()
        eventually(daemon.control.exists, within=30, what="the control socket")
        assert "a new kernel" in ctl(daemon, "overrides")
        assert weights(topology, 80) == drained
        client.more()
        assert client.servers(client.attempts[-20].began) == {"rs2"}
        assert all(stream.alive() for stream in streams)

        for stream in streams:
            stream.close()
        assert "no connections left" in ctl(daemon, "drain", first, "--wait", "60s")
        ctl(daemon, "undrain", first)
        client.sees("rs1", "rs2")
    assert client.errors() == []
    assert weights(topology, 80) == before
