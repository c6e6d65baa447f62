"""The story of a cluster: two nodes announce a VIP to two switches, by real routing daemons.

Order and outcome are asserted; how long each took, at the switch's kernel route, is printed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from lab.needs import without_nat_by_nftables

from keepalive_py.ecmp import linux
from keepalive_py.ecmp.flow import Flow, NextHop
from keepalive_py.lab import story
from keepalive_py.lab.cluster import CLIENT, SEED, SEED_FILE, VIP, Cluster
from keepalive_py.lab.namespace import Namespace
from keepalive_py.lab.needs import lacking
from keepalive_py.lab.traffic import Client
from keepalive_py.net import Protocol


@pytest.fixture(scope="module", params=["bird", "frr"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    if without_nat_by_nftables():
        pytest.skip(without_nat_by_nftables())
    needs = lacking(request.param)
    if needs:
        pytest.fail(f"lacking: {', '.join(needs)}")
    with tempfile.TemporaryDirectory(prefix="cluster.", dir="/run") as directory:
        Path(directory).chmod(0o755)  # FRR, which drops root, has its directories in it
        built = Cluster(Path(directory), kind=request.param)
        try:
            built.start()
            yield built
        finally:
            built.close()


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[Client]:
    with Client(cluster.client, VIP, 80, pause=0.02, timeout=3) as made:
        yield made


def hops(home: Namespace, destination: str) -> list[NextHop]:
    """In the route's order."""
    words = home.output(["ip", "route", "show", destination]).split()
    return [NextHop(words[at + 1]) for at, word in enumerate(words) if word == "via"]


def test_flows_go_where_we_say(cluster: Cluster, client: Client) -> None:
    """Each connection of the client, through two routers that hash: the real server saw by which node."""
    if not Path("/proc/sys", *SEED_FILE.split(".")).exists():
        pytest.skip(f"this kernel has no {SEED_FILE} (Linux 6.11)")
    cluster.whole()
    began = time.monotonic()
    before = [len(server.askers) for server in cluster.servers]
    client.more(100, limit=60)
    seen = {
        port: address
        for server, count in zip(cluster.servers, before, strict=True)
        for address, port in server.askers[count:]
    }
    ports = [one.port for one in client.attempts if one.began >= began and one.server and one.port in seen]
    to_switches = hops(cluster.client, "192.0.2.0/24")
    to_nodes = {f"10.10.{j}.1": hops(switch, VIP) for j, switch in cluster.switches.items()}
    said, found = [], []
    for port in ports:
        flow = Flow(ip_address(CLIENT), ip_address(VIP), Protocol.TCP, port, 80)
        number = linux.flow_hash(flow, SEED)
        node = linux.choose(number, to_nodes[linux.choose(number, to_switches).name]).name
        said.append(f"10.200.{node.split('.')[2]}.1")
        found.append(seen[port])
    assert len(ports) >= 50
    assert said == found


@pytest.mark.parametrize("act", story.ACTS, ids=story.title)
def test_the_story(
    cluster: Cluster, client: Client, act: story.Act, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = story.play(act, cluster, client)
    with capsys.disabled():
        for line in [*stage.told, str(story.cost(client.attempts, stage.began))]:
            print(f"\n  {cluster.kind:5} {story.title(act)}: {line}", end="")
