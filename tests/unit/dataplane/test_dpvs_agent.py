"""The dataplane of DPVS, against a server of its agent's API."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_address

import pytest
from contract.dataplane_contract import Backend, DataplaneContract, accept, table
from contract.values import endpoint, marked, service, virtual
from lab.dpvs_agent import DpvsAgent as Agent

from keepalive_py.config.dpvs import DpvsAgent
from keepalive_py.config.model import Forwarding, LvsSyncDaemon, LvsTimeouts
from keepalive_py.dataplane import choose
from keepalive_py.dataplane.dpvs import DpvsDataplane
from keepalive_py.errors import KernelRefused
from keepalive_py.net import Protocol
from keepalive_py.plan.diff import diff
from keepalive_py.plan.steps import (
    AddDestination,
    AddLocalAddress,
    AddService,
    DeleteDestination,
    DeleteService,
    EditDestination,
    EditService,
)
from keepalive_py.plan.table import Destination, ServiceEntry, ServiceOptions, Table

KEY, KEY6 = virtual(), virtual("2001:db8::1", 53, Protocol.UDP)
RS = Destination(endpoint("10.0.0.1", 8080), Forwarding.FNAT, 3)
LOCAL = ip_address("10.0.0.200")


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    served = Agent()
    yield served
    await served.stop()


@pytest.fixture
async def plane(agent: Agent) -> AsyncIterator[DpvsDataplane]:
    opened = DpvsDataplane(DpvsAgent(agent=await agent.start(), device="dpdk0", timeout=2.0))
    await opened.open()
    yield opened
    await opened.close()


class TestDpvsAsADataplane:
    """What of the contract of every dataplane makes sense here."""

    C = DataplaneContract

    @pytest.fixture
    def backend(self, plane: DpvsDataplane) -> Backend:
        return Backend(plane, ("rr", "wrr", "wlc"), ())

    test_empty = C.test_an_empty_table_reads_as_one
    test_no_steps = C.test_no_steps_are_no_work
    test_deleting = C.test_deleting_a_service_deletes_its_destinations
    test_not_persistent = C.test_a_service_that_is_persistent_no_more_has_no_timeout
    test_order = C.test_destinations_come_back_in_the_order_of_addition
    test_edit_keeps_the_place = C.test_an_edit_keeps_the_place_and_a_new_addition_goes_last
    test_same_server = C.test_the_same_server_may_stand_in_many_services
    test_two_ports = C.test_a_server_with_two_ports_is_two_destinations
    test_large = C.test_a_thousand_services_with_ten_servers_each_in_one_go


def whole() -> Table:
    """Services of both families with everything that the agent takes."""
    first = service(scheduler="conhash", persistence_timeout=300, options=ServiceOptions(True, 90, 5, 80))
    second = service(KEY6, options=ServiceOptions(quic=True, expire_quiescent_conn=True))
    return {
        KEY: ServiceEntry(
            first,
            {
                one.endpoint: one
                for one in (RS, replace(RS, endpoint=endpoint("10.0.0.2"), weight=0), Destination(
                    endpoint("10.0.0.3"), Forwarding.DR), Destination(endpoint("10.0.0.4"), Forwarding.TUN))
            },
            (LOCAL, ip_address("10.0.0.201")),
            {LOCAL: "dpdk1"},
        ),
        KEY6: ServiceEntry(
            second,
            {endpoint("2001:db8:1::1"): Destination(endpoint("2001:db8:1::1"), Forwarding.FNAT)},
            (ip_address("2001:db8:2::1"),),
        ),
    }  # fmt: skip


async def test_a_table_is_read_back_as_it_was_applied(plane: DpvsDataplane, agent: Agent) -> None:
    await accept(plane, *diff(whole(), {}))
    assert await plane.read() == whole()
    assert diff(whole(), await plane.read()) == []
    assert agent.services["192.0.2.1-80-tcp"].local == {"10.0.0.200": "dpdk1", "10.0.0.201": "dpdk0"}
    assert (await plane.read())[KEY].interfaces[LOCAL] == "dpdk1"


async def test_a_table_is_taken_away_again(plane: DpvsDataplane, agent: Agent) -> None:
    await accept(plane, *diff(whole(), {}))
    await accept(plane, *diff({}, await plane.read()))
    assert agent.services == {}


async def test_local_addresses_come_and_go(plane: DpvsDataplane) -> None:
    before = whole()
    after = {**before, KEY: replace(before[KEY], local_addresses=(ip_address("10.0.0.202"), LOCAL))}
    await accept(plane, *diff(before, {}))
    await accept(plane, *diff(after, await plane.read()))
    assert await plane.read() == after


async def test_many_servers_are_one_request(plane: DpvsDataplane, agent: Agent) -> None:
    servers = [replace(RS, endpoint=endpoint("10.0.0.1", port)) for port in range(1, 101)]
    await accept(plane, AddService(service()), *[AddDestination(KEY, one) for one in servers])
    assert agent.count() == {"PUT -": 1, "PUT rs": 1}
    await accept(plane, *[EditDestination(KEY, replace(one, weight=9)) for one in servers])
    await accept(plane, *[DeleteDestination(KEY, one.endpoint) for one in servers])
    assert agent.count() == {"PUT -": 1, "PUT rs": 2, "DELETE rs": 1}
    assert await plane.read() == table((service(), []))


async def test_a_refusal_names_its_server_and_the_others_are_there(
    plane: DpvsDataplane, agent: Agent
) -> None:
    servers = [replace(RS, endpoint=endpoint(f"10.0.0.{i}")) for i in range(1, 6)]
    agent.refuse.add(("10.0.0.5", 80))
    steps = [AddService(service()), *[AddDestination(KEY, one) for one in servers]]
    (refusal,) = await plane.apply(steps)
    assert refusal.step is steps[5]
    assert (refusal.errno, "Invalid backend" in refusal.hint) == (errno.EINVAL, True)
    assert await plane.read() == table((service(), servers[:4]))


async def test_what_the_agent_has_no_words_for_is_refused_and_the_rest_goes_on(
    plane: DpvsDataplane, agent: Agent
) -> None:
    steps = [
        AddService(service(marked(7))),
        AddService(service(scheduler="sh")),
        AddService(service(KEY6)),
        AddDestination(KEY6, RS),
    ]
    refusals = await plane.apply(steps)
    assert [refusal.step for refusal in refusals] == [steps[0], steps[1], steps[3]]
    assert [one.errno for one in refusals] == [errno.EOPNOTSUPP, errno.EOPNOTSUPP, errno.EINVAL]
    assert "conhash" in refusals[1].hint
    assert list(agent.services) == ["2001:db8::1-53-udp"]


async def test_what_is_gone_needs_no_delete_and_what_is_there_no_add(
    plane: DpvsDataplane, agent: Agent
) -> None:
    await accept(plane, DeleteService(KEY))
    await accept(
        plane, AddService(service()), AddDestination(KEY, RS), DeleteDestination(KEY, endpoint("10.9.9.9"))
    )
    await accept(plane, AddService(service(scheduler="wlc")), AddDestination(KEY, replace(RS, weight=7)))
    assert await plane.read() == table((service(scheduler="wlc"), [replace(RS, weight=7)]))


async def test_a_server_of_a_service_that_is_not_there_is_refused(plane: DpvsDataplane) -> None:
    (refusal,) = await plane.apply([AddDestination(KEY, RS)])
    assert refusal.errno == errno.EINVAL


async def test_a_proxy_protocol_that_the_agent_does_not_tell_is_no_difference(
    plane: DpvsDataplane, agent: Agent
) -> None:
    wanted = service(options=ServiceOptions(proxy_protocol="v2-insecure"))
    await accept(plane, EditService(wanted))
    assert agent.services["192.0.2.1-80-tcp"].spec["ProxyProtocol"] == "v2-insecure"
    assert await plane.read() == table((wanted, []))
    agent.tells_proxy = True
    agent.services["192.0.2.1-80-tcp"].spec["ProxyProtocol"] = "v1"
    assert (await plane.read())[KEY].service.options.proxy_protocol == "v1"


async def test_services_of_others_that_cannot_be_ours_are_not_seen(
    plane: DpvsDataplane, agent: Agent
) -> None:
    await accept(plane, AddService(service()))
    await accept(plane, AddService(service(KEY6)))
    agent.services["192.0.2.1-80-tcp"].servers["10.0.0.9", 0] = {
        "ip": "10.0.0.9", "port": 0, "weight": 1, "mode": "SNAT",
    }  # fmt: skip
    assert list(await plane.read()) == [KEY6]


async def test_an_agent_that_is_down_is_an_error_that_says_where(plane: DpvsDataplane, agent: Agent) -> None:
    await agent.stop()
    with pytest.raises(KernelRefused, match=r"DPVS's agent at http://127\.0\.0\.1:\d+") as caught:
        await plane.read()
    assert caught.value.errno == errno.ECONNREFUSED
    with pytest.raises(KernelRefused):
        await plane.apply([AddService(service())])


async def test_an_agent_that_comes_back_is_used_again(agent: Agent) -> None:
    url = await agent.start()
    plane = DpvsDataplane(DpvsAgent(agent=url, timeout=2.0))
    await plane.open()
    await accept(plane, AddService(service()))
    await agent.stop()
    with pytest.raises(KernelRefused):
        await plane.read()
    await agent.start(int(url.rpartition(":")[2]))
    assert await plane.read() == table((service(), []))
    await plane.close()


async def test_an_agent_that_is_silent_costs_the_timeout(agent: Agent) -> None:
    plane = DpvsDataplane(DpvsAgent(agent=await agent.start(), timeout=0.05))
    await plane.open()
    agent.silent = True
    with pytest.raises(KernelRefused, match=r"no answer within 0\.05 s") as caught:
        await plane.read()
    assert caught.value.errno == errno.ETIMEDOUT
    await plane.close()


async def test_an_agent_without_dpvs_is_no_empty_table(plane: DpvsDataplane, agent: Agent) -> None:
    await accept(plane, AddService(service()))
    agent.dead = True
    with pytest.raises(KernelRefused, match="is DPVS running"):
        await plane.read()
    (refusal,) = await plane.apply([AddService(service(KEY6))])
    assert (refusal.errno, "DPVS does not answer" in refusal.hint) == (errno.EIO, True)


async def test_counters_are_those_of_the_agent(plane: DpvsDataplane) -> None:
    await accept(plane, AddService(service()), AddDestination(KEY, RS))
    counted = (await plane.counters())[KEY]
    assert counted.destinations[RS.endpoint].connections == RS.endpoint.port
    assert counted.service.packets_in == 7


async def test_flush_takes_every_service(plane: DpvsDataplane, agent: Agent) -> None:
    await accept(plane, *diff(whole(), {}))
    await plane.flush()
    assert agent.services == {}


async def test_what_only_the_kernel_has_is_refused_or_nothing(plane: DpvsDataplane) -> None:
    assert await plane.timeouts() == LvsTimeouts()
    await plane.set_timeouts(LvsTimeouts())
    await plane.stop_sync_daemon(LvsSyncDaemon(interface="eth0"), master=True)
    with pytest.raises(KernelRefused, match="est_timeout"):
        await plane.set_timeouts(LvsTimeouts(tcp=5))
    with pytest.raises(KernelRefused, match="does not synchronise"):
        await plane.start_sync_daemon(LvsSyncDaemon(interface="eth0"), master=True)


async def test_it_is_chosen_by_its_name_with_the_agent_of_the_configuration(agent: Agent) -> None:
    chosen = await choose("dpvs", warn=pytest.fail, agent=DpvsAgent(agent=await agent.start()))
    assert (chosen.name, await chosen.read()) == ("dpvs", {})
    await chosen.close()


async def test_steps_of_many_services_go_out_in_order_within_each(plane: DpvsDataplane, agent: Agent) -> None:
    keys = [virtual(f"192.0.2.{i}") for i in range(1, 51)]
    local = [AddLocalAddress(key, LOCAL) for key in keys]
    added = [AddService(service(key)) for key in keys]
    servers = [AddDestination(key, RS) for key in keys]
    assert await plane.apply([*added, *local, *servers]) == []
    assert len(await plane.read()) == 50
    for key in keys:
        path = f"/v2/vs/{key.endpoint.address}-80-tcp"  # type: ignore[union-attr]
        changes = [request[1] for request in agent.requests if request[0] == "PUT" and path in request[1]]
        assert changes == [path, f"{path}/laddr", f"{path}/rs"]
