"""The table that a model and its pools ask for."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest

from keepalive_py.config.model import (
    Config,
    Forwarding,
    GroupMember,
    LocalAddressGroup,
    RealServer,
    SchedulerFlag,
    SorryServer,
    Tunnel,
    TunnelType,
    VirtualServer,
    VirtualServerGroup,
)
from keepalive_py.net import AddressRange, Endpoint, Family, Protocol, parse_address
from keepalive_py.plan.desired import desired, sharing
from keepalive_py.plan.table import Destination, Service, ServiceKey, Table

NAT, DR, TUN, FNAT = Forwarding.NAT, Forwarding.DR, Forwarding.TUN, Forwarding.FNAT


def at(text: str) -> Endpoint:
    """`ADDRESS PORT`."""
    address, _, port = text.partition(" ")
    return Endpoint(parse_address(address), int(port))


def line(text: str) -> GroupMember:
    """`FIRST[-LAST] PORT` or `fwmark N`."""
    head, port = text.split()
    if head == "fwmark":
        return GroupMember(fwmark=int(port))
    first, _, last = head.partition("-")
    return GroupMember(AddressRange(parse_address(first), parse_address(last or first)), int(port))


def rs(text: str, **settings: object) -> RealServer:
    return RealServer(endpoint=at(text), **settings)  # type: ignore[arg-type]


def vs(*servers: RealServer, **settings: object) -> VirtualServer:
    given = {"protocol": Protocol.TCP, "scheduler": "rr", **settings}
    if not given.keys() & {"group", "fwmark", "endpoint"}:
        given["endpoint"] = at("192.0.2.1 80")
    return VirtualServer(real_servers=servers, **given)  # type: ignore[arg-type]


@dataclass
class Pool:
    """As health would say it."""

    given: list[int | None]
    sorry: int | None = None

    def weights(self) -> list[int | None]:
        return self.given

    def sorry_weight(self) -> int | None:
        return self.sorry


def full(service: VirtualServer) -> Pool:
    return Pool([server.weight for server in service.real_servers])


def config(*services: VirtualServer, lines: tuple[str, ...] = (), **settings: object) -> Config:
    groups = {"G": VirtualServerGroup("G", tuple(map(line, lines)))} if lines else {}
    return Config(virtual_servers=services, groups=groups, **settings)  # type: ignore[arg-type]


def table(*services: VirtualServer, lines: tuple[str, ...] = ()) -> Table:
    return desired(config(*services, lines=lines), [full(service) for service in services])


def shown(found: Table) -> dict[str, dict[str, int]]:
    return {
        str(key): {str(to.endpoint): to.weight for to in entry.destinations.values()}
        for key, entry in found.items()
    }


def service(found: Table) -> Service:
    (entry,) = found.values()
    return entry.service


def test_a_virtual_server_is_one_service_with_its_pool_in_file_order() -> None:
    one = vs(rs("10.0.0.2 80", weight=2), rs("10.0.0.1 8080"))

    assert shown(table(one)) == {"TCP 192.0.2.1:80": {"10.0.0.2:80": 2, "10.0.0.1:8080": 1}}
    assert list(shown(table(one))["TCP 192.0.2.1:80"]) == ["10.0.0.2:80", "10.0.0.1:8080"]


def test_who_is_not_in_the_pool_is_not_in_the_table() -> None:
    one = vs(rs("10.0.0.1 80"), rs("10.0.0.2 80"), rs("10.0.0.3 80"))
    found = desired(config(one), [Pool([5, None, 0])])

    assert shown(found) == {"TCP 192.0.2.1:80": {"10.0.0.1:80": 5, "10.0.0.3:80": 0}}


def test_settings_of_a_destination_are_those_of_the_real_server() -> None:
    tunnel = Tunnel(TunnelType.GUE, 6080)
    one = vs(rs("10.0.0.1 80", forwarding=TUN, tunnel=tunnel, uthreshold=9, lthreshold=3, weight=4))
    (entry,) = table(one).values()

    assert list(entry.destinations.values()) == [Destination(at("10.0.0.1 80"), TUN, 4, 9, 3, tunnel)]


def test_settings_of_the_service() -> None:
    flags = SchedulerFlag.SCHED1 | SchedulerFlag.ONE_PACKET
    plain = service(table(vs(scheduler="mh", scheduler_flags=flags, persistence_engine="sip")))
    sticky = service(
        table(
            vs(
                persistence_timeout=60,
                persistence_engine="sip",
                persistence_netmask=IPv4Address("255.255.0.0"),
            )
        )
    )

    assert (plain.scheduler, plain.flags, plain.netmask) == ("mh", flags, 0xFFFFFFFF)
    assert plain.persistence_engine is None
    assert sticky.flags is SchedulerFlag.PERSISTENT
    assert (sticky.persistence_timeout, sticky.netmask) == (60, 0xFFFF0000)
    assert sticky.persistence_engine == "sip"


@pytest.mark.parametrize(
    ("address", "mask", "expected"),
    [
        ("192.0.2.1 80", None, 0xFFFFFFFF),
        ("192.0.2.1 80", IPv4Address("0.0.0.24"), 24),
        ("192.0.2.1 80", 64, 0xFFFFFFFF),
        ("2001:db8::1 80", None, 128),
        ("2001:db8::1 80", 64, 64),
        ("2001:db8::1 80", IPv4Address("255.255.0.0"), 128),
    ],
)
def test_a_granularity_counts_for_its_own_family(
    address: str, mask: IPv4Address | int | None, expected: int
) -> None:
    one = vs(endpoint=at(address), persistence_timeout=60, persistence_netmask=mask)

    assert service(table(one)).netmask == expected


def test_a_mark_is_a_service_of_the_virtual_server_s_family() -> None:
    found = table(vs(rs("fd00::1 0", forwarding=DR), fwmark=7, family=Family.INET6))

    assert list(found) == [ServiceKey(Family.INET6, fwmark=7)]
    assert shown(found) == {"FWM 7 IPv6": {"[fd00::1]:0": 1}}


def test_a_group_is_a_service_per_address_then_per_mark() -> None:
    found = table(
        vs(rs("10.0.0.1 8080"), group="G"),
        lines=("fwmark 9", "192.0.2.7 443", "192.0.2.8-192.0.2.9 80"),
    )

    assert list(shown(found)) == ["TCP 192.0.2.7:443", "TCP 192.0.2.8:80", "TCP 192.0.2.9:80", "FWM 9"]


@pytest.mark.parametrize(
    ("forwarding", "written", "expected"),
    [
        (NAT, 8080, [8080, 8080, 8080]),
        (NAT, 0, [0, 0, 0]),
        (FNAT, 8080, [8080, 8080, 8080]),
        (DR, 8080, [443, 80, 0]),
        (TUN, 0, [443, 80, 0]),
    ],
)
def test_the_port_of_a_destination_in_a_group(
    forwarding: Forwarding, written: int, expected: list[int]
) -> None:
    server = rs(f"10.0.0.1 {written}", forwarding=forwarding, uthreshold=4)
    found = table(vs(server, group="G"), lines=("192.0.2.7 443", "192.0.2.8 80", "fwmark 3"))
    pools = [list(entry.destinations.values()) for entry in found.values()]

    assert [[to.endpoint.port for to in pool] for pool in pools] == [[port] for port in expected]
    assert all(to.u_threshold == 4 and to.forwarding is forwarding for pool in pools for to in pool)


def test_the_sorry_server_of_a_group_gets_the_port_of_the_line() -> None:
    one = vs(rs("10.0.0.1 80"), group="G", sorry_server=SorryServer(at("10.0.0.9 80"), DR))
    found = desired(config(one, lines=("192.0.2.7 443",)), [Pool([None], 1)])

    assert shown(found) == {"TCP 192.0.2.7:443": {"10.0.0.9:443": 1}}


def test_a_mark_of_a_group_has_its_own_family_if_it_says_one() -> None:
    members = (GroupMember(fwmark=1), GroupMember(fwmark=2, family=Family.INET6))
    group = {"G": VirtualServerGroup("G", members)}
    one = vs(group="G")

    assert list(desired(Config(virtual_servers=(one,), groups=group), [full(one)])) == [
        ServiceKey(Family.INET, fwmark=1),
        ServiceKey(Family.INET6, fwmark=2),
    ]


def test_the_marks_of_a_group_serve_both_families() -> None:
    four = vs(rs("10.0.0.1 0", forwarding=DR), group="G")
    six = vs(rs("fd00::1 0", forwarding=DR), group="G", group_index=1, family=Family.INET6)
    found = table(four, six, lines=("fwmark 40",))

    assert list(found) == [ServiceKey(Family.INET, fwmark=40), ServiceKey(Family.INET6, fwmark=40)]


def test_only_a_tunnel_crosses_families() -> None:
    servers = (rs("10.0.0.1 80"), rs("fd00::1 80", forwarding=TUN), rs("fd00::2 80", forwarding=DR))
    found = table(vs(*servers, group="G"), lines=("192.0.2.7 80", "2001:db8::7 80"))

    assert shown(found) == {
        "TCP 192.0.2.7:80": {"10.0.0.1:80": 1, "[fd00::1]:80": 1},
        "TCP [2001:db8::7]:80": {"[fd00::1]:80": 1, "[fd00::2]:80": 1},
    }


def test_one_group_of_two_protocols_is_two_sets_of_services_and_shares_the_marks() -> None:
    tcp = vs(rs("10.0.0.1 80"), rs("10.0.0.2 80"), group="G")
    udp = vs(
        rs("10.0.0.2 80"), rs("10.0.0.3 80"), group="G", group_index=1, protocol=Protocol.UDP, scheduler="lc"
    )
    found = table(tcp, udp, lines=("192.0.2.7 80", "fwmark 3"))

    assert shown(found) == {
        "TCP 192.0.2.7:80": {"10.0.0.1:80": 1, "10.0.0.2:80": 1},
        "FWM 3": {"10.0.0.1:80": 1, "10.0.0.2:80": 1, "10.0.0.3:80": 1},
        "UDP 192.0.2.7:80": {"10.0.0.2:80": 1, "10.0.0.3:80": 1},
    }
    assert found[ServiceKey(Family.INET, fwmark=3)].service.scheduler == "rr"


def test_a_shared_destination_stays_while_one_wants_it_usable() -> None:
    first, second = vs(rs("10.0.0.1 80")), vs(rs("10.0.0.1 80"), quorum=2)

    def weight(*weights: int | None) -> dict[str, int]:
        pools = [Pool([one]) for one in weights]
        return shown(desired(config(first, second), pools))["TCP 192.0.2.1:80"]

    assert weight(5, 7) == {"10.0.0.1:80": 5}
    assert weight(None, 7) == {"10.0.0.1:80": 7}
    assert weight(0, 7) == {"10.0.0.1:80": 7}
    assert weight(0, 0) == {"10.0.0.1:80": 0}
    assert weight(None, None) == {}


def test_a_sorry_server_that_is_a_real_server_serves_as_either() -> None:
    one = vs(rs("10.0.0.1 80", weight=3), sorry_server=SorryServer(at("10.0.0.1 80"), inhibit=True))

    assert shown(desired(config(one), [Pool([3], 0)])) == {"TCP 192.0.2.1:80": {"10.0.0.1:80": 3}}
    assert shown(desired(config(one), [Pool([0], 1)])) == {"TCP 192.0.2.1:80": {"10.0.0.1:80": 1}}


def test_the_sorry_server_has_its_own_method() -> None:
    one = vs(rs("10.0.0.1 80"), sorry_server=SorryServer(at("10.0.0.9 81"), TUN, Tunnel(TunnelType.GRE)))
    (entry,) = desired(config(one), [Pool([None], 1)]).values()

    assert list(entry.destinations.values()) == [
        Destination(at("10.0.0.9 81"), TUN, 1, tunnel=Tunnel(TunnelType.GRE))
    ]


def test_fullnat_has_the_local_addresses_of_its_family() -> None:
    spans = [("10.1.0.1", "10.1.0.3"), ("fd01::1", "fd01::1")]
    ranges = tuple(AddressRange(parse_address(first), parse_address(last)) for first, last in spans)
    groups = {"L": LocalAddressGroup("L", ranges)}
    one = vs(rs("10.0.0.1 80", forwarding=FNAT), forwarding=FNAT, local_address_group="L")
    (entry,) = desired(config(one, local_address_groups=groups), [full(one)]).values()

    assert [str(address) for address in entry.local_addresses] == ["10.1.0.1", "10.1.0.2", "10.1.0.3"]


def test_an_override_sets_the_weight_of_who_is_in_the_pool() -> None:
    one, two = vs(rs("10.0.0.1 80"), rs("10.0.0.2 80")), vs(rs("10.0.0.1 80"), protocol=Protocol.UDP)
    drained = {0: {at("10.0.0.1 80"): 0, at("10.0.0.2 80"): 0}}
    found = desired(config(one, two), [Pool([1, None]), Pool([1])], overrides=drained)

    assert shown(found) == {"TCP 192.0.2.1:80": {"10.0.0.1:80": 0}, "UDP 192.0.2.1:80": {"10.0.0.1:80": 1}}


def test_sharing_names_all_who_have_a_part_in_a_service() -> None:
    mine = vs(rs("10.0.0.1 80"), endpoint=at("192.0.2.5 80"))
    tcp, udp = vs(group="G"), vs(group="G", group_index=1, protocol=Protocol.UDP)
    marked = vs(fwmark=3)
    settings = config(mine, tcp, udp, marked, lines=("192.0.2.7 80", "fwmark 3"))

    assert sharing(settings) == ((0,), (1, 2, 3), (1, 2, 3), (1, 2, 3))


def test_a_part_is_the_whole_of_the_services_it_has() -> None:
    services = (vs(rs("10.0.0.1 80")), vs(rs("10.0.0.2 80")), vs(rs("10.0.0.3 80"), protocol=Protocol.UDP))
    settings, pools = config(*services), [full(one) for one in services]
    whole = desired(settings, pools)
    part = desired(settings, pools, only=sharing(settings)[1])

    assert part == {key: whole[key] for key in part}
    assert [key.protocol for key in part] == [Protocol.TCP]
