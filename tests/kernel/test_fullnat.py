"""FULLNAT on a stock kernel: real servers that know no way to the client answer it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine, Iterator
from ipaddress import ip_address
from typing import Any, TypeVar

import pytest
from lab.fullnat import LOCAL, VIP, Fullnat
from lab.needs import lacking, without_nat_by_nftables

from keepalive_py.config.model import Forwarding, SchedulerFlag
from keepalive_py.dataplane.fullnat_snat import FullnatSnatDataplane
from keepalive_py.net import Address, Endpoint, Family, Protocol
from keepalive_py.plan.steps import (
    AddDestination,
    AddLocalAddress,
    AddService,
    DeleteLocalAddress,
    DeleteService,
    EditDestination,
    Step,
)
from keepalive_py.plan.table import Destination, Service, ServiceEntry, ServiceKey

T = TypeVar("T")
LACKING = lacking("nft", "ip") or without_nat_by_nftables()
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

FAMILIES = {4: Family.INET, 6: Family.INET6}


@pytest.fixture(scope="module")
def lab() -> Iterator[Fullnat]:
    built = Fullnat()
    yield built
    built.close()


class Node:
    """The dataplane in the node's namespace, synchronously."""

    def __init__(self, lab: Fullnat) -> None:
        self.plane = FullnatSnatDataplane(namespace=str(lab.node.path))
        self.run(self.plane.open())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(work)

    def apply(self, *steps: Step) -> None:
        assert self.run(self.plane.apply(steps)) == []

    def read(self) -> dict[ServiceKey, ServiceEntry]:
        return self.run(self.plane.read())


@pytest.fixture
def node(lab: Fullnat) -> Iterator[Node]:
    made = Node(lab)
    yield made
    made.run(made.plane.flush())
    made.run(made.plane.close())


def key(family: int = 4, protocol: Protocol = Protocol.TCP, port: int = 80) -> ServiceKey:
    return ServiceKey(FAMILIES[family], protocol, Endpoint(ip_address(VIP[family]), port))


def local(family: int, *numbers: int) -> tuple[Address, ...]:
    return tuple(ip_address(LOCAL[family].format(number)) for number in numbers)


def servers(family: int = 4, weight: int = 1) -> list[Destination]:
    net = "10.2.0.{}" if family == 4 else "fd02::{}"
    return [
        Destination(Endpoint(ip_address(net.format(10 + number)), 80), Forwarding.FNAT, weight)
        for number in (1, 2)
    ]


def service(of: ServiceKey, pool: tuple[Address, ...], family: int = 4) -> list[Step]:
    netmask = 0xFFFFFFFF if family == 4 else 128
    return [
        AddService(Service(of, scheduler="rr", netmask=netmask)),
        *(AddLocalAddress(of, address) for address in pool),
        *(AddDestination(of, destination) for destination in servers(family)),
    ]


def rules(lab: Fullnat) -> str:
    return lab.node.output(["nft", "list", "ruleset"])


@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
@pytest.mark.parametrize("family", [4, 6])
def test_a_server_without_a_route_to_the_client_answers_it(
    lab: Fullnat, node: Node, family: int, udp: bool
) -> None:
    of = key(family, Protocol.UDP if udp else Protocol.TCP)
    node.apply(*service(of, local(family, 1, 3, 5, 9), family))

    seen = {lab.seen_by_server(family, 80, udp=udp) for _ in range(60)}

    # One client, and yet every address of the pool is in use.
    assert seen == {str(address) for address in local(family, 1, 3, 5, 9)}


def test_without_local_addresses_such_a_server_cannot_answer(lab: Fullnat, node: Node) -> None:
    node.apply(*service(key(), ()))

    assert lab.seen_by_server(4, 80) == ""


def test_what_was_applied_is_read_back(node: Node) -> None:
    node.apply(*service(key(), local(4, 1, 2)), *service(key(6, Protocol.UDP, 53), local(6, 7), 6))

    table = node.read()

    assert set(table) == {key(), key(6, Protocol.UDP, 53)}
    assert table[key()].local_addresses == local(4, 1, 2)
    assert list(table[key()].destinations.values()) == servers()
    assert table[key(6, Protocol.UDP, 53)].local_addresses == local(6, 7)


def test_another_dataplane_adopts_what_it_finds(lab: Fullnat, node: Node) -> None:
    node.apply(*service(key(), local(4, 1, 2)))
    other = Node(lab)

    assert other.read() == node.read()
    before = rules(lab)
    other.apply(*(AddLocalAddress(key(), address) for address in local(4, 1, 2)))
    assert rules(lab) == before
    other.run(other.plane.close())


