"""Firewall marks for the addresses of groups."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.config.model import (
    Config,
    Forwarding,
    GlobalDefs,
    GroupMember,
    RealServer,
    VirtualServer,
    VirtualServerGroup,
)
from keepalive_py.net import AddressRange, Endpoint, Family, Protocol, parse_address
from keepalive_py.plan.apply import apply
from keepalive_py.plan.desired import desired, sharing
from keepalive_py.plan.diff import diff
from keepalive_py.plan.marks import NO_MARKS, Coverage, Marks, MarkSettings, allocate
from keepalive_py.plan.steps import AddDestination, AddService, SetMarked
from keepalive_py.plan.table import MarkedRange, ServiceKey, Table


def line(text: str) -> GroupMember:
    """`FIRST[-LAST] PORT` or `fwmark N`."""
    head, port = text.split()
    if head == "fwmark":
        return GroupMember(fwmark=int(port))
    first, _, last = head.partition("-")
    return GroupMember(AddressRange(parse_address(first), parse_address(last or first)), int(port))


def group_of(name: str, *lines: str) -> VirtualServerGroup:
    return VirtualServerGroup(name, tuple(map(line, lines)))


def config(groups: dict[str, list[str]], uses: str, *, start: int = 1000, marks: str = "") -> Config:
    """`uses`: the groups that virtual servers use, one letter each; small: by UDP. `marks`:
    those that the configuration names itself."""
    by_group = [
        VirtualServer(group=name.upper(), protocol=Protocol.TCP if name.isupper() else Protocol.UDP)
        for name in uses
    ]
    by_mark = [VirtualServer(fwmark=int(mark)) for mark in marks.split()]
    return Config(
        global_defs=GlobalDefs(nftables_ipvs="t", nftables_ipvs_start_fwmark=start),
        groups={name: group_of(name, *lines) for name, lines in groups.items()},
        virtual_servers=(*by_group, *by_mark),
    )


def shown(marks: Marks) -> dict[int, list[str]]:
    return {key.fwmark: [str(each) for each in ranges] for key, ranges in marks.ranges.items()}


def test_every_use_of_a_group_has_a_mark_in_the_order_of_the_virtual_servers() -> None:
    groups = {"A": ["192.0.2.1 80"], "B": ["192.0.2.8-192.0.2.15 443", "192.0.2.1 443"]}

    assert shown(allocate(config(groups, "BAab"), NO_MARKS, {})) == {
        1000: ["TCP 192.0.2.1 port 443", "TCP 192.0.2.8-192.0.2.15 port 443"],
        1001: ["TCP 192.0.2.1 port 80"],
        1002: ["UDP 192.0.2.1 port 80"],
        1003: ["UDP 192.0.2.1 port 443", "UDP 192.0.2.8-192.0.2.15 port 443"],
    }


def test_without_the_keyword_there_are_no_marks() -> None:
    one = config({"A": ["192.0.2.1 80"]}, "A")

    assert allocate(dataclasses.replace(one, global_defs=GlobalDefs()), NO_MARKS, {}) is NO_MARKS
    assert MarkSettings.of(GlobalDefs()) is None


def test_virtual_servers_of_one_group_and_protocol_share_its_mark() -> None:
    assert list(shown(allocate(config({"A": ["192.0.2.1 80"]}, "AAA"), NO_MARKS, {}))) == [1000]


def test_each_family_of_a_group_has_its_own() -> None:
    found = allocate(config({"A": ["192.0.2.1 80", "2001:db8::1 80"]}, "A"), NO_MARKS, {})

    assert found.of_group("A", Protocol.TCP) == [
        ServiceKey(Family.INET, fwmark=1000),
        ServiceKey(Family.INET6, fwmark=1001),
    ]


def test_a_group_with_a_mark_of_its_own_is_left_as_it_is() -> None:
    assert shown(allocate(config({"A": ["192.0.2.1 80", "fwmark 7"]}, "A"), NO_MARKS, {})) == {}


def test_marks_that_the_configuration_names_are_passed_over() -> None:
    groups = {"A": ["192.0.2.1 80"], "B": ["192.0.2.2 80"], "C": ["192.0.2.3 80", "fwmark 1002"]}

    assert list(shown(allocate(config(groups, "ABC", marks="1000"), NO_MARKS, {}))) == [1001, 1003]


def test_after_the_last_number_comes_the_first() -> None:
    groups = {"A": ["192.0.2.1 80"], "B": ["192.0.2.2 80"]}

    assert list(shown(allocate(config(groups, "AB", start=0xFFFFFFFF), NO_MARKS, {}))) == [0xFFFFFFFF, 1]


def test_a_reload_keeps_marks_and_gives_none_to_another() -> None:
    groups = {"A": ["192.0.2.1 80"], "B": ["192.0.2.2 80"], "C": ["192.0.2.3 80"]}
    before = allocate(config(groups, "AB"), NO_MARKS, {})

    after = allocate(config(groups, "CB"), before, {})

    assert {use.group: mark for use, mark in after.given.items()} == {"C": 1002, "B": 1001}


def test_a_restart_finds_the_marks_in_the_table() -> None:
    groups = {"A": ["192.0.2.1 80"], "B": ["192.0.2.2 80"]}
    running = config(groups, "AB")
    table = wanted(running, allocate(running, NO_MARKS, {}))

    after = allocate(config({**groups, "B": ["192.0.2.2 80", "192.0.2.9 80"]}, "BA"), NO_MARKS, table)

    assert {use.group: mark for use, mark in after.given.items()} == {"B": 1001, "A": 1000}


def test_a_mark_that_somebody_else_uses_is_passed_over() -> None:
    one = config({"A": ["192.0.2.1 80"]}, "A")
    foreign = Table(wanted(config({}, "", marks="1000"), NO_MARKS))

    assert list(shown(allocate(one, NO_MARKS, foreign))) == [1001]


def test_of_lines_that_overlap_the_first_counts() -> None:
    groups = {"A": ["192.0.2.4-192.0.2.5 80"], "B": ["192.0.2.1-192.0.2.9 80", "192.0.2.9 80"]}

    assert shown(allocate(config(groups, "AB"), NO_MARKS, {}))[1001] == [
        "TCP 192.0.2.1-192.0.2.3 port 80",
        "TCP 192.0.2.6-192.0.2.9 port 80",
    ]


def test_a_line_without_a_port_means_the_ports_that_no_line_has() -> None:
    groups = {"A": ["192.0.2.1-192.0.2.3 0"], "B": ["192.0.2.2 80", "192.0.2.2 443"]}

    assert shown(allocate(config(groups, "AB"), NO_MARKS, {}))[1000] == [
        "TCP 192.0.2.1 ports 0-65535",
        "TCP 192.0.2.2 ports 0-79",
        "TCP 192.0.2.2 ports 81-442",
        "TCP 192.0.2.2 ports 444-65535",
        "TCP 192.0.2.3 ports 0-65535",
    ]


def wanted(one: Config, marks: Marks) -> Table:
    class Full:
        def weights(self) -> list[int | None]:
            return [1]

        def sorry_weight(self) -> None:
            return None

    server = RealServer(
        endpoint=Endpoint(parse_address("10.0.0.1"), 8080), forwarding=Forwarding.DR, weight=1
    )
    services = tuple(dataclasses.replace(vs, real_servers=(server,)) for vs in one.virtual_servers)
    one = dataclasses.replace(one, virtual_servers=services)
    return desired(one, [Full()] * len(services), marks=marks)


def test_a_group_is_one_service_and_is_led_to_when_all_is_there() -> None:
    one = config({"A": ["192.0.2.1 80", "192.0.2.2 81"]}, "A")
    steps = diff(wanted(one, allocate(one, NO_MARKS, {})), {})

    assert [type(step) for step in steps] == [AddService, AddDestination, SetMarked]
    assert [str(step) for step in steps[1:]] == [
        "add 10.0.0.1:0 DR weight 1 to FWM 1000",
        "mark TCP 192.0.2.1 port 80 and 1 more for FWM 1000",
    ]


def test_a_line_more_is_one_step() -> None:
    one, two = config({"A": ["192.0.2.1 80"]}, "A"), config({"A": ["192.0.2.1 80", "192.0.2.2 81"]}, "A")
    marks = allocate(one, NO_MARKS, {})
    before, after = wanted(one, marks), wanted(two, allocate(two, marks, {}))

    steps = diff(after, before)

    assert [type(step) for step in steps] == [SetMarked]
    assert apply(steps, before) == after


def test_only_users_of_one_group_share_a_service() -> None:
    one = config({"A": ["192.0.2.1 80"], "B": ["192.0.2.1 80"]}, "ABA")

    assert sharing(one, allocate(one, NO_MARKS, {})) == ((0, 2), (1,), (0, 2))


# ----------------------------------------------------------------------------- laws

addresses = st.integers(1, 12)
ports = st.sampled_from([0, 80, 81, 443])
lines = st.tuples(addresses, addresses, ports).map(
    lambda given: f"192.0.2.{min(given[:2])}-192.0.2.{max(given[:2])} {given[2]}"
)
configs = st.lists(st.lists(lines, min_size=1, max_size=4), min_size=1, max_size=4).map(
    lambda groups: config(dict(zip("ABCD", groups, strict=False)), "ABCD"[: len(groups)])
)


@given(configs)
def test_ranges_never_overlap_and_lead_where_the_first_line_says(one: Config) -> None:
    ranges = allocate(one, NO_MARKS, {}).ranges
    flat = [each for several in ranges.values() for each in several]

    assert not any(a.overlaps(b) for at, a in enumerate(flat) for b in flat[at + 1 :])
    for host in range(14):
        for port in (1, 80, 81, 443, 65535):
            assert led(ranges, host, port) == meant(one, host, port), (host, port)


def led(ranges: dict[ServiceKey, tuple[MarkedRange, ...]] | object, host: int, port: int) -> int | None:
    address = parse_address(f"192.0.2.{host}")
    packet = MarkedRange(Protocol.TCP, address, address, port, port)
    assert isinstance(ranges, dict)
    return next((key.fwmark for key, several in ranges.items() if Coverage(several).overlaps(packet)), None)


def meant(one: Config, host: int, port: int) -> int | None:
    address = parse_address(f"192.0.2.{host}")
    for wanted_port in (port, 0):
        for number, group in enumerate(one.groups.values()):
            for member in group.members:
                assert member.addresses is not None
                if member.port == wanted_port and address in member.addresses:
                    return 1000 + number
    return None


ranges = st.builds(
    lambda a, b, p, q: MarkedRange(
        Protocol.TCP,
        parse_address(f"192.0.2.{min(a, b)}"),
        parse_address(f"192.0.2.{max(a, b)}"),
        min(p, q),
        max(p, q),
    ),
    addresses, addresses, ports, ports,
)  # fmt: skip


@given(st.lists(ranges, max_size=6), ranges)
def test_coverage_is_overlap_with_any(several: list[MarkedRange], one: MarkedRange) -> None:
    coverage = Coverage(several)

    assert coverage.overlaps(one) == any(map(one.overlaps, several))
    assert coverage.reaches(int(one.first), int(one.last)) or not coverage.overlaps(one)
    assert not coverage.reaches(0, -1)
