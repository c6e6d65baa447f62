"""The story of a cluster: two nodes announce a VIP to two switches, by real routing daemons.

Order and outcome are asserted; how long each took, at the switch's kernel route, is printed.
"""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest
from lab.daemons import PreloadedKeepalivePy
from lab.needs import without_nat_by_nftables
from lab.preload import Preload
from lab.waiting import equal

from keepalive_py.ecmp import linux
from keepalive_py.ecmp.flow import Flow, NextHop
from keepalive_py.lab import story
from keepalive_py.lab.cluster import CLIENT, QUIET, SEED_FILE, SEEDS, VIP, Cluster
from keepalive_py.lab.namespace import Namespace
from keepalive_py.lab.needs import lacking
from keepalive_py.lab.traffic import Client
from keepalive_py.net import Protocol


@pytest.fixture(scope="module")
def preload() -> Iterator[Preload]:
    """Daemons start often here."""
    made = Preload()
    yield made
    made.close()


@pytest.fixture(scope="module", params=["bird", "frr"])
def cluster(request: pytest.FixtureRequest, preload: Preload) -> Iterator[Cluster]:
    if without_nat_by_nftables():
        pytest.skip(without_nat_by_nftables())
    needs = lacking(request.param)
    if needs:
        pytest.fail(f"lacking: {', '.join(needs)}")
    with tempfile.TemporaryDirectory(prefix="cluster.", dir="/run") as directory:
        Path(directory).chmod(0o755)  # FRR, which drops root, has its directories in it
        make = partial(PreloadedKeepalivePy, preload=preload, options=QUIET)
        built = Cluster(Path(directory), kind=request.param, make=make)
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


WATCH = (
    "add table inet seen; add set inet seen ports { type inet_service; size 9999; flags dynamic; };"
    "add chain inet seen came { type filter hook prerouting priority 0; };"
    "add rule inet seen came udp dport 80 add @ports { udp sport }"
)
FLOWS = range(20000, 20200)


def ports_seen(home: Namespace) -> set[int]:
    listed = json.loads(home.output(["nft", "-j", "list", "set", "inet", "seen", "ports"]))
    return set(listed["nftables"][1]["set"].get("elem", []))


def send_a_datagram_from_each() -> None:
    """Not connected: what a connected socket sends in this kernel carries the socket's own hash to the
    next router, as what some network cards receive does."""
    for port in FLOWS:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((CLIENT, port))
            sender.sendto(b"?", (VIP, 80))


def test_flows_go_where_we_say(cluster: Cluster) -> None:
    """Through two routers that hash, one after the other."""
    if not Path("/proc/sys", *SEED_FILE.split(".")).exists():
        pytest.skip(f"this kernel has no {SEED_FILE} (Linux 6.11)")
    cluster.whole()
    for node in cluster.nodes.values():
        node.output(["nft", WATCH])
    cluster.client.call(send_a_datagram_from_each)
    to_switches = hops(cluster.client, "192.0.2.0/24")
    to_nodes = {j: hops(switch, VIP) for j, switch in cluster.switches.items()}
    said: dict[int, set[int]] = {i: set() for i in cluster.numbers}
    for port in FLOWS:
        flow = Flow(ip_address(CLIENT), ip_address(VIP), Protocol.UDP, port, 80)
        first = linux.choose(linux.flow_hash(flow, SEEDS["client"]), to_switches).name
        j = int(first.split(".")[2])
        second = linux.choose(linux.flow_hash(flow, SEEDS[f"switch{j}"]), to_nodes[j]).name
        said[int(second.split(".")[2])].add(port)
    for i, node in cluster.nodes.items():
        equal(partial(ports_seen, node), said[i], within=10, what=f"flows of node{i}")
        node.output(["nft", "delete table inet seen"])
    assert all(said.values())


@pytest.mark.parametrize("act", story.ACTS, ids=story.title)
def test_the_story(
    cluster: Cluster, client: Client, act: story.Act, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = story.play(act, cluster, client)
    with capsys.disabled():
        for line in [*stage.told, str(story.cost(client.attempts, stage.began))]:
            print(f"\n  {cluster.kind:5} {story.title(act)}: {line}", end="")
