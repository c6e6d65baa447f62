"""The story of a cluster: two nodes announce a VIP to two switches, by real routing daemons.

Order and outcome are asserted; how long each took, at the switch's kernel route, is printed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which

import pytest
from lab.cluster import VIP, Cluster, set_link
from lab.routing import FRR, now
from lab.traffic import Client
from lab.waiting import equal, eventually

MOST_CUT = 6

LACKING = {
    "bird": [name for name in ("bird", "birdc", "ip") if not which(name)],
    "frr": [name for name in ("vtysh", "ip") if not which(name)] + ([] if FRR.exists() else ["frr"]),
}


@pytest.fixture(scope="module", params=["bird", "frr"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    lacking = LACKING[request.param]
    if lacking:
        pytest.skip(f"lacking: {', '.join(lacking)}")
    with tempfile.TemporaryDirectory(prefix="cluster.", dir="/run") as directory:
        Path(directory).chmod(0o755)  # FRR, which drops root, has its directories in it
        built = Cluster(Path(directory), kind=request.param)
        try:
            built.start()
            yield built
        finally:
            built.close()


@pytest.fixture
def tell(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    def print_time(what: str, since: float, switches: tuple[int, ...] = (1, 2)) -> None:
        times = ", ".join(f"switch{j} {cluster.took(since, j):6.0f} ms" for j in switches)
        with capsys.disabled():
            print(f"\n  {cluster.kind:5} {what:<44} {times}", end="")

    return print_time


def lost(client: Client) -> list[str]:
    """Connections that found nobody. A flow that was under way when the switches chose another node for
    it is cut with a reset, by a node that does not know it: a change of ECMP always costs that."""
    cut = "Connection reset by peer"
    errors = [one.error for one in client.errors()]
    assert errors.count(cut) <= MOST_CUT, errors
    return [error for error in errors if error != cut]


@pytest.fixture(autouse=True)
def _whole(cluster: Cluster) -> None:
    """Every test begins with both nodes announcing to both switches."""
    for i in (1, 2):
        equal(
            lambda i=i: cluster.state(i), "announced", within=60, what=f"node{i}\n{cluster.daemons[i].tail()}"
        )
    cluster.spreads(1, 2, within=60)


def test_both_nodes_announce_and_the_client_is_served(cluster: Cluster) -> None:
    with Client(cluster.client, VIP, 80) as client:
        client.sees("rs101", "rs102")
    for i in (1, 2):
        cluster.says(i, f"VIP {VIP} held -> announced")
        eventually(
            lambda i=i: len(cluster.status(i)["vips"][VIP]["exported_to"]) == 2,
            within=20,
            what=f"node{i} sees that both peers get it",
        )
        assert cluster.status(i)["disagreements"] == []


def test_nothing_was_announced_before_the_first_checks(cluster: Cluster) -> None:
    lines = cluster.daemons[1].lines()
    announced = next(at for at, line in enumerate(lines) if "held -> announced" in line)
    checked = [at for at, line in enumerate(lines) if "connection to [10.2.0.10" in line]
    assert len(checked) >= 2
    assert checked[1] < announced


def test_a_node_without_quorum_withdraws_and_comes_back(cluster: Cluster, tell: Callable[..., None]) -> None:
    """Only node 1 is cut off from the real servers."""
    with Client(cluster.client, VIP, 80, timeout=3) as client:
        client.more(10)
        since = now()
        cluster.nodes[1].ip("route add unreachable 10.2.0.101", "route add unreachable 10.2.0.102")
        cluster.spreads(2)
        tell("unfit -> withdrawn (with detection)", since)
        assert cluster.state(1) == "held"
        client.sees("rs101", "rs102")
        since = now()
        cluster.nodes[1].ip("route del unreachable 10.2.0.101", "route del unreachable 10.2.0.102")
        cluster.spreads(1, 2)
        tell("fit again -> announced (with detection)", since)


def test_a_drained_node_leaves_without_a_gap(cluster: Cluster, tell: Callable[..., None]) -> None:
    since = now()
    cluster.ctl(1, "drain", "--reason", "a test", "--wait", "30")
    assert cluster.state(1) == "withdrawn"
    cluster.spreads(2)
    tell("drained -> out of ECMP (command included)", since)
    # A new configuration of a switch's route, never its absence.
    for j in (1, 2):
        assert not any(text.startswith("Deleted") for _, text in cluster.watches[j].changes(VIP, since)[:1])
    assert "a test" in cluster.ctl(1, "status")
    with Client(cluster.client, VIP, 80) as client:
        began = client.attempts[-1].ended if client.attempts else 0.0
        client.more(30)
        assert client.errors(began) == []
    cluster.ctl(1, "undrain")


def test_all_drained_nodes_together_leave_the_route_until_they_are_quiet(cluster: Cluster) -> None:
    with Client(cluster.client, VIP, 80) as client:
        client.more(20)
        for i in (1, 2):
            cluster.drain(i)
        for i in (1, 2):
            equal(lambda i=i: cluster.state(i), "draining", within=10, what=f"node{i} drains")
        client.more(20)
        assert lost(client) == []  # both are last resort for each other
        for i in (1, 2):
            cluster.drain(i, off=True)


def test_a_killed_daemon_moves_nothing_and_a_restarted_one_neither(cluster: Cluster) -> None:
    since = now()
    with Client(cluster.client, VIP, 80) as client:
        client.more(20)
        cluster.daemons[1].kill()
        client.more(50)
        cluster.daemons[1].start()
        cluster.says(1, f"VIP {VIP} was announced already: it stays so")
        eventually(lambda: cluster.status(1).get("running"), within=30, what="node1 runs")
        client.more(50)
        assert client.errors() == []
    for j in (1, 2):
        assert cluster.watches[j].changes(VIP, since) == []
    assert cluster.state(1) == "announced"


def test_a_killed_routing_daemon_is_missed_and_comes_back(
    cluster: Cluster, tell: Callable[..., None]
) -> None:
    since = now()
    cluster.speakers["node1"].kill()
    cluster.spreads(2)
    tell("routing daemon killed", since)
    equal(lambda: cluster.status(1)["uplinks"]["left"]["state"], "degraded", within=15, what="uplink left")
    assert cluster.state(1) == "announced"  # it would only cost time when it is back
    since = now()
    cluster.speakers["node1"].start()
    cluster.spreads(1, 2)
    tell("routing daemon back", since)
    equal(lambda: cluster.status(1)["uplinks"]["left"]["state"], "up", within=20, what="uplink left")


def test_a_cut_uplink_costs_nothing_that_lasts(cluster: Cluster, tell: Callable[..., None]) -> None:
    with Client(cluster.client, VIP, 80, timeout=3) as client:
        client.more(20)
        since = now()
        set_link(cluster.switches[1], "n1", up=False)
        cluster.spreads(2, switches=(1,))
        tell("uplink cut", since, (1,))
        equal(lambda: cluster.status(1)["uplinks"]["left"]["state"], "down", within=15, what="uplink left")
        assert cluster.state(1) == "announced"
        assert cluster.hops(2) == {1, 2}
        client.more(30)  # what was under way at the cut may be lost
        began = client.attempts[-1].ended
        client.more(60)
        assert client.errors(began) == []
    cluster.says(1, "Uplink left is down")
    set_link(cluster.switches[1], "n1", up=True)
    cluster.switches[1].ip("addr replace 10.1.1.1/24 dev n1")


def test_without_any_uplink_the_address_is_held_and_that_is_said(cluster: Cluster) -> None:
    for j in (1, 2):
        set_link(cluster.switches[j], "n1", up=False)
    cluster.says(1, "All uplinks are down")
    equal(lambda: cluster.state(1), "held", within=15, what="node1")
    for j in (1, 2):
        set_link(cluster.switches[j], "n1", up=True)


def test_a_node_that_vanishes_is_found_by_bfd(cluster: Cluster, tell: Callable[..., None]) -> None:
    """Its links stay up and nothing comes out of it: only BFD or the hold time can tell."""
    drop = "add table inet deaf; add chain inet deaf out { type filter hook output priority 0; policy drop; }"
    since = now()
    cluster.nodes[1].output(["nft", drop])
    cluster.spreads(2)
    tell("node silent, BFD 3 x 300 ms", since)
    with Client(cluster.client, VIP, 80, timeout=3) as client:
        client.more(30)
        assert client.errors() == []
    cluster.nodes[1].output(["nft", "delete table inet deaf"])


def test_a_stop_withdraws_confirms_and_only_then_empties_the_table(
    cluster: Cluster, tell: Callable[..., None]
) -> None:
    daemon = cluster.daemons[1]
    before = len(daemon.lines())
    with Client(cluster.client, VIP, 80) as client:
        client.more(20)
        since = now()
        assert daemon.stop() == 0
        cluster.spreads(2)
        tell("stopped", since)
        client.more(30)
        assert lost(client) == []
    lines = daemon.lines()[before:]
    order = [
        next(at for at, line in enumerate(lines) if words in line)
        for words in (
            "announced -> draining",
            "draining -> withdrawn",
            "exports none",
            "Shutting down service",
        )
    ]
    assert order == sorted(order), lines
    assert VIP not in cluster.nodes[1].output(["ip", "addr"])
    daemon.start()
