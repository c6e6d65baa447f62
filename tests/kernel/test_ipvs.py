"""The kernel's IPVS beyond the contract: beside other programs, other namespaces, in trouble."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from contract.dataplane_contract import additions, large_table
from contract.values import endpoint, service, virtual

from keepalive_py.config.model import (
    Forwarding,
    LvsSyncDaemon,
    SchedulerFlag,
    Tunnel,
    TunnelChecksum,
    TunnelType,
)
from keepalive_py.dataplane import choose, features
from keepalive_py.dataplane.features import Missing, Present, Unsure
from keepalive_py.dataplane.ipvs import IpvsDataplane
from keepalive_py.dataplane.netlink import AnswersLost, GenericNetlink
from keepalive_py.errors import FeatureMissing, KernelRefused
from keepalive_py.net import Protocol
from keepalive_py.plan.steps import AddDestination, AddService, EditDestination
from keepalive_py.plan.table import Destination
from keepalive_py.wire import ipvs as wire
from keepalive_py.wire.ipvs import Command
from keepalive_py.wire.netlink import attribute

KEY = virtual("192.0.2.1", 80)
RS = Destination(endpoint("10.0.0.1"))
ARGUMENTS = "-A -t 192.0.2.1:80 -s wlc\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 3\n"


@pytest.fixture
async def plane() -> AsyncIterator[IpvsDataplane]:
    one = IpvsDataplane()
    await one.open()
    await one.flush()
    yield one
    await one.flush()
    await one.close()


def ipvsadm(*arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["ipvsadm", *arguments], input=stdin, text=True, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---------------------------------------------------------------- beside ipvsadm


async def test_ipvsadm_shows_what_was_applied(plane: IpvsDataplane) -> None:
    tunnel = Tunnel(TunnelType.GUE, 6080, TunnelChecksum.CSUM)
    udp, six = virtual("192.0.2.1", 53, Protocol.UDP), virtual("2001:db8::1", 443)
    sticky = service(
        KEY, scheduler="sh", flags=SchedulerFlag.SCHED2, persistence_timeout=60, netmask=0xFFFFFF00
    )
    refusals = await plane.apply(
        [
            AddService(sticky),
            AddDestination(KEY, Destination(endpoint("10.0.0.1", 8080), weight=5)),
            AddDestination(KEY, Destination(endpoint("10.0.0.2"), Forwarding.DR)),
            AddDestination(KEY, Destination(endpoint("10.0.0.3"), Forwarding.TUN, tunnel=tunnel)),
            AddService(service(udp, flags=SchedulerFlag.ONE_PACKET)),
            AddService(service(six, persistence_timeout=30, netmask=64)),
            AddDestination(six, Destination(endpoint("2001:db8:1::1", 443), Forwarding.DR, 0)),
        ]
    )
    assert refusals == []
    shown = ipvsadm("-Sn").splitlines()
    assert sorted(shown) == sorted(
        [
            "-A -t 192.0.2.1:80 -s sh -p 60 -M 255.255.255.0 -b sh-port",
            "-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 5",
            "-a -t 192.0.2.1:80 -r 10.0.0.2:80 -g -w 1",
            "-a -t 192.0.2.1:80 -r 10.0.0.3:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
            "-A -u 192.0.2.1:53 -s rr -o",
            "-A -t [2001:db8::1]:443 -s rr -p 30 -M 64",
            "-a -t [2001:db8::1]:443 -r [2001:db8:1::1]:443 -g -w 0",
        ]
    )


async def test_what_ipvsadm_made_is_read_back_and_edited(plane: IpvsDataplane) -> None:
    ipvsadm("-R", stdin=ARGUMENTS)
    found = await plane.read()
    assert found[KEY].service == service(KEY, scheduler="wlc")
    assert list(found[KEY].destinations.values()) == [Destination(endpoint("10.0.0.1"), weight=3)]
    assert await plane.apply([EditDestination(KEY, Destination(endpoint("10.0.0.1"), weight=8))]) == []
    assert "-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 8" in ipvsadm("-Sn")


async def test_connections_survive_our_opening_and_reading(plane: IpvsDataplane) -> None:
    """Adopting a table neither flushes nor replaces it: its counters go on."""
    ipvsadm("-R", stdin=ARGUMENTS.replace("-t", "-u").replace("192.0.2.1:80", "127.0.0.1:5353"))
    send_datagram("127.0.0.1", 5353)
    another = IpvsDataplane()
    await another.open()
    key = virtual("127.0.0.1", 5353, Protocol.UDP)
    counters = (await another.counters())[key]
    await another.close()
    assert counters.destinations[endpoint("10.0.0.1")].inactive_connections == 1


async def test_another_programs_forwarding_is_not_read_and_is_put_right(plane: IpvsDataplane) -> None:
    await plane.apply([AddService(service(KEY))])
    local_node = wire.encode_destination(RS).replace(
        struct.pack("=HHI", 8, 3, 0), struct.pack("=HHI", 8, 3, 1)
    )
    raw = GenericNetlink()
    assert raw.bind_family("IPVS")
    assert raw.run(Command.NEW_DEST, wire.encode_key(KEY) + local_node).errno == 0
    raw.close()
    assert (await plane.read())[KEY].destinations == {}
    assert await plane.apply([AddDestination(KEY, RS)]) == []
    assert (await plane.read())[KEY].destinations == {RS.endpoint: RS}


# ---------------------------------------------------------------- counters


def send_datagram(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"twelve bytes", (address, port))


async def test_counters_follow_the_traffic(plane: IpvsDataplane) -> None:
    """The kernel adds up what its processors counted every two seconds."""
    key = virtual("127.0.0.1", 5353, Protocol.UDP)
    rs = Destination(endpoint("127.0.0.1", 5354))
    await plane.apply([AddService(service(key)), AddDestination(key, rs)])
    send_datagram("127.0.0.1", 5353)
    async with asyncio.timeout(20):
        while not (found := (await plane.counters())[key]).service.connections:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert (found.service.connections, found.service.packets_in, found.service.bytes_in) == (1, 1, 40)
    assert found.destinations[rs.endpoint].connections == 1
    assert found.destinations[rs.endpoint].inactive_connections == 1


# ---------------------------------------------------------------- namespaces


@pytest.fixture
def namespace() -> Iterator[str]:
    name = "keepalive-test"
    subprocess.run(["ip", "netns", "add", name], check=True, timeout=30)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True, timeout=30)


async def test_a_table_in_another_namespace(plane: IpvsDataplane, namespace: str) -> None:
    there = IpvsDataplane(namespace=namespace)
    home = os.readlink("/proc/thread-self/ns/net")
    await there.open()
    await there.apply([AddService(service(KEY)), AddDestination(KEY, RS)])
    assert set(await there.read()) == {KEY}
    assert await plane.read() == {}
    assert os.readlink("/proc/thread-self/ns/net") == home
    await there.close()


async def test_the_empty_name_is_the_namespace_of_init(plane: IpvsDataplane) -> None:
    await plane.apply([AddService(service(KEY))])
    there = IpvsDataplane(namespace="")
    await there.open()
    assert set(await there.read()) == {KEY}
    await there.close()


async def test_a_namespace_that_is_not_there_is_named() -> None:
    with pytest.raises(FeatureMissing, match="network namespace nosuch"):
        await IpvsDataplane(namespace="nosuch").open()
    with pytest.raises(FeatureMissing, match="network namespace nosuch"):
        await choose("auto", namespace="nosuch", warn=pytest.fail)


# ---------------------------------------------------------------- trouble


def test_more_answers_than_the_queue_holds_are_lost_and_said_to_be() -> None:
    small = GenericNetlink(buffer=1)
    assert small.bind_family("IPVS")
    nowhere = (Command.DEL_SERVICE, wire.encode_key(virtual(port=9999)))
    with pytest.raises(AnswersLost):
        small.batch([nowhere] * 300)
    assert small.run(*nowhere).errno == errno.ESRCH
    small.close()


async def test_lost_answers_are_made_up_for(plane: IpvsDataplane) -> None:
    """A receive queue for a handful of answers, and a batch in which every step is refused."""
    small = IpvsDataplane(buffer=1)
    await small.open()
    wanted = large_table(40, 10)
    assert await small.apply(additions(wanted)) == []
    assert await small.apply(additions(wanted)) == []
    assert await small.read() == wanted
    nowhere = [AddDestination(virtual(port=9999), RS)] * 300
    assert [refusal.errno for refusal in await small.apply(nowhere)] == [errno.ESRCH] * 300
    assert await small.read() == wanted
    await small.close()


async def test_a_read_that_is_given_up_leaves_the_dataplane_usable(plane: IpvsDataplane) -> None:
    several = [
        AddDestination(KEY, Destination(endpoint(f"10.0.{i // 200}.{i % 200 + 1}"))) for i in range(1000)
    ]
    assert await plane.apply([AddService(service(KEY)), *several]) == []
    reading = asyncio.create_task(plane.read())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert len((await plane.read())[KEY].destinations) == 1000


async def test_other_tasks_run_while_a_large_table_is_applied_and_read(plane: IpvsDataplane) -> None:
    wanted = large_table(200, 10)
    turns = 0

    async def bystander() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(bystander())
    await plane.apply(additions(wanted))
    applied, turns = turns, 0
    await plane.read()
    task.cancel()
    assert applied >= 2200 // 512
    assert turns >= 2200 // 64


async def test_readers_and_writers_take_turns(plane: IpvsDataplane) -> None:
    wanted = large_table(20, 10)
    results = await asyncio.gather(
        plane.apply(additions(wanted)), plane.read(), plane.counters(), plane.read()
    )
    assert results[0] == []
    assert results[3] == wanted


async def test_a_closed_dataplane_says_so(plane: IpvsDataplane) -> None:
    closed = IpvsDataplane()
    with pytest.raises(KernelRefused, match="not open"):
        await closed.apply([AddService(service())])


def as_nobody(code: str) -> str:
    """What a Python program prints that runs without any privilege."""
    program = f"import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program], text=True, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_privilege_opening_says_what_is_needed() -> None:
    code = (
        "import asyncio\n"
        "from keepalive_py.dataplane import choose\n"
        "from keepalive_py.errors import KernelRefused\n"
        "try:\n"
        "    asyncio.run(choose('auto', warn=print))\n"
        "except KernelRefused as error:\n"
        "    print(error)\n"
    )
    text = as_nobody(code)
    assert "Operation not permitted" in text
    assert "CAP_NET_ADMIN" in text


# ---------------------------------------------------------------- sync daemons


@pytest.fixture
def interface() -> Iterator[str]:
    subprocess.run(
        ["ip", "-batch", "-"],
        input="link add sync0 type dummy\naddr add 10.9.9.1/24 dev sync0\nlink set sync0 up multicast on\n",
        text=True,
        check=True,
        timeout=30,
    )
    yield "sync0"
    subprocess.run(["ip", "link", "delete", "sync0"], check=True, timeout=30)


async def test_sync_daemons_start_and_stop(plane: IpvsDataplane, interface: str) -> None:
    wanted = LvsSyncDaemon(interface, syncid=51)
    for master in (True, False):
        await plane.start_sync_daemon(wanted, master=master)
    running = await plane.sync_daemons()
    assert [(each.interface, each.syncid, master) for each, master in running] == [
        (interface, 51, True),
        (interface, 51, False),
    ]
    for master in (True, False):
        await plane.stop_sync_daemon(wanted, master=master)
    assert await plane.sync_daemons() == []


async def test_settings_of_a_sync_daemon_reach_the_kernel(plane: IpvsDataplane, interface: str) -> None:
    wanted = LvsSyncDaemon(
        interface, syncid=7, maxlen=1400, port=8900, ttl=3, group=endpoint("224.0.0.90").address
    )
    await plane.start_sync_daemon(wanted, master=True)
    running = await plane.sync_daemons()
    await plane.stop_sync_daemon(wanted, master=True)
    assert running == [(wanted, True)]


async def test_a_sync_daemon_that_runs_is_kept_or_replaced(plane: IpvsDataplane, interface: str) -> None:
    first, second = LvsSyncDaemon(interface, syncid=1), LvsSyncDaemon(interface, syncid=2)
    await plane.start_sync_daemon(first, master=True)
    await plane.start_sync_daemon(first, master=True)
    await plane.start_sync_daemon(second, master=True)
    running = await plane.sync_daemons()
    await plane.stop_sync_daemon(second, master=True)
    await plane.stop_sync_daemon(second, master=True)
    assert [(each.syncid, master) for each, master in running] == [(2, True)]


async def test_a_sync_daemon_on_no_interface_is_refused_with_a_hint(plane: IpvsDataplane) -> None:
    with pytest.raises(KernelRefused, match="no such interface") as caught:
        await plane.start_sync_daemon(LvsSyncDaemon("nosuch0"), master=True)
    assert caught.value.errno == errno.ENODEV


# ---------------------------------------------------------------- features, bytes


def test_features_are_found_without_touching_the_table() -> None:
    async def main() -> features.Features:
        plane = IpvsDataplane()
        await plane.open()
        await plane.flush()
        await plane.apply([AddService(service(KEY))])
        found = await features.probe()
        assert set(await plane.read()) == {KEY}
        await plane.flush()
        await plane.close()
        return found

    found = asyncio.run(main())
    assert found.ipvs == Present()
    assert found.schedulers["wlc"] == Present()
    assert all(isinstance(one, Present | Missing) for one in found.schedulers.values())
    assert isinstance(found.conntrack, Present) == Path("/proc/sys/net/ipv4/vs/conntrack").exists()


def test_features_that_need_privilege_are_unsure_without_it() -> None:
    text = as_nobody(
        "import asyncio\n"
        "from keepalive_py.dataplane import features\n"
        "found = asyncio.run(features.probe())\n"
        "print(type(found.ipvs).__name__, type(found.schedulers['rr']).__name__)\n"
    )
    assert text.split() == [Unsure.__name__] * 2


async def test_the_kernel_says_the_same_bytes_as_we(plane: IpvsDataplane) -> None:
    """Every attribute that we send comes back with the same bytes, among others."""
    value = Destination(
        endpoint("2001:db8::9", 99),
        Forwarding.TUN,
        5,
        9,
        4,
        Tunnel(TunnelType.GUE, 6080, TunnelChecksum.REMCSUM),
    )
    key = virtual("2001:db8::1", 443)
    await plane.apply(
        [AddService(service(key, persistence_timeout=9, netmask=64)), AddDestination(key, value)]
    )
    raw = GenericNetlink()
    assert raw.bind_family("IPVS")
    (answer,) = [bytes(payload) for payload in raw.dump(Command.GET_DEST, wire.encode_key(key))]
    raw.close()
    sent = wire.encode_destination(value)
    offset = 4
    while offset < len(sent):
        length, kind = struct.unpack_from("=HH", sent, offset)
        assert attribute(kind, sent[offset + 4 : offset + length]) in answer
        offset += (length + 3) & ~3
