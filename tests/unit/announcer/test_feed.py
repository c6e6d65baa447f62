"""What routing daemons that do not look at interfaces are told."""

from __future__ import annotations

import io
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from keepalive_py.announcer import feed
from keepalive_py.announcer.feed import Source, ToExabgp, ToGobgp, read_table
from keepalive_py.wire.rtnetlink import InterfaceAddress, Link

A, B, SIX = ip_address("192.0.2.1"), ip_address("192.0.2.2"), ip_address("2001:db8::1")
PREFIXES = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/64"))
SOURCE = Source("kavip", "kadrain", PREFIXES, (65101, 65101))


class Kernel:
    def links(self) -> dict[str, Link]:
        names = ("lo", "kavip", "kadrain", "kahold")
        return {name: Link(index, name, True, True, "dummy") for index, name in enumerate(names, 1)}

    def addresses(self) -> list[InterfaceAddress]:
        return [
            InterfaceAddress(A, 32, 2, 0),
            InterfaceAddress(B, 32, 3, 0),
            InterfaceAddress(SIX, 128, 2, 0),
            InterfaceAddress(ip_address("192.0.2.3"), 32, 4, 0),  # held
            InterfaceAddress(ip_address("192.0.2.4"), 24, 2, 0),  # a network
            InterfaceAddress(ip_address("203.0.113.1"), 32, 2, 0),  # of no prefix
        ]


def test_routes_are_host_addresses_of_the_prefixes_on_the_two_interfaces() -> None:
    assert SOURCE.routes(Kernel()) == {A: False, B: True, SIX: False}  # type: ignore[arg-type]


async def test_exabgp_is_told_what_changed() -> None:
    out = io.StringIO()
    sink = ToExabgp(SOURCE, out)
    await sink.tell({A: False, SIX: False})
    await sink.tell({A: True, SIX: False})
    await sink.tell({A: True})
    assert out.getvalue().splitlines() == [
        "announce route 192.0.2.1/32 next-hop self",
        "announce route 2001:db8::1/128 next-hop self",
        "announce route 192.0.2.1/32 next-hop self community [65535:0] as-path [ 65101 65101 ]",
        "withdraw route 2001:db8::1/128 next-hop self",
    ]


# As GoBGP 3.10 prints it: plain, drained, and somebody else's.
TABLE: dict[str, Any] = {
    "192.0.2.1/32": [{"attrs": [{"type": 1, "value": 2}, {"type": 3, "nexthop": "0.0.0.0"}]}],
    "192.0.2.2/32": [{"attrs": [{"type": 8, "communities": [4294901760]}]}],
    "198.51.100.1/32": [{"attrs": []}],
    "192.0.2.0/24": [{"attrs": []}],
}


def test_the_table_of_gobgp_is_read() -> None:
    assert read_table(TABLE, PREFIXES) == {A: False, B: True}
    assert read_table(None, PREFIXES) == {}


async def test_gobgp_is_told_what_its_table_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    async def run(argv: list[str]) -> str:
        said.append(" ".join(argv))
        return ""

    async def run_json(argv: list[str]) -> Any:
        return TABLE if argv[-1] == "ipv4" else {}

    monkeypatch.setattr(feed, "run", run)
    monkeypatch.setattr(feed, "run_json", run_json)
    await ToGobgp(SOURCE, "10.0.0.1:50051").tell({A: True, SIX: False})
    assert said == [
        "gobgp -u 10.0.0.1 -p 50051 global rib del -a ipv4 192.0.2.2/32",
        "gobgp -u 10.0.0.1 -p 50051 global rib add -a ipv4 192.0.2.1/32 community 65535:0 aspath 65101 65101",
        "gobgp -u 10.0.0.1 -p 50051 global rib add -a ipv6 2001:db8::1/128",
    ]
