"""JSON of DPVS's agent."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from contract.values import endpoint, marked, service, virtual

from keepalive_py.config.model import Forwarding, SchedulerFlag, Tunnel, TunnelType
from keepalive_py.errors import WireError
from keepalive_py.net import Protocol
from keepalive_py.plan.steps import (
    AddDestination,
    AddLocalAddress,
    AddService,
    DeleteDestination,
    DeleteLocalAddress,
    DeleteService,
)
from keepalive_py.plan.table import Destination, Service, ServiceOptions
from keepalive_py.wire import dpvs
from keepalive_py.wire.ipvs import Foreign, Inexpressible, OutOfRange

KEY, KEY6 = virtual(), virtual("2001:db8::1", 53, Protocol.UDP)
RS = Destination(endpoint("10.0.0.1", 8080), Forwarding.FNAT, 3)


def test_a_service_is_named_by_address_port_and_protocol() -> None:
    assert dpvs.name_of(KEY) == "192.0.2.1-80-tcp"
    assert dpvs.name_of(KEY6) == "2001:db8::1-53-udp"


@pytest.mark.parametrize("key", [marked(7), virtual(protocol=Protocol.SCTP)], ids=["mark", "SCTP"])
def test_what_the_agent_has_no_name_for_is_refused(key: object) -> None:
    with pytest.raises(Inexpressible):
        dpvs.request(DeleteService(key))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wanted",
    [
        service(scheduler="sh"),
        service(flags=SchedulerFlag.ONE_PACKET),
        service(persistence_timeout=60, netmask=0xFFFFFF00),
        service(persistence_engine="sip"),
    ],
    ids=["scheduler", "one-packet", "persistence of a network", "engine"],
)
def test_a_service_that_the_agent_has_no_words_for_is_refused(wanted: Service) -> None:
    with pytest.raises(Inexpressible):
        dpvs.request(AddService(wanted))


@pytest.mark.parametrize(
    "wanted",
    [
        replace(RS, u_threshold=5),
        replace(RS, forwarding=Forwarding.TUN, tunnel=Tunnel(TunnelType.GRE)),
        replace(RS, weight=65536),
        replace(RS, endpoint=endpoint("2001:db8:1::1")),
    ],
    ids=["threshold", "gre", "weight", "family"],
)
def test_a_server_that_the_agent_has_no_words_for_is_refused(wanted: Destination) -> None:
    with pytest.raises(Inexpressible):
        dpvs.request(AddDestination(KEY, wanted))


def test_a_local_address_needs_a_device() -> None:
    address = ip_address("10.0.0.200")
    with pytest.raises(Inexpressible, match="device"):
        dpvs.request(AddLocalAddress(KEY, address))
    assert dpvs.request(AddLocalAddress(KEY, address), "dpdk0").body == {
        "addr": "10.0.0.200",
        "device": "dpdk0",
    }
    written = dpvs.request(DeleteLocalAddress(KEY, address, "dpdk1"), "dpdk0")
    assert (written.method, written.body) == ("DELETE", {"addr": "10.0.0.200", "device": "dpdk1"})
    with pytest.raises(OutOfRange):
        dpvs.request(AddLocalAddress(KEY, ip_address("2001:db8::2"), "dpdk0"))


def test_neighbours_of_one_service_are_one_request() -> None:
    servers = [replace(RS, endpoint=endpoint(f"10.0.0.{i}")) for i in range(1, 4)]
    steps = [
        *[AddDestination(KEY, one) for one in servers],
        AddDestination(KEY6, replace(RS, endpoint=endpoint("2001:db8:1::1"))),
        DeleteDestination(KEY, servers[0].endpoint),
        DeleteDestination(KEY, servers[1].endpoint),
    ]
    requests = list(dpvs.merged(map(dpvs.request, steps)))
    assert [(each.method, len(each.steps)) for each in requests] == [("PUT", 3), ("PUT", 1), ("DELETE", 2)]
    assert [step for each in requests for step in each.steps] == steps


def test_no_request_grows_without_end() -> None:
    steps = [AddDestination(KEY, replace(RS, endpoint=endpoint("10.0.0.1", port))) for port in range(1, 1001)]
    requests = list(dpvs.merged(map(dpvs.request, steps)))
    assert max(len(each.steps) for each in requests) == dpvs.MOST_SERVERS
    assert [step for each in requests for step in each.steps] == steps


def test_what_is_zero_in_an_answer_is_left_out() -> None:
    found = dpvs.read_service({"Addr": "192.0.2.1", "Port": 80, "Proto": 6, "SchedName": "rr"})
    assert found == service()


def test_options_come_back() -> None:
    found = dpvs.read_service(
        {
            "Addr": "2001:db8::1", "Port": 53, "Proto": 17, "SchedName": "conhash", "Netmask": 128,
            "SynProxy": "true", "Quic": "true", "ExpireQuiescent": "true", "ConnTimeout": 90,
            "Bps": 5, "LimitProportion": 80, "ProxyProto": 18, "Timeout": 360,
        }
    )  # fmt: skip
    assert found.key == KEY6
    assert found.persistence_timeout == 360
    assert found.options == ServiceOptions(True, 90, 5, 80, "v2-insecure", True, True)


@pytest.mark.parametrize(
    "found",
    [
        {"Addr": "192.0.2.1", "Proto": 58},
        {"Addr": "192.0.2.1", "Proto": 6, "Fwmark": 3},
    ],
)
def test_services_that_cannot_be_ours_are_foreign(found: dict[str, object]) -> None:
    with pytest.raises(Foreign):
        dpvs.read_service(found)
    with pytest.raises(Foreign):
        list(dpvs.read_servers({"RSs": {"Items": [{"Spec": {"ip": "10.0.0.1", "port": 1, "mode": "SNAT"}}]}}))


@pytest.mark.parametrize("document", [[], 5, {"Items": 5}])
def test_an_answer_of_another_form_is_an_error(document: object) -> None:
    with pytest.raises(WireError):
        dpvs.items(document)


@pytest.mark.parametrize(
    "found", [{"Addr": "here", "Proto": 6}, {"Proto": 6}, {"Addr": "192.0.2.1", "Proto": 6, "Port": "x"}]
)
def test_a_broken_service_is_an_error(found: dict[str, object]) -> None:
    with pytest.raises(WireError):
        dpvs.read_service(found)


def test_what_the_agent_could_not_read_itself_is_left_out() -> None:
    assert dpvs.items({"Items": [None, {"a": 1}]}) == [{"a": 1}]
    assert dpvs.items({}) == []
