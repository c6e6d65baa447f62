"""What every dataplane does. A backend's test class inherits this and gives a `plane`.

`backend.schedulers` and `backend.engines` say what its kernel was built with: the rest
must be refused, so no case is ever left out.
"""

from __future__ import annotations

import errno
from collections.abc import Collection
from dataclasses import dataclass, replace

import pytest
from contract.values import endpoint, marked, service, virtual

from keepalive_py.config.model import (
    Forwarding,
    LvsTimeouts,
    SchedulerFlag,
    Tunnel,
    TunnelChecksum,
    TunnelType,
)
from keepalive_py.dataplane.port import Dataplane, Refusal, ServiceCounters
from keepalive_py.net import Endpoint, Family, Protocol
from keepalive_py.plan.steps import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    EditDestination,
    EditService,
    Step,
)
from keepalive_py.plan.table import Destination, Service, ServiceEntry, ServiceKey, Table

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos")
S = SchedulerFlag
INT_MAX = (1 << 31) - 1


@dataclass(frozen=True)
class Backend:
    """A dataplane and what it was built with."""

    plane: Dataplane
    schedulers: Collection[str]
    engines: Collection[str]


def codes(refusals: list[Refusal]) -> list[str]:
    return [errno.errorcode[refusal.errno] for refusal in refusals]


async def accept(plane: Dataplane, *steps: Step) -> None:
    """Apply, nothing refused."""
    refusals = await plane.apply(steps)
    assert [(str(refusal.step), refusal.hint) for refusal in refusals] == []


async def refused(plane: Dataplane, step: Step) -> str:
    """The error name of a step that must be refused, alone, with the step itself attached."""
    refusals = await plane.apply([step])
    assert [refusal.step for refusal in refusals] == [step]
    return codes(refusals)[0]


async def destinations(plane: Dataplane, key: ServiceKey) -> list[Destination]:
    return list((await plane.read())[key].destinations.values())


def table(*entries: tuple[Service, list[Destination]]) -> Table:
    return {
        one.key: ServiceEntry(one, {destination.endpoint: destination for destination in several})
        for one, several in entries
    }


KEY = virtual()
RS = Destination(endpoint("10.0.0.1"))
RS6 = Destination(endpoint("2001:db8:1::1"))

SERVICES = [
    pytest.param(service(virtual("192.0.2.1", 80)), id="tcp4"),
    pytest.param(service(virtual("192.0.2.1", 53, Protocol.UDP)), id="udp4"),
    pytest.param(service(virtual("192.0.2.1", 36412, Protocol.SCTP)), id="sctp4"),
    pytest.param(service(virtual("2001:db8::1", 80)), id="tcp6"),
    pytest.param(service(virtual("2001:db8::1", 53, Protocol.UDP)), id="udp6"),
    pytest.param(service(marked(7)), id="fwmark4"),
    pytest.param(service(marked(0xFFFFFFFF, Family.INET6)), id="fwmark6"),
    pytest.param(service(virtual("192.0.2.1", 0), persistence_timeout=360), id="any port"),
    pytest.param(service(virtual("192.0.2.1", 0)), id="any port without persistence"),
    pytest.param(service(persistence_timeout=360), id="persistent"),
    pytest.param(service(persistence_timeout=2678400, netmask=0xFFFFFF00), id="persistent by /24"),
    pytest.param(service(netmask=0), id="netmask 0"),
    pytest.param(service(netmask=0xFF00FF00), id="netmask with holes"),
    pytest.param(service(virtual("2001:db8::1"), persistence_timeout=60, netmask=64), id="persistent by /64"),
    pytest.param(service(virtual("2001:db8::1"), netmask=1), id="prefix length 1"),
    pytest.param(service(virtual(protocol=Protocol.UDP), flags=S.ONE_PACKET), id="one-packet"),
    pytest.param(service(flags=S.ONE_PACKET), id="one-packet tcp"),
    pytest.param(service(scheduler="sh", flags=S.SCHED1), id="sh-fallback"),
    pytest.param(service(scheduler="sh", flags=S.SCHED2), id="sh-port"),
    pytest.param(service(scheduler="mh", flags=S.SCHED1 | S.SCHED2), id="mh-fallback and mh-port"),
    pytest.param(service(flags=S.SCHED3), id="flag-3"),
    pytest.param(
        service(flags=S.ONE_PACKET | S.SCHED1 | S.SCHED2 | S.SCHED3, persistence_timeout=1), id="every flag"
    ),
    pytest.param(service(scheduler="none"), id="without a scheduler"),
    pytest.param(service(virtual("224.0.0.1")), id="multicast address"),
]

