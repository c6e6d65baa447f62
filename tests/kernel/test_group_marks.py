"""Groups by firewall mark (`nftables_ipvs`): beside keepalived, and traffic through them."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from contract.values import marked, service
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab import table
from lab.daemons import Daemon, Keepalived, KeepalivePy
from lab.namespace import Namespace
from lab.needs import lacking, without_marks_by_nftables
from lab.servers import Server
from lab.topology import VIP, Topology
from lab.traffic import REQUEST, Stream
from lab.waiting import equal, eventually

from keepalive_py.dataplane.ipvs import IpvsDataplane
from keepalive_py.dataplane.marking import MarkingDataplane
from keepalive_py.net import Family, Protocol
from keepalive_py.plan.marks import Coverage, MarkSettings
from keepalive_py.plan.steps import AddService, DeleteService, SetMarked, Step
from keepalive_py.plan.table import MarkedRange, ServiceKey

LACKING = lacking("ipvsadm", "ip", "nft", "keepalived") or without_marks_by_nftables()
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

SECOND, THIRD = "10.99.0.2", "10.99.0.3"

EVERY_FORM = """
global_defs {
    nftables_ipvs my_table
    nftables_ipvs_priority -7
    nftables_ipvs_start_fwmark 5000
    nftables_counters
}
virtual_server_group four {
    10.0.0.1 80
    10.0.0.2-5 80
    10.0.1.0/29 8080
}
virtual_server_group six {
    2001:db8::1 80
    2001:db8::10-1f 443
}
virtual_server_group marked {
    10.0.2.1 80
    fwmark 7
}
"""
USES = [("four", "TCP", "10.2.0.11"), ("four", "UDP", "10.2.0.11"), ("six", "TCP", "fd02::11")]
USES += [("marked", "TCP", "10.2.0.11"), ("four", "TCP", "10.2.0.12")]


def use(group: str, protocol: str, server: str, more: str = "") -> str:
    return (
        f"virtual_server group {group} {{\n    protocol {protocol}\n    lvs_sched rr\n    lvs_method NAT\n"
        f"{more}    real_server {server} 80 {{\n    }}\n}}\n"
    )


def ruleset(namespace: Namespace) -> list[str]:
    """What `nft` lists; of maps and of chains the order in which they were made is no matter."""
    text = re.sub(r"packets \d+ bytes \d+", "", namespace.output(["nft", "list", "ruleset"]))
    return sorted(line.strip(" \t,}{") for line in text.replace("elements = {", "\n").splitlines())


def started(daemon: Daemon) -> Daemon:
    before = daemon.lines().count("Startup complete")
    daemon.start()
    eventually(
        lambda: daemon.lines().count("Startup complete") > before, within=60, what="the start", every=0.2
    )
    return daemon


def reloaded(daemon: Daemon, text: str) -> None:
    daemon.config.write_text(text)
    daemon.reloaded()


def made_of(daemon: Daemon) -> list[str]:
    """The tables that a daemon makes, and takes away again when it stops."""
    namespace = daemon.namespace
    daemon.config.write_text(EVERY_FORM + "".join(use(*each) for each in USES))
    started(daemon)
    equal(lambda: len(table.read(namespace)), 5, within=30, what="the services")
    made = [*table.lines(table.read(namespace)), *ruleset(namespace)]
    daemon.stop()
    assert ruleset(namespace) == []
    assert table.read(namespace) == {}
    return made


def test_table_and_services_are_those_of_keepalived(tmp_path: Path) -> None:
    seen = []
    for kind in (Keepalived, KeepalivePy):
        namespace = Namespace(kind.__name__)
        directory = tmp_path / kind.__name__
        directory.mkdir()
        seen.append(made_of(kind(namespace, directory)))
        namespace.close()

    assert seen[1] == seen[0]


# ----------------------------------------------------------------------------- traffic


@pytest.fixture
def topology() -> Iterator[Topology]:
    built = Topology()
    built.node.ip(f"addr add {SECOND}/32 dev lo", f"addr add {THIRD}/32 dev lo")
    yield built
    built.close()


@pytest.fixture
def daemon(topology: Topology, tmp_path: Path) -> Iterator[Daemon]:
    made = KeepalivePy(topology.node, tmp_path, options=("--reconcile-interval", "1"))
    yield made
    if made.child is not None and made.exit_status() is None:
        made.stop()
    print(made.tail())


def configuration(*lines: str, group: str = "web", before: str = "", counters: bool = False) -> str:
    """A group of these lines and a virtual server that uses it, persistent, of both servers."""
    servers = "".join(f"    real_server 10.2.0.{n} 80 {{\n    }}\n" for n in (11, 12))
    head = "global_defs {\n    nftables_ipvs\n" + ("    nftables_counters\n" if counters else "") + "}\n"
    group_lines = "".join(f"    {line}\n" for line in lines)
    return (
        f"{head}{before}virtual_server_group {group} {{\n{group_lines}}}\n"
        f"virtual_server group {group} {{\n    protocol TCP\n    lvs_sched rr\n    lvs_method NAT\n"
        f"    persistence_timeout 300\n{servers}}}\n"
    )


def marks(namespace: Namespace) -> list[str]:
    return [key for key in table.read(namespace) if key.startswith("FWM")]


def answer(topology: Topology, address: str) -> str:
    """Who answers one connection; "" when nobody does."""

    def ask() -> bytes:
        with socket.create_connection((address, 80), timeout=2) as client:
            client.sendall(REQUEST)
            return b"".join(iter(lambda: client.recv(4096), b""))

    try:
        return topology.client.call(ask).rpartition(b"\r\n\r\n")[2].decode()
    except OSError:
        return ""


def served(topology: Topology, *addresses: str) -> str:
    """Wait until every address is answered; by whom: it must be one for all of them."""

    def one_for_all() -> str:
        names = {answer(topology, address) for address in addresses}
        return names.pop() if len(names) == 1 else ""

    return eventually(one_for_all, within=30, what=f"one server behind {addresses}", every=0.2)


def test_a_group_is_one_service_with_one_persistence(topology: Topology, daemon: Daemon) -> None:
    daemon.config.write_text(configuration(f"{VIP[4]}-{SECOND[-1]} 80", f"{VIP[6]} 80"))
    started(daemon)

    name = served(topology, VIP[4], SECOND)
    assert marks(topology.node) == ["FWM 1000", "FWM 1001 -6"]
    assert {answer(topology, address) for address in (VIP[4], SECOND) * 4} == {name}
    assert answer(topology, THIRD) == ""

    daemon.stop()
    assert ruleset(topology.node) == []
    assert marks(topology.node) == []


def test_a_line_comes_and_a_group_goes_under_way(topology: Topology, daemon: Daemon) -> None:
    echo = Server(topology.hosts[0], "0.0.0.0", 7)
    echo.be("serve")
    other = "virtual_server_group echo {\n    10.99.0.1 7\n}\n" + use("echo", "TCP", "10.2.0.11").replace(
        "10.2.0.11 80", "10.2.0.11 7"
    )
    daemon.config.write_text(configuration(f"{VIP[4]} 80", before=other))
    started(daemon)
    served(topology, VIP[4])
    stream = Stream(topology.client, VIP[4], 7)
    assert stream.alive()

    reloaded(daemon, configuration(f"{VIP[4]} 80", f"{THIRD} 80", before=other))
    served(topology, VIP[4], THIRD)
    assert marks(topology.node) == ["FWM 1000", "FWM 1001"]
    assert stream.alive()
    stream.close()

    reloaded(daemon, configuration(f"{VIP[4]} 80"))
    served(topology, VIP[4])
    assert marks(topology.node) == ["FWM 1001"]
    assert answer(topology, THIRD) == ""


def test_the_next_daemon_finds_the_marks(topology: Topology, daemon: Daemon) -> None:
    daemon.options = ("-I",)
    other = "virtual_server_group echo {\n    10.99.0.1 7\n}\n" + use("echo", "TCP", "10.2.0.11")
    daemon.config.write_text(configuration(f"{VIP[4]} 80", before=other))
    started(daemon)
    served(topology, VIP[4])
    before = ruleset(topology.node)
    daemon.stop()
    assert ruleset(topology.node) == before

    daemon.config.write_text(configuration(f"{VIP[4]} 80", f"{SECOND} 80"))
    started(daemon)
    served(topology, VIP[4], SECOND)
    # 1000 was the other group's, which nobody has asked us to remove.
    assert marks(topology.node) == ["FWM 1000", "FWM 1001"]


def test_keepaliveds_table_is_taken_over(topology: Topology, tmp_path: Path, daemon: Daemon) -> None:
    text = configuration(f"{VIP[4]}-{SECOND[-1]} 80", f"{THIRD} 80", counters=True)
    (tmp_path / "other").mkdir()
    other = Keepalived(topology.node, tmp_path / "other", options=("-I",))
    for each in (other, daemon):
        each.config.write_text(text)
    started(other)
    name = served(topology, VIP[4], SECOND, THIRD)
    before = ruleset(topology.node)
    other.stop()

    started(daemon)
    assert {answer(topology, address) for address in (VIP[4], SECOND, THIRD)} == {name}
    assert ruleset(topology.node) == before
    daemon.stop()
    assert ruleset(topology.node) == []


def test_what_a_stranger_removes_comes_back(topology: Topology, daemon: Daemon) -> None:
    daemon.config.write_text(configuration(f"{VIP[4]} 80", f"{SECOND} 80"))
    started(daemon)
    served(topology, VIP[4], SECOND)
    before = ruleset(topology.node)

    for command in ("delete table ip keepalived_ipvs", "flush chain ip keepalived_ipvs in",
                    "flush map ip keepalived_ipvs tcp_map"):  # fmt: skip
        topology.node.output(["nft", *command.split()])
        equal(lambda: ruleset(topology.node), before, within=30, what=f"the table after {command}")
    served(topology, VIP[4], SECOND)


def test_a_table_of_somebody_else_is_not_touched(topology: Topology, daemon: Daemon) -> None:
    mine = "add table ip keepalived_ipvs; add chain ip keepalived_ipvs guard"
    topology.node.output(["nft", mine])
    before = ruleset(topology.node)
    daemon.config.write_text(configuration(f"{VIP[4]} 80"))
    started(daemon)

    served(topology, VIP[4])
    assert list(table.read(topology.node)) == [f"TCP {VIP[4]}:80"]
    assert any("chains of somebody else" in line for line in daemon.lines())
    daemon.stop()
    assert ruleset(topology.node) == before


def test_a_stranger_in_our_table_is_no_reason_not_to_look_after_ipvs(
    topology: Topology, daemon: Daemon
) -> None:
    daemon.config.write_text(configuration(f"{VIP[4]} 80"))
    started(daemon)
    served(topology, VIP[4])

    topology.node.output(["nft", "add chain ip keepalived_ipvs guard"])
    topology.node.output(["ipvsadm", "-D", "-f", "1000"])

    served(topology, VIP[4])


# ------------------------------------------------------- the table does what it is told

KEYS = [marked(1000), marked(1001), marked(1002, Family.INET6)]
SETTINGS = MarkSettings("marks_law")


def apart(ranges: list[MarkedRange]) -> tuple[MarkedRange, ...]:
    """Those that have nothing in common with one before them, in order."""
    kept: list[MarkedRange] = []
    for each in ranges:
        if not any(map(each.overlaps, kept)):
            kept.append(each)
    return tuple(sorted(kept))


def ranges_of(key: ServiceKey) -> st.SearchStrategy[tuple[MarkedRange, ...]]:
    base = ip_address("192.0.2.0" if key.family is Family.INET else "2001:db8::fffa")
    pairs = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted)
    ports = st.sampled_from([(80, 80), (443, 443), (0, 65535), (81, 442)])
    one = st.builds(
        lambda protocol, pair, port: MarkedRange(protocol, base + pair[0], base + pair[1], *port),
        st.sampled_from(Protocol), pairs, ports,
    )  # fmt: skip
    return st.lists(one, max_size=4).map(apart)


changes = st.sampled_from(KEYS).flatmap(
    lambda key: st.builds(SetMarked, st.just(key), ranges_of(key)) | st.builds(DeleteService, st.just(key))
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(changes, min_size=1, max_size=8))
def test_what_is_marked_is_what_was_asked_for_last(steps: list[Step]) -> None:
    asyncio.run(mark(steps))

    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    assert SETTINGS.table not in tables


async def mark(steps: list[Step]) -> None:
    inner = IpvsDataplane()
    await inner.open()
    plane = MarkingDataplane(inner, SETTINGS)
    await plane.open()
    wanted: dict[ServiceKey, tuple[MarkedRange, ...]] = {}
    try:
        await plane.flush()
        for step in steps:
            assert isinstance(step, (SetMarked, DeleteService))
            before: list[Step] = [AddService(service(step.key))] if isinstance(step, SetMarked) else []
            assert await plane.apply([*before, step]) == []
            if isinstance(step, SetMarked):
                held = {
                    key: tuple(each for each in ranges if not Coverage(step.ranges).overlaps(each))
                    for key, ranges in wanted.items()
                    if key.family is step.key.family
                }
                wanted.update({**held, step.key: step.ranges})
            else:
                wanted.pop(step.key, None)
            assert {key: entry.marked for key, entry in (await plane.read()).items()} == wanted
    finally:
        await plane.flush()
        await plane.close()