def test_services_have_pools_of_their_own_and_share_equal_ones(lab: Fullnat, node: Node) -> None:
    node.apply(
        *service(key(), local(4, 1)), *service(key(port=81), local(4, 2)), *service(key(port=82), local(4, 1))
    )

    assert lab.seen_by_server(4, 80) == LOCAL[4].format(1)
    assert rules(lab).count("chain pool4_") == 2


def test_a_service_moves_to_other_addresses_and_its_connections_live(lab: Fullnat, node: Node) -> None:
    node.apply(*service(key(), local(4, 1)))

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(VIP[4], 80)
        assert await reader.readline() == b"10.200.0.1\n"
        return reader, writer

    async def alive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"still there\n")
        return await asyncio.wait_for(reader.readline(), 3)

    reader, writer = lab.client.run(connect())
    node.apply(AddLocalAddress(key(), *local(4, 8)), DeleteLocalAddress(key(), *local(4, 1)))

    assert lab.seen_by_server(4, 80) == LOCAL[4].format(8)
    assert lab.client.run(alive(reader, writer)) == b"still there\n"
    assert node.read()[key()].local_addresses == local(4, 8)
    assert rules(lab).count("chain pool4_") == 1
    lab.client.call(writer.close)


@pytest.mark.parametrize("family", [4, 6])
def test_a_firewall_mark_is_a_service_too(lab: Fullnat, node: Node, family: int) -> None:
    of = ServiceKey(FAMILIES[family], fwmark=77)
    node.apply(*service(of, local(family, 4), family))
    word = "ip" if family == 4 else "ip6"
    mark = "add table inet marks; add chain inet marks pre { type filter hook prerouting priority mangle; }; "
    mark += f"add rule inet marks pre {word} daddr {VIP[family]} tcp dport 80 meta mark set 77"
    lab.node.output(["nft", mark])

    seen = lab.seen_by_server(family, 80)
    lab.node.output(["nft", "delete table inet marks"])

    assert seen == LOCAL[family].format(4)
    assert node.read()[of].local_addresses == local(family, 4)


def test_services_of_other_methods_are_left_alone(lab: Fullnat, node: Node) -> None:
    nat = key(port=8000)
    plain = [Destination(Endpoint(ip_address("10.2.0.11"), 80), Forwarding.NAT)]
    node.apply(
        AddService(Service(nat, scheduler="rr")), *(AddDestination(nat, one) for one in plain),
        *service(key(), local(4, 1)),
    )  # fmt: skip

    table = node.read()

    assert list(table[nat].destinations.values()) == plain
    assert table[nat].local_addresses == ()
    assert lab.seen_by_server(4, 8000) == ""


def test_a_weight_changes_and_the_rules_do_not(lab: Fullnat, node: Node) -> None:
    node.apply(*service(key(), local(4, 1, 2)))
    before = rules(lab)

    node.apply(*(EditDestination(key(), destination) for destination in servers(weight=7)))

    assert {one.weight for one in node.read()[key()].destinations.values()} == {7}
    assert rules(lab) == before


def test_nothing_is_left_of_a_removed_service(lab: Fullnat, node: Node) -> None:
    node.apply(*service(key(), local(4, 1, 2)), *service(key(port=81), local(4, 3)))

    node.apply(DeleteService(key()), DeleteService(key(port=81)))

    assert node.read() == {}
    assert rules(lab) == ""


def test_a_flush_takes_our_table_and_no_other(lab: Fullnat, node: Node) -> None:
    lab.node.output(["nft", "add table inet theirs"])
    node.apply(*service(key(), local(4, 1)))

    node.run(node.plane.flush())

    assert "keepalive_py" not in rules(lab)
    assert "theirs" in rules(lab)
    lab.node.output(["nft", "delete table inet theirs"])


def test_a_flushed_rule_set_is_seen_and_made_again(lab: Fullnat, node: Node) -> None:
    node.apply(*service(key(), local(4, 1, 2)))

    lab.node.output(["nft", "flush ruleset"])

    assert node.read()[key()].local_addresses == ()
    node.apply(*(AddLocalAddress(key(), address) for address in local(4, 1, 2)))
    assert lab.seen_by_server(4, 80) in {"10.200.0.1", "10.200.0.2"}


def test_only_what_others_change_is_heard(lab: Fullnat) -> None:
    async def story() -> None:
        heard = asyncio.Event()
        plane = FullnatSnatDataplane(namespace=str(lab.node.path))
        await plane.open()
        plane.watch(heard.set)
        await plane.read()
        await plane.apply(service(key(), local(4, 1)))
        await plane.apply([AddLocalAddress(key(), *local(4, 2)), DeleteLocalAddress(key(), *local(4, 1))])
        await asyncio.to_thread(lab.node.output, ["nft", "add table inet theirs"])
        await asyncio.sleep(0.3)
        assert not heard.is_set()
        await asyncio.to_thread(lab.node.output, ["nft", "flush ruleset"])
        await asyncio.wait_for(heard.wait(), 20)
        await plane.flush()
        await plane.close()

    asyncio.run(story())