TUNNELS = [
    Tunnel(),
    Tunnel(TunnelType.GUE, 6080),
    Tunnel(TunnelType.GUE, 65535, TunnelChecksum.CSUM),
    Tunnel(TunnelType.GUE, 6080, TunnelChecksum.REMCSUM),
    Tunnel(TunnelType.GRE),
    Tunnel(TunnelType.GRE, 0, TunnelChecksum.CSUM),
]

DESTINATIONS = [
    pytest.param(KEY, replace(RS, forwarding=Forwarding.NAT), id="NAT"),
    pytest.param(KEY, replace(RS, forwarding=Forwarding.DR), id="DR"),
    pytest.param(virtual("2001:db8::1"), replace(RS6, forwarding=Forwarding.NAT), id="NAT6"),
    pytest.param(virtual("2001:db8::1"), replace(RS6, forwarding=Forwarding.DR), id="DR6"),
    *[
        pytest.param(key, replace(one, forwarding=Forwarding.TUN, tunnel=tunnel), id=f"TUN{name} {number}")
        for number, tunnel in enumerate(TUNNELS)
        for name, key, one in (
            ("4", KEY, RS),
            ("6", virtual("2001:db8::1"), RS6),
            ("6in4", KEY, RS6),
            ("4in6", virtual("2001:db8::1"), RS),
        )
    ],
    pytest.param(KEY, replace(RS, tunnel=Tunnel(TunnelType.GUE, 6080)), id="NAT with tunnel settings"),
    pytest.param(KEY, replace(RS, endpoint=endpoint("10.0.0.1", 8080)), id="another port"),
    pytest.param(KEY, replace(RS, endpoint=endpoint("10.0.0.1", 0)), id="port 0"),
    pytest.param(KEY, replace(RS, weight=0), id="weight 0"),
    pytest.param(KEY, replace(RS, weight=INT_MAX), id="largest weight"),
    pytest.param(KEY, replace(RS, u_threshold=100, l_threshold=50), id="thresholds"),
    pytest.param(KEY, replace(RS, u_threshold=100, l_threshold=100), id="equal thresholds"),
    pytest.param(KEY, replace(RS, u_threshold=INT_MAX), id="largest threshold"),
    pytest.param(marked(7), replace(RS, endpoint=endpoint("10.0.0.1", 0)), id="of a firewall mark"),
    pytest.param(KEY, replace(RS, endpoint=endpoint("127.0.0.1")), id="loopback"),
    pytest.param(KEY, replace(RS, endpoint=endpoint("240.0.0.1")), id="class E"),
    pytest.param(KEY, replace(RS, endpoint=endpoint("0.1.2.3")), id="in 0.0.0.0/8"),
    pytest.param(virtual("2001:db8::1"), replace(RS6, endpoint=endpoint("::1")), id="loopback6"),
    pytest.param(virtual("2001:db8::1"), replace(RS6, endpoint=endpoint("fec0::1")), id="site-local"),
]

REFUSED_SERVICES = [
    pytest.param("ENOENT", service(scheduler="nosuch"), id="no such scheduler"),
    pytest.param("ENOENT", service(scheduler=""), id="empty scheduler"),
    pytest.param("EINVAL", service(scheduler="x" * 16), id="scheduler name too long"),
    pytest.param("ENOENT", service(persistence_engine="nosuch"), id="no such engine"),
    pytest.param("EINVAL", service(persistence_engine="x" * 17), id="engine name too long"),
    pytest.param("EINVAL", service(virtual("2001:db8::1"), netmask=0), id="prefix length 0"),
    pytest.param("EINVAL", service(virtual("2001:db8::1"), netmask=129), id="prefix length 129"),
    pytest.param("EINVAL", service(marked(1, Family.INET6), netmask=0xFFFFFFFF), id="v4 mask for fwmark6"),
    pytest.param("EINVAL", service(marked(0)), id="firewall mark 0"),
]

