"""Addresses on a real kernel's interfaces, and its ECMP choice."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
from lab.namespace import Namespace

from keepalive_py.announcer.loopback import Loopback, Position
from keepalive_py.announcer.ownership import Ownership
from keepalive_py.announcer.rtnetlink import Rtnetlink
from keepalive_py.ecmp import linux
from keepalive_py.ecmp.flow import Flow, NextHop
from keepalive_py.net import Protocol
from keepalive_py.wire import netlink
from keepalive_py.wire import rtnetlink as wire

NAMES = {Position.ANNOUNCE: "kavip", Position.DRAIN: "kadrain", Position.HOLD: "lo"}
V4, V6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")


@pytest.fixture
def home() -> Iterator[Namespace]:
    made = Namespace("announcer")
    yield made
    made.close()


def loopback(home: Namespace, directory: Path) -> Loopback:
    ownership = Ownership(str(directory))
    ownership.load()
    made = Loopback(home.call(Rtnetlink), ownership, NAMES)
    made.prepare()
    return made


def where(home: Namespace, address: object) -> list[str]:
    lines = home.output(["ip", "-o", "addr", "show"]).splitlines()
    return [line.split()[1] for line in lines if f" {address}/" in line]


def test_addresses_move_between_interfaces_that_are_made(home: Namespace, tmp_path: Path) -> None:
    ours = loopback(home, tmp_path)
    for position, name in NAMES.items():
        assert ours.place({V4: position, V6: position}).refused == []
        assert where(home, V4) == where(home, V6) == [name]
    assert "tentative" not in home.output(["ip", "-6", "addr"])
    ours.place({})
    assert where(home, V4) == where(home, V6) == []


def test_whoever_listens_hears_of_the_new_place_before_the_old_one_goes(
    home: Namespace, tmp_path: Path
) -> None:
    """Or a routing daemon withdraws the route. Of an IPv6 address the kernel tells late."""
    ours = loopback(home, tmp_path)
    ours.place({V4: Position.ANNOUNCE, V6: Position.ANNOUNCE})
    ears = home.call(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    ears.bind((0, wire.ADDRESS_GROUPS))
    heard: list[tuple[object, bool]] = []
    with ears:
        for position in [Position.DRAIN, Position.ANNOUNCE] * 4:
            ours.place({V4: position, V6: position})
            with suppress(BlockingIOError):
                while True:
                    for message in netlink.messages(memoryview(ears.recv(1 << 17))):
                        entry = wire.decode(wire.RTM_NEWADDR, message.payload)
                        assert isinstance(entry, wire.InterfaceAddress)
                        heard.append((entry.address, message.type == wire.RTM_NEWADDR))
    for address in (V4, V6):
        assert [new for each, new in heard if each == address] == [True, False] * 8


def test_an_interface_that_somebody_takes_away_is_made_again(home: Namespace, tmp_path: Path) -> None:
    ours = loopback(home, tmp_path)
    ours.place({V4: Position.ANNOUNCE, V6: Position.ANNOUNCE})
    home.output(["ip", "link", "delete", "kavip"])
    assert [text.split(":")[1] for text in ours.place({V4: Position.ANNOUNCE}).refused] == [
        " there is no such interface"
    ]
    assert ours.mend() == ["kavip"]
    home.output(["ip", "link", "set", "kadrain", "down"])
    assert ours.mend() == ["kadrain"]
    assert ours.mend() == []
    assert ours.place({V4: Position.ANNOUNCE, V6: Position.DRAIN}).refused == []
    assert where(home, V4) == ["kavip"]
    assert where(home, V6) == ["kadrain"]


def test_the_kernel_keeps_our_mark_so_a_foreign_twin_is_safe(home: Namespace, tmp_path: Path) -> None:
    ours = loopback(home, tmp_path)
    ours.place({V4: Position.ANNOUNCE})
    home.ip(f"addr del {V4}/32 dev kavip", f"addr add {V4}/32 dev kavip")  # the same, by somebody else
    assert ours.place({}).moved == []
    assert where(home, V4) == ["kavip"]


def test_a_lost_state_file_leaks_nothing(home: Namespace, tmp_path: Path) -> None:
    loopback(home, tmp_path / "one").place({V4: Position.ANNOUNCE, V6: Position.DRAIN})
    ours = loopback(home, tmp_path / "two")
    assert ours.found() == {V4: Position.ANNOUNCE, V6: Position.DRAIN}
    ours.place({})
    assert where(home, V4) == where(home, V6) == []


def test_a_thousand_addresses_are_a_few_batches(home: Namespace, tmp_path: Path) -> None:
    ours = loopback(home, tmp_path)
    many = [ip_address(int(ip_address("198.18.0.0")) + number) for number in range(1000)]
    assert ours.place(dict.fromkeys(many, Position.ANNOUNCE)).refused == []
    assert ours.place(dict.fromkeys(many, Position.HOLD)).refused == []
    assert home.output(["ip", "-o", "-4", "addr", "show", "dev", "lo"]).count("198.18.") == 1000
    ours.place({})


SEED = 7
HOPS = [NextHop("10.0.0.2"), NextHop("10.0.0.3"), NextHop("10.0.0.4", 2)]
SOURCES = ["10.0.0.1", "10.9.9.9", "203.0.113.77"]


@pytest.mark.parametrize("policy", [linux.LAYER3, linux.LAYER4])
def test_the_kernel_chooses_as_we_say(home: Namespace, policy: int) -> None:
    home.sysctl("net.ipv4.fib_multipath_hash_policy", policy)
    home.sysctl("net.ipv4.fib_multipath_hash_seed", SEED)
    home.ip("link add d0 type dummy", "link set d0 up", "addr add 10.0.0.1/24 dev d0")
    home.ip(*(f"addr add {source}/32 dev d0" for source in SOURCES[1:]))
    hops = " ".join(f"nexthop via {hop.name} dev d0 weight {hop.weight}" for hop in HOPS)
    home.ip(f"route add 192.0.2.0/24 {hops}")
    chance = random.Random(1)
    flows = [
        Flow(
            ip_address(chance.choice(SOURCES)),
            ip_address(f"192.0.2.{chance.randrange(1, 255)}"),
            Protocol.TCP,
            chance.randrange(1, 65536),
            chance.choice([80, 443, chance.randrange(1, 65536)]),
        )
        for _ in range(200)
    ]
    questions = [
        f"route get {flow.destination} from {flow.source} ipproto tcp "
        f"sport {flow.source_port} dport {flow.destination_port}"
        for flow in flows
    ]
    answers = home.output(["ip", "-batch", "-"], stdin="\n".join(questions) + "\n")
    chosen = [line.split(" via ")[1].split()[0] for line in answers.splitlines() if " via " in line]
    said = [linux.choose(linux.flow_hash(flow, SEED, policy), HOPS).name for flow in flows]
    assert said == chosen