def test_a_saved_rule_set_loads_again(lab: Fullnat, node: Node) -> None:
    node.apply(*service(key(), local(4, 1, 2)), *service(key(6), local(6, 1), 6))
    saved = rules(lab)

    lab.node.output(["nft", "-f", "-"], stdin="flush ruleset\n" + saved)

    assert node.read()[key()].local_addresses == local(4, 1, 2)
    assert lab.seen_by_server(4, 80) in {"10.200.0.1", "10.200.0.2"}


def test_forwarding_that_is_off_is_asked_for_and_not_set(lab: Fullnat, node: Node) -> None:
    lab.node.sysctl("net.ipv4.ip_forward", 0)

    refused = node.run(node.plane.apply(service(key(), local(4, 1))))

    assert [refusal.step for refusal in refused] == [AddLocalAddress(key(), *local(4, 1))]
    assert "sysctl -w net.ipv4.ip_forward=1" in refused[0].hint
    lab.node.sysctl("net.ipv4.ip_forward", 1)


def test_a_family_that_is_not_forwarded_does_not_stop_the_other(lab: Fullnat, node: Node) -> None:
    lab.node.sysctl("net.ipv6.conf.all.forwarding", 0)

    refused = node.run(node.plane.apply([*service(key(), local(4, 1)), *service(key(6), local(6, 1), 6)]))

    assert [refusal.step for refusal in refused] == [AddLocalAddress(key(6), *local(6, 1))]
    assert "sysctl -w net.ipv6.conf.all.forwarding=1" in refused[0].hint
    assert lab.seen_by_server(4, 80) == LOCAL[4].format(1)
    lab.node.sysctl("net.ipv6.conf.all.forwarding", 1)


def test_the_setting_that_is_ours_is_set_back(lab: Fullnat, node: Node) -> None:
    lab.node.sysctl("net.ipv4.vs.conntrack", 0)
    node.apply(*service(key(), local(4, 1)))
    assert lab.node.output(["sysctl", "-n", "net.ipv4.vs.conntrack"]).strip() == "1"

    node.apply(DeleteService(key()))

    assert lab.node.output(["sysctl", "-n", "net.ipv4.vs.conntrack"]).strip() == "0"


def test_an_address_of_the_other_family_is_refused_alone(node: Node) -> None:
    steps = service(key(), (*local(4, 1), *local(6, 1)))

    refused = node.run(node.plane.apply(steps))

    assert [refusal.step for refusal in refused] == [AddLocalAddress(key(), *local(6, 1))]
    assert node.read()[key()].local_addresses == local(4, 1)


def test_ten_thousand_services_cost_no_rule(lab: Fullnat, node: Node) -> None:
    keys = [
        ServiceKey(
            Family.INET, Protocol.TCP, Endpoint(ip_address("10.98.0.0") + number // 100, 1000 + number % 100)
        )
        for number in range(10_000)
    ]
    steps: list[Step] = []
    for of in keys:
        steps.append(AddService(Service(of, scheduler="rr", flags=SchedulerFlag.NONE)))
        steps += [AddLocalAddress(of, address) for address in local(4, 1, 2)]
    node.apply(*steps)

    assert rules(lab).count("snat ip to") == 1
    assert len(node.read()) == 10_000
    node.apply(*(DeleteService(of) for of in keys))
    assert node.read() == {}


def test_the_session_table_shows_all_four_ends(lab: Fullnat, node: Node) -> None:
    node.apply(*service(key(), local(4, 7)), *service(key(6), local(6, 7), 6))

    async def connect(address: str) -> tuple[int, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(address, 80)
        await reader.readline()
        return writer.get_extra_info("sockname")[1], writer

    for family, rs in ((4, "10.2.0.1"), (6, "[fd02::1")):
        port, writer = lab.client.run(connect(VIP[family]))
        command = [sys.executable, "-m", "keepalive_py.cli.ctl", "sessions", "--json", "--client", f":{port}"]
        (row,) = json.loads(lab.node.output(command))
        client = f"10.1.0.2:{port}" if family == 4 else f"[fd01::2]:{port}"
        assert (row["client"], row["protocol"], row["state"]) == (client, "tcp", "ESTABLISHED")
        assert row["virtual"] == ("10.99.0.1:80" if family == 4 else "[fd99::1]:80")
        assert row["local"].startswith("10.200.0.7:" if family == 4 else "[fd03::7]:")
        assert row["server"].startswith(rs)
        assert row["timeout"] > 0
        lab.client.call(writer.close)
    top = lab.node.output([sys.executable, "-m", "keepalive_py.cli.ctl", "sessions", "--top", "local"])
    assert "10.200.0.7" in top
    assert "fd03::7" in top