REFUSED_DESTINATIONS = [
    pytest.param("ERANGE", KEY, replace(RS, weight=-1), id="negative weight"),
    pytest.param("EINVAL", KEY, replace(RS, weight=INT_MAX + 1), id="weight too large"),
    pytest.param("ERANGE", KEY, replace(RS, u_threshold=1, l_threshold=2), id="lower above upper"),
    pytest.param("ERANGE", KEY, replace(RS, l_threshold=1), id="lower without upper"),
    pytest.param("EINVAL", KEY, replace(RS, tunnel=Tunnel(TunnelType.GUE)), id="gue without port"),
    pytest.param("EINVAL", KEY, RS6, id="NAT to IPv6"),
    pytest.param("EINVAL", KEY, replace(RS6, forwarding=Forwarding.DR), id="DR to IPv6"),
    pytest.param("EINVAL", virtual("2001:db8::1"), RS, id="NAT to IPv4"),
    pytest.param("EINVAL", KEY, replace(RS6, weight=-1), id="family before weight"),
    pytest.param(
        "ERANGE", KEY, replace(RS, weight=-1, tunnel=Tunnel(TunnelType.GUE)), id="weight before tunnel"
    ),
]

REFUSED_ADDRESSES = [
    (KEY, "0.0.0.0"),
    (KEY, "224.0.0.1"),
    (KEY, "255.255.255.255"),
    (virtual("2001:db8::1"), "::"),
    (virtual("2001:db8::1"), "fe80::1"),
    (virtual("2001:db8::1"), "ff02::1"),
    (virtual("2001:db8::1"), "::ffff:10.0.0.1"),
]


