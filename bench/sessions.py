"""100,000 sessions in the kernel, and how long `keepalive-ctl sessions` takes to answer.

    PYTHONPATH=tests tests/kernel/boot python bench/sessions.py [SESSIONS [ROUNDS]]

Run inside the kernel that tests/kernel/boot starts (it makes network namespaces). The sessions
are real: datagrams of as many clients go to a FULLNAT service, and the kernel schedules and
translates them. Every figure is that of the whole command, from its start to its
last line, best of ROUNDS. Exit status 1 when one takes longer than GOAL, and than twice the time
of `conntrack -L` in the same run: memory is slow to come by in user-mode Linux, and processors may
be shared.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from lab.namespace import Namespace, link
from lab.waiting import eventually

from keepalive_py.config.model import Forwarding
from keepalive_py.dataplane.fullnat_snat import FullnatSnatDataplane
from keepalive_py.net import Endpoint, Family, Protocol
from keepalive_py.plan.steps import AddDestination, AddLocalAddress, AddService, Step
from keepalive_py.plan.table import Destination, Service, ServiceKey

TABLE = Path("/proc/net/ip_vs")
GOAL = 2.0  # s
VIP = ip_address("10.99.0.1")
CTL = [sys.executable, "-m", "keepalive_py.cli.ctl", "sessions"]
COMMANDS = {
    "all, sorted by service": [],
    "all, sorted by client": ["--sort", "client"],
    "all, as JSON": ["--json"],
    "of one client": ["--client", "10.128.0.9"],
    "counted by local address": ["--top", "local"],
    "counted by real server": ["--top", "server"],
    "counted by client": ["--top", "client", "--limit", "10"],
}


def node_with_sessions(count: int) -> Namespace:
    """Real servers are behind an interface that swallows everything: nobody answers."""
    for name in ("nf_conntrack_max", "nf_conntrack_buckets"):  # one for all namespaces
        Path("/proc/sys/net/netfilter", name).write_text(str(4 * count))
    client, node = Namespace("client"), Namespace("node")
    link(client, "eth0", node, "front")
    client.ip("addr add 10.1.0.2/24 dev eth0", "route add 10.99.0.0/24 via 10.1.0.1")
    node.sysctl("net.ipv4.ip_forward", 1)
    node.sysctl("net.netfilter.nf_conntrack_udp_timeout", 600)  # unanswered; 30 s is too short here
    node.sysctl("net.ipv4.conf.all.rp_filter", 0)
    node.sysctl("net.ipv4.conf.front.rp_filter", 0)
    node.ip(
        "addr add 10.1.0.1/24 dev front", f"addr add {VIP}/32 dev lo", "link add back type dummy",
        "link set back up", "route add 10.128.0.0/9 via 10.1.0.2", "route add 10.2.0.0/24 dev back",
    )  # fmt: skip
    asyncio.run(put_services(str(node.path)))
    client.call(send, count)
    return node


async def put_services(namespace: str) -> None:
    plane = FullnatSnatDataplane(namespace=namespace)
    await plane.open()
    steps: list[Step] = []
    key = ServiceKey(Family.INET, Protocol.UDP, Endpoint(VIP, 80))
    steps.append(AddService(Service(key, "rr")))
    steps += [AddLocalAddress(key, ip_address("10.200.0.0") + number) for number in range(1, 9)]
    for number in range(10, 20):
        end = Endpoint(ip_address("10.2.0.0") + number, 80)
        steps.append(AddDestination(key, Destination(end, Forwarding.FNAT)))
    assert await plane.apply(steps) == []
    await plane.close()


def send(count: int) -> None:
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for packet in packets(count):
        raw.sendto(packet, (str(VIP), 0))


def packets(count: int) -> Iterator[bytes]:
    """Of clients 10.128.0.0 and up, with ten ports each; no checksum, which UDP allows."""
    for number in range(count):
        client = (ip_address("10.128.0.0") + number // 10).packed
        body = struct.pack(">HHHH", 20000 + number % 10, 80, 9, 0) + b"?"
        yield struct.pack(
            ">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64, socket.IPPROTO_UDP, 0, client, VIP.packed
        ) + body  # fmt: skip


def measured(node: Namespace, command: list[str], rounds: int) -> float:
    """The best time of a command whose output nobody reads."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        child = node.call(subprocess.Popen, command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert child.wait() == 0, command
        best = min(best, time.perf_counter() - start)
    return best


def main(count: int = 100_000, rounds: int = 3) -> int:
    if not TABLE.exists():
        print(f"no IPVS here; run: tests/kernel/boot {sys.executable} bench/sessions.py", file=sys.stderr)
        return 2
    node = node_with_sessions(count)
    eventually(lambda: node.proc_net("ip_vs_conn").count("\n") > count, within=30, what="sessions")
    rows = json.loads(node.output([*CTL, "--json"]))
    assert len(rows) == count, len(rows)
    assert all(row["local"] for row in rows), "a session without its local address"
    print(f"{count} sessions, the whole command, best of {rounds}, s")
    yardstick = measured(node, ["conntrack", "-L"], rounds)
    print(f"  {'conntrack -L, for comparison':28}{yardstick:8.2f}")
    worst = 0.0
    for name, arguments in COMMANDS.items():
        seconds = measured(node, [*CTL, *arguments], rounds)
        print(f"  {name:28}{seconds:8.2f}")
        worst = max(worst, seconds)
    return 0 if worst <= max(GOAL, 2 * yardstick) else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
