"""Traffic through a virtual address while servers, and the daemon, come and go.

A client, the node and two real servers are namespaces on one segment. The client opens
connections all the time and remembers every one that fails. Whether a failure is allowed
is decided by order (did it begin before the server left the table?) and by the time the
configuration gives for finding out.

LAB_DAEMON=keepalived runs the tests that make sense for it with the real one, to check the lab.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import table
from lab.daemons import Daemon, Keepalived, KeepalivePy
from lab.live_time import LiveClock
from lab.needs import lacking
from lab.servers import Server
from lab.topology import GUE_PORT, VIP, Topology
from lab.traced import Traced
from lab.traffic import Attempt, Client, Stream
from lab.waiting import equal, eventually

LACKING = lacking("ipvsadm", "ip", *(["keepalived"] if os.environ.get("LAB_DAEMON") else []))
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

DELAY_LOOP = 0.5
RETRY = 1
SLACK = 1.5  # s; a user-mode kernel on one busy processor
DETECTION = DELAY_LOOP * (RETRY + 1) + SLACK

GUE = f"TUN type gue port {GUE_PORT}"
# An IPv6 GRE or GUE tunnel needs an end that Debian's user-mode kernels are built without.
WAYS = [
    ("NAT", 4),
    ("NAT", 6),
    ("DR", 4),
    ("DR", 6),
    ("TUN", 4),
    ("TUN", 6),
    ("TUN type gre", 4),
    (GUE, 4),
]


def virtual_server(
    address: str, servers: list[str], *, method: str = "NAT", port: int = 80, more: str = ""
) -> str:
    check = "        TCP_CHECK {\n            connect_timeout 1\n        }\n"
    reals = "".join(f"    real_server {server} 80 {{\n{check}    }}\n" for server in servers)
    return (
        f"virtual_server {address} {port} {{\n    delay_loop {DELAY_LOOP}\n    retry {RETRY}\n"
        f"    delay_before_retry {DELAY_LOOP}\n    warmup 0\n    lvs_sched rr\n    lvs_method {method}\n"
        f"    protocol TCP\n{more}{reals}}}\n"
    )


@pytest.fixture
def build() -> Iterator[Callable[..., Topology]]:
    built: list[Topology] = []

    def make(**options: object) -> Topology:
        built.append(Topology(**options))  # type: ignore[arg-type]
        return built[-1]

    yield make
    for topology in built:
        topology.close()


@pytest.fixture
def daemon_on(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    running: list[Daemon] = []

    def start(topology: Topology, config: str, *options: str) -> Daemon:
        kind = {"keepalived": Keepalived}.get(os.environ.get("LAB_DAEMON", ""), KeepalivePy)
        daemon = kind(topology.node, tmp_path, options=options)
        daemon.config.write_text(config)
        daemon.start()
        running.append(daemon)
        return daemon

    yield start
    for daemon in running:
        if daemon.exit_status() is None:
            daemon.stop()
        print(daemon.tail())


def service(family: int = 4) -> str:
    return f"TCP {VIP[4]}:80" if family == 4 else f"TCP [{VIP[6]}]:80"


def destinations(topology: Topology, family: int = 4) -> set[str]:
    entry = table.read(topology.node).get(service(family))
    return set(entry.destinations) if entry else set()


def until_served_by(topology: Topology, *numbers: int, family: int = 4, within: float = 30.0) -> None:
    wanted = {named(topology.address(number, family)) for number in numbers}
    equal(lambda: destinations(topology, family), wanted, within=within, what="the table")


def until_probed(daemon: Daemon, times: int = 2) -> None:
    """Wait for so many first checks to succeed: from then on, failures are counted."""

    def probed() -> bool:
        return sum(line.endswith(" success.") for line in daemon.lines()) >= times

    eventually(probed, within=30, what=lambda: f"first checks\n{daemon.tail()}")


def named(address: str) -> str:
    return f"[{address}]:80" if ":" in address else f"{address}:80"


@pytest.mark.parametrize(("method", "family"), WAYS)
def test_a_server_that_dies_costs_no_more_than_the_detection_time(
    method: str, family: int, build: Callable[..., Topology], daemon_on: Callable[..., Daemon]
) -> None:
    topology = build(method=method)
    servers = [topology.address(number, family) for number in (1, 2)]
    until_probed(daemon_on(topology, virtual_server(VIP[family], servers, method=method)))
    until_served_by(topology, 1, 2, family=family)

    # Once in some hundred rounds this kernel, beside another one, answers no connection at all for
    # some seconds, with DR and TUN, where the node sees one half of it. A fault of the balancer
    # would be there the second time as well.
    lost = lost_to_a_dead_server(topology, family)
    if lost:
        print(f"again, since these were lost: {lost}")
        lost = lost_to_a_dead_server(topology, family)
    assert lost == []


def lost_to_a_dead_server(topology: Topology, family: int) -> list[Attempt]:
    """The first real server dies and comes back. Connections that failed although they began when
    it was out of the table, or back."""
    with Client(topology.client, VIP[family], 80) as client:
        client.sees("rs1", "rs2")
        assert client.errors() == []

        with LiveClock() as detection:
            topology.servers[family][0].be("refuse")
            until_served_by(topology, 2, family=family)
            took = detection.seconds
        gone = time.monotonic()
        client.more()
        topology.servers[family][0].be("serve")
        until_served_by(topology, 1, 2, family=family)
        client.sees("rs1", "rs2")

    assert client.errors() != [], "the dead server was never asked: the test proves nothing"
    assert took <= DETECTION
    return client.errors(since=gone)


def test_a_server_that_goes_silent_is_taken_out_as_well(
    build: Callable[..., Topology], daemon_on: Callable[..., Daemon]
) -> None:
    topology = build()
    daemon_on(topology, virtual_server(VIP[4], [topology.address(1), topology.address(2)]))
    until_served_by(topology, 1, 2)

    topology.hosts[0].ip("link set eth0 down")
    until_served_by(topology, 2)
    with Client(topology.client, VIP[4], 80) as client:
        client.sees("rs2")

    assert client.errors() == []


def test_the_sorry_server_answers_when_nobody_else_can(
    build: Callable[..., Topology], daemon_on: Callable[..., Daemon]
) -> None:
    topology = build(servers=3)
    sorry = f"    sorry_server {topology.address(3)} 80\n"
    config = virtual_server(VIP[4], [topology.address(1), topology.address(2)], more=sorry)
    until_probed(daemon_on(topology, config))
    until_served_by(topology, 1, 2)

    with Client(topology.client, VIP[4], 80) as client:
        client.sees("rs1", "rs2")
        for server in topology.servers[4][:2]:
            server.be("refuse")
        until_served_by(topology, 3)
        gone = time.monotonic()
        client.sees("rs3")
        topology.servers[4][0].be("serve")
        until_served_by(topology, 1)
        back = time.monotonic()
        client.sees("rs1")

    # The sorry server leaves only after the first real server has joined: nobody is refused.
    # IPVS drops what is still open to a destination that is deleted, at most one per lane.
    cut = client.errors(since=gone)
    assert all(one.error == "timeout after connecting" and one.began <= back for one in cut)
    assert len(cut) <= client.lanes


def change_scheduler(daemon: Daemon) -> None:
    daemon.config.write_text(daemon.config.read_text().replace("lvs_sched rr", "lvs_sched wrr"))
    daemon.reload()


def crash_and_start(daemon: Daemon) -> None:
    daemon.kill()
    daemon.start()


def stop_and_start(daemon: Daemon) -> None:
    daemon.stop()
    daemon.start()


@pytest.mark.parametrize(
    ("interruption", "options"),
    [(change_scheduler, ()), (crash_and_start, ()), (stop_and_start, ("-I",))],
    ids=["reload", "kill -9 and start", "stop -I and start"],
)
def test_healthy_servers_lose_nothing(
    interruption: Callable[[Daemon], None],
    options: tuple[str, ...],
    build: Callable[..., Topology],
    daemon_on: Callable[..., Daemon],
) -> None:
    topology = build()
    # An echoing service beside, for a connection that outlives the interruption.
    echo = Server(topology.hosts[0], "0.0.0.0", 7)
    echo.be("serve")
    config = virtual_server(VIP[4], [topology.address(1), topology.address(2)])
    config += virtual_server(VIP[4], [topology.address(1)], port=7).replace(
        f"real_server {topology.address(1)} 80", f"real_server {topology.address(1)} 7"
    )
    daemon = daemon_on(topology, config, *options)
    until_served_by(topology, 1, 2)
    eventually(lambda: "Startup complete" in daemon.lines(), within=30, what="start")
    stream = Stream(topology.client, VIP[4], 7)
    assert stream.alive()

    said = len(daemon.lines())
    with Client(topology.client, VIP[4], 80) as client:
        client.sees("rs1", "rs2")
        interruption(daemon)
        complete = ("Startup complete", "Reload complete")
        eventually(lambda: set(complete) & set(daemon.lines()[said:]), within=30, what="start or reload")
        client.sees("rs1", "rs2")
        # It has probed again and changed nothing.
        dying = time.monotonic()
        topology.servers[4][0].be("refuse")
        until_served_by(topology, 2)
        probing = time.monotonic()
        topology.servers[4][0].be("serve")
        until_served_by(topology, 1, 2)

    assert stream.alive()
    assert [one for one in client.errors() if one.ended < dying or one.began > probing] == []
    stream.close()


@pytest.mark.skipif(bool(lacking("strace")), reason=lacking("strace"))
def test_a_restart_and_a_reload_that_change_nothing_write_nothing(
    build: Callable[..., Topology], tmp_path: Path
) -> None:
    topology = build()
    daemon = Traced(topology.node, tmp_path, options=("-I",))
    daemon.config.write_text(virtual_server(VIP[4], [topology.address(1), topology.address(2)]))
    daemon.start()
    until_probed(daemon)
    first = daemon.writes()
    daemon.stop()

    daemon.start()
    until_probed(daemon, 4)
    daemon.reload()
    eventually(lambda: "Reload complete" in daemon.lines(), within=30, what="the reload")
    daemon.stop()

    assert first != [], "the trace shows nothing: the test proves nothing"
    assert daemon.writes() == []


def test_what_a_stranger_deletes_comes_back(
    build: Callable[..., Topology], daemon_on: Callable[..., Daemon]
) -> None:
    topology = build()
    config = virtual_server(VIP[4], [topology.address(1), topology.address(2)])
    daemon_on(topology, config, "--reconcile-interval", "1")
    until_served_by(topology, 1, 2)
    wanted = table.lines(table.read(topology.node))

    topology.node.output(["ipvsadm", "-D", "-t", f"{VIP[4]}:80"])
    equal(lambda: table.lines(table.read(topology.node)), wanted, within=60, what="the service again")
    topology.node.output(["ipvsadm", "-d", "-t", f"{VIP[4]}:80", "-r", f"{topology.address(1)}:80"])
    equal(lambda: table.lines(table.read(topology.node)), wanted, within=60, what="the destination again")
    topology.node.output(
        ["ipvsadm", "-e", "-t", f"{VIP[4]}:80", "-r", f"{topology.address(2)}:80", "-m", "-w", "9"]
    )
    equal(lambda: table.lines(table.read(topology.node)), wanted, within=60, what="the weight again")


def test_a_service_that_is_not_ours_is_left_alone(
    build: Callable[..., Topology], daemon_on: Callable[..., Daemon]
) -> None:
    topology = build()
    foreign = ["TCP 10.99.0.9:99 -s wlc", "  10.2.0.99:99 -m -w 7"]
    topology.node.output(["ipvsadm", "-A", "-t", "10.99.0.9:99", "-s", "wlc"])
    topology.node.output(["ipvsadm", "-a", "-t", "10.99.0.9:99", "-r", "10.2.0.99:99", "-m", "-w", "7"])
    daemon = daemon_on(topology, virtual_server(VIP[4], [topology.address(1), topology.address(2)]))
    until_served_by(topology, 1, 2)

    change_scheduler(daemon)
    eventually(lambda: table.read(topology.node)[service()].options == "-s wrr", within=30, what="the reload")
    assert set(foreign) < set(table.lines(table.read(topology.node)))

    daemon.stop()
    assert table.lines(table.read(topology.node)) == foreign


def unchecked_service(number: int, servers: int) -> str:
    head = f"virtual_server 10.{50 + number // 250}.{number % 250}.1 80 {{\n"
    settings = "    lvs_sched wrr\n    lvs_method NAT\n    protocol TCP\n"
    reals = (f"    real_server 10.2.{number % 250}.{100 + one} 80 {{\n    }}\n" for one in range(servers))
    return head + settings + "".join(reals) + "}\n"


def test_a_thousand_services_of_ten_servers_in_one_go(
    build: Callable[..., Topology], daemon_on: Callable[..., Daemon], capsys: pytest.CaptureFixture[str]
) -> None:
    topology = build(servers=1)
    services, servers = 1000, 10
    config = "".join(unchecked_service(number, servers) for number in range(services))
    began = time.monotonic()
    daemon = daemon_on(topology, config)
    wanted = (services, services * servers)
    equal(lambda: table.size(topology.node), wanted, within=120, what="all in the table")
    filled = time.monotonic()
    assert daemon.stop() == 0
    with capsys.disabled():
        print(f"\n{services} x {servers}: in the table {filled - began:.1f} s after the start of the daemon")

    assert table.size(topology.node) == (0, 0)