class DataplaneContract:
    """Inherit, and give a fixture `backend`: an open, empty dataplane."""

    @pytest.fixture
    def plane(self, backend: Backend) -> Dataplane:
        return backend.plane

    async def test_an_empty_table_reads_as_one(self, plane: Dataplane) -> None:
        assert await plane.read() == {}
        assert await plane.counters() == {}

    async def test_no_steps_are_no_work(self, plane: Dataplane) -> None:
        assert await plane.apply([]) == []

    # ------------------------------------------------------------ services

    @pytest.mark.parametrize("name", SCHEDULERS)
    async def test_every_scheduler_that_is_built_in_works(self, backend: Backend, name: str) -> None:
        wanted = service(scheduler=name)
        if name not in backend.schedulers:
            assert await refused(backend.plane, AddService(wanted)) == "ENOENT"
            return
        await accept(backend.plane, AddService(wanted), AddDestination(KEY, RS))
        assert await backend.plane.read() == table((wanted, [RS]))

    @pytest.mark.parametrize("wanted", SERVICES)
    async def test_a_service_is_read_back_as_it_was_added(self, plane: Dataplane, wanted: Service) -> None:
        await accept(plane, AddService(wanted))
        assert await plane.read() == table((wanted, []))

    async def test_the_sip_persistence_engine(self, backend: Backend) -> None:
        wanted = service(
            virtual("192.0.2.1", 5060, Protocol.UDP), persistence_timeout=60, persistence_engine="sip"
        )
        if "sip" not in backend.engines:
            assert await refused(backend.plane, AddService(wanted)) == "ENOENT"
            return
        without = replace(wanted, persistence_engine=None)
        await accept(backend.plane, AddService(wanted))
        assert await backend.plane.read() == table((wanted, []))
        await accept(backend.plane, EditService(without))
        assert await backend.plane.read() == table((without, []))

    async def test_services_differ_by_family_protocol_address_port_and_mark(self, plane: Dataplane) -> None:
        several = [
            service(virtual("192.0.2.1", 80)),
            service(virtual("192.0.2.1", 81)),
            service(virtual("192.0.2.2", 80)),
            service(virtual("192.0.2.1", 80, Protocol.UDP)),
            service(virtual("2001:db8::1", 80)),
            service(marked(80)),
            service(marked(80, Family.INET6)),
        ]
        await accept(plane, *map(AddService, several))
        assert await plane.read() == table(*[(one, []) for one in several])

    @pytest.mark.parametrize(
        "after",
        [
            service(scheduler="wrr"),
            service(flags=S.SCHED1 | S.ONE_PACKET),
            service(persistence_timeout=50, netmask=0xFFFF0000),
        ],
        ids=["scheduler", "flags", "persistence"],
    )
    async def test_editing_a_service_keeps_its_destinations(self, plane: Dataplane, after: Service) -> None:
        before = service(flags=S.SCHED2)
        await accept(plane, AddService(before), AddDestination(KEY, RS), EditService(after))
        assert await plane.read() == table((after, [RS]))
        await accept(plane, EditService(before))
        assert await plane.read() == table((before, [RS]))

    async def test_a_service_that_is_persistent_no_more_has_no_timeout(self, plane: Dataplane) -> None:
        await accept(plane, AddService(service(persistence_timeout=50)), EditService(service()))
        assert await plane.read() == table((service(), []))

    async def test_deleting_a_service_deletes_its_destinations(self, plane: Dataplane) -> None:
        await accept(plane, AddService(service()), AddDestination(KEY, RS), DeleteService(KEY))
        assert await plane.read() == {}
        await accept(plane, AddService(service()))
        assert await plane.read() == table((service(), []))

    @pytest.mark.parametrize(("code", "wanted"), REFUSED_SERVICES)
    async def test_a_service_that_the_kernel_refuses(
        self, plane: Dataplane, code: str, wanted: Service
    ) -> None:
        assert await refused(plane, AddService(wanted)) == code
        assert await plane.read() == {}

    @pytest.mark.parametrize(("code", "wanted"), REFUSED_SERVICES)
    async def test_an_edit_that_the_kernel_refuses_changes_nothing(
        self, plane: Dataplane, code: str, wanted: Service
    ) -> None:
        if not wanted.key.fwmark and wanted.key.endpoint is None:
            assert await refused(plane, EditService(wanted)) == code
            return
        before = service(wanted.key)
        await accept(plane, AddService(before))
        assert await refused(plane, EditService(wanted)) == code
        assert await plane.read() == table((before, []))

    # ------------------------------------------------------------ destinations

    @pytest.mark.parametrize(("key", "wanted"), DESTINATIONS)
    async def test_a_destination_is_read_back_as_it_was_added(
        self, plane: Dataplane, key: ServiceKey, wanted: Destination
    ) -> None:
        await accept(plane, AddService(service(key)), AddDestination(key, wanted))
        assert await plane.read() == table((service(key), [wanted]))
        await accept(plane, DeleteDestination(key, wanted.endpoint))
        assert await plane.read() == table((service(key), []))

    @pytest.mark.parametrize(("key", "wanted"), DESTINATIONS)
    async def test_a_destination_is_edited_to_anything_and_back(
        self, plane: Dataplane, key: ServiceKey, wanted: Destination
    ) -> None:
        plain = replace(RS, endpoint=wanted.endpoint, forwarding=Forwarding.TUN)
        await accept(plane, AddService(service(key)), AddDestination(key, plain))
        await accept(plane, EditDestination(key, wanted))
        assert await destinations(plane, key) == [wanted]
        await accept(plane, EditDestination(key, plain))
        assert await destinations(plane, key) == [plain]

    async def test_destinations_come_back_in_the_order_of_addition(self, plane: Dataplane) -> None:
        several = [Destination(endpoint(f"10.0.{i}.{i * 7 % 10 + 1}")) for i in range(100)]
        await accept(plane, AddService(service()), *[AddDestination(KEY, one) for one in several])
        assert await destinations(plane, KEY) == several

    async def test_an_edit_keeps_the_place_and_a_new_addition_goes_last(self, plane: Dataplane) -> None:
        first, second, third = several = [Destination(endpoint(f"10.0.0.{i}")) for i in (1, 2, 3)]
        await accept(plane, AddService(service()), *[AddDestination(KEY, one) for one in several])
        heavier = replace(first, weight=9)
        await accept(plane, EditDestination(KEY, heavier))
        assert await destinations(plane, KEY) == [heavier, second, third]
        await accept(plane, DeleteDestination(KEY, first.endpoint), AddDestination(KEY, first))
        assert await destinations(plane, KEY) == [second, third, first]

    async def test_the_same_server_may_stand_in_many_services(self, plane: Dataplane) -> None:
        keys = [virtual("192.0.2.1", port) for port in range(80, 90)]
        steps = [step for key in keys for step in (AddService(service(key)), AddDestination(key, RS))]
        await accept(plane, *steps)
        assert await plane.read() == table(*[(service(key), [RS]) for key in keys])

    async def test_a_server_with_two_ports_is_two_destinations(self, plane: Dataplane) -> None:
        two = [RS, replace(RS, endpoint=endpoint("10.0.0.1", 8080))]
        await accept(plane, AddService(service()), *[AddDestination(KEY, one) for one in two])
        assert await destinations(plane, KEY) == two

    @pytest.mark.parametrize(("code", "key", "wanted"), REFUSED_DESTINATIONS)
    async def test_a_destination_that_the_kernel_refuses(
        self, plane: Dataplane, code: str, key: ServiceKey, wanted: Destination
    ) -> None:
        await accept(plane, AddService(service(key)))
        assert await refused(plane, AddDestination(key, wanted)) == code
        assert await refused(plane, EditDestination(key, wanted)) == code
        assert await plane.read() == table((service(key), []))

    async def test_a_threshold_that_the_kernel_cannot_count_to(self, plane: Dataplane) -> None:
        """Linux 6.1 keeps it, 6.12 refuses it."""
        beyond = replace(RS, u_threshold=INT_MAX + 1)
        await accept(plane, AddService(service()))
        refusals = await plane.apply([AddDestination(KEY, beyond)])
        assert (codes(refusals), await destinations(plane, KEY)) in [(["EINVAL"], []), ([], [beyond])]

    @pytest.mark.parametrize(("key", "address"), REFUSED_ADDRESSES)
    async def test_an_address_that_is_no_servers(
        self, plane: Dataplane, key: ServiceKey, address: str
    ) -> None:
        await accept(plane, AddService(service(key)))
        assert await refused(plane, AddDestination(key, Destination(endpoint(address)))) == "EINVAL"

    # ------------------------------------------------------------ what is there already, and what is not

    async def test_adding_a_service_that_is_there_edits_it(self, plane: Dataplane) -> None:
        await accept(plane, AddService(service()), AddDestination(KEY, RS))
        await accept(plane, AddService(service(scheduler="wlc")))
        assert await plane.read() == table((service(scheduler="wlc"), [RS]))

    async def test_adding_a_destination_that_is_there_edits_it(self, plane: Dataplane) -> None:
        await accept(plane, AddService(service()), AddDestination(KEY, RS))
        await accept(plane, AddDestination(KEY, replace(RS, weight=7)))
        assert await destinations(plane, KEY) == [replace(RS, weight=7)]

    async def test_editing_what_is_not_there_adds_it(self, plane: Dataplane) -> None:
        await accept(plane, EditService(service()), EditDestination(KEY, RS))
        assert await plane.read() == table((service(), [RS]))

    async def test_deleting_what_is_not_there_is_no_error(self, plane: Dataplane) -> None:
        await accept(plane, DeleteService(KEY), DeleteDestination(KEY, RS.endpoint))
        await accept(plane, AddService(service()), DeleteDestination(KEY, RS.endpoint))
        assert await plane.read() == table((service(), []))

    async def test_a_destination_needs_its_service(self, plane: Dataplane) -> None:
        assert await refused(plane, AddDestination(KEY, RS)) == "ESRCH"
        assert await refused(plane, EditDestination(KEY, RS)) == "ESRCH"

    async def test_a_refused_service_takes_its_destinations_with_it(self, plane: Dataplane) -> None:
        refusals = await plane.apply(
            [
                AddService(service(scheduler="nosuch")),
                AddDestination(KEY, RS),
                AddService(service(virtual(port=81))),
            ]
        )
        assert codes(refusals) == ["ENOENT", "ESRCH"]
        assert await plane.read() == table((service(virtual(port=81)), []))

    async def test_refusals_come_in_the_order_of_the_steps_and_have_hints(self, plane: Dataplane) -> None:
        await accept(plane, AddService(service()), AddDestination(KEY, RS))
        steps: list[Step] = [
            AddDestination(KEY, Destination(endpoint("0.0.0.0"))),
            AddDestination(KEY, replace(RS, weight=2)),  # is there: needs its remedy
            AddDestination(KEY, Destination(endpoint("10.0.0.9"), weight=-1)),
            AddDestination(virtual(port=99), RS),
        ]
        refusals = await plane.apply(steps)
        assert [refusal.step for refusal in refusals] == [steps[0], steps[2], steps[3]]
        assert codes(refusals) == ["EINVAL", "ERANGE", "ESRCH"]
        assert all(refusal.hint for refusal in refusals)
        assert await destinations(plane, KEY) == [replace(RS, weight=2)]

    async def test_steps_happen_in_their_order_even_where_some_need_a_remedy(self, plane: Dataplane) -> None:
        await accept(plane, AddService(service()), AddDestination(KEY, RS))
        await accept(plane, AddDestination(KEY, replace(RS, weight=5)), DeleteDestination(KEY, RS.endpoint))
        assert await destinations(plane, KEY) == []
        await accept(plane, EditDestination(KEY, RS), AddDestination(KEY, replace(RS, weight=3)))
        assert await destinations(plane, KEY) == [replace(RS, weight=3)]
        await accept(plane, AddService(service(scheduler="wlc")), DeleteService(KEY), AddService(service()))
        assert await plane.read() == table((service(), []))

    # ------------------------------------------------------------ the whole

    async def test_flush_leaves_nothing(self, plane: Dataplane) -> None:
        await accept(plane, AddService(service()), AddDestination(KEY, RS), AddService(service(marked(1))))
        await plane.flush()
        assert await plane.read() == {}

    async def test_counters_start_at_zero_for_all_that_is_there(self, plane: Dataplane) -> None:
        await accept(plane, AddService(service()), AddDestination(KEY, RS), AddService(service(marked(1))))
        found = await plane.counters()
        assert set(found) == {KEY, marked(1)}
        assert found[marked(1)] == ServiceCounters(found[KEY].service, {})
        assert list(found[KEY].destinations) == [RS.endpoint]
        assert found[KEY].destinations[RS.endpoint] == found[KEY].service
        assert found[KEY].service.connections == found[KEY].service.bytes_in == 0

    async def test_a_timeout_of_zero_leaves_the_kernels(self, plane: Dataplane) -> None:
        before = await plane.timeouts()
        await plane.set_timeouts(LvsTimeouts(tcp=1234))
        assert await plane.timeouts() == replace(before, tcp=1234)
        await plane.set_timeouts(LvsTimeouts(tcpfin=56, udp=78))
        assert await plane.timeouts() == LvsTimeouts(1234, 56, 78)
        await plane.set_timeouts(before)
        assert await plane.timeouts() == before

    async def test_a_closed_dataplane_leaves_its_table(self, plane: Dataplane) -> None:
        await accept(plane, AddService(service()))
        await plane.close()
        await plane.open()
        assert await plane.read() == table((service(), []))

    async def test_a_thousand_services_with_ten_servers_each_in_one_go(self, plane: Dataplane) -> None:
        wanted = large_table(1000, 10)
        await accept(plane, *additions(wanted))
        assert await plane.read() == wanted
        await accept(plane, *[DeleteService(key) for key in wanted])
        assert await plane.read() == {}

    async def test_a_large_table_that_is_there_already(self, plane: Dataplane) -> None:
        wanted = large_table(100, 10)
        await accept(plane, *additions(wanted))
        await accept(plane, *additions(wanted))
        assert await plane.read() == wanted


def large_table(services: int, servers: int) -> Table:
    return table(
        *[
            (
                service(virtual(f"192.0.{number // 250}.{number % 250 + 1}", 80), scheduler="wrr"),
                [Destination(endpoint(f"10.{number // 250}.{number % 250}.{i + 1}")) for i in range(servers)],
            )
            for number in range(services)
        ]
    )


def additions(wanted: Table) -> list[Step]:
    steps: list[Step] = []
    for key, entry in wanted.items():
        steps.append(AddService(entry.service))
        steps += [AddDestination(key, destination) for destination in entry.destinations.values()]
    return steps


__all__ = ["Backend", "DataplaneContract", "Endpoint", "additions", "large_table"]
