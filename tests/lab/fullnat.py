"""A client, a node and real servers that know no way to the client.

    client 10.1.0.2 ---- 10.1.0.1 node 10.2.0.1 ---- switch ---- rs1 10.2.0.11, rs2 10.2.0.12 ...
           fd01::2       fd01::1       fd02::1                       fd02::11 ...

The real servers route the local addresses (10.200.0.0/24, fd03::/64) to the node and
nothing else: no default route, none to the client's network. Each answers, on port 80 over
TCP and UDP, the address and port it sees its client at.
"""

from __future__ import annotations

import asyncio
import socket

from lab.live_time import within
from lab.namespace import Namespace, link

VIP = {4: "10.99.0.1", 6: "fd99::1"}
LOCAL = {4: "10.200.0.{}", 6: "fd03::{}"}


class Fullnat:
    def __init__(self, *, servers: int = 2) -> None:
        self.client, self.node, self.switch = (Namespace(name) for name in ("client", "node", "switch"))
        self.hosts = [Namespace(f"rs{number}") for number in range(1, servers + 1)]
        for member in (self.client, self.node, *self.hosts):
            member.sysctl("net.ipv6.conf.default.accept_dad", 0)
            member.sysctl("net.ipv4.conf.all.rp_filter", 0)
            member.sysctl("net.ipv4.conf.default.rp_filter", 0)
        self._front()
        self._back()
        for host in self.hosts:
            host.run(_serve(("0.0.0.0", 80), socket.AF_INET))
            host.run(_serve(("::", 80), socket.AF_INET6))

    def _front(self) -> None:
        link(self.client, "eth0", self.node, "front")
        self.client.ip(
            "addr add 10.1.0.2/24 dev eth0", "addr add fd01::2/64 dev eth0 nodad",
            "route add 10.99.0.0/24 via 10.1.0.1", "route add fd99::/64 via fd01::1",
        )  # fmt: skip
        self.node.sysctl("net.ipv4.ip_forward", 1)
        self.node.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.node.ip(
            "addr add 10.1.0.1/24 dev front", "addr add fd01::1/64 dev front nodad",
            f"addr add {VIP[4]}/32 dev lo", f"addr add {VIP[6]}/128 dev lo",
        )  # fmt: skip

    def _back(self) -> None:
        self.switch.ip("link add bridge type bridge forward_delay 0", "link set bridge up")
        for member, name in ((self.node, "back"), *((host, "eth0") for host in self.hosts)):
            link(self.switch, member.name, member, name)
            self.switch.ip(f"link set {member.name} master bridge")
        self.node.ip("addr add 10.2.0.1/24 dev back", "addr add fd02::1/64 dev back nodad")
        for number, host in enumerate(self.hosts, 1):
            host.ip(
                f"addr add 10.2.0.{10 + number}/24 dev eth0",
                f"addr add fd02::{10 + number}/64 dev eth0 nodad",
                "route add 10.200.0.0/24 via 10.2.0.1", "route add fd03::/64 via fd02::1",
            )  # fmt: skip

    def seen_by_server(self, family: int, port: int, *, udp: bool = False) -> str:
        """The address that a real server saw one connection from; "" when nobody answered."""
        return self.client.run(_ask(VIP[family], port, udp=udp))

    def close(self) -> None:
        for member in (*self.hosts, self.switch, self.node, self.client):
            member.close()


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.transport.sendto(address[0].encode(), address)  # type: ignore[attr-defined]


async def _serve(where: tuple[str, int], family: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(writer.get_extra_info("peername")[0].encode() + b"\n")
        while data := await reader.read(1024):
            writer.write(data)
        writer.close()

    await asyncio.start_server(answer, sock=_bound(family, socket.SOCK_STREAM, where), backlog=512)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(_Echo, sock=_bound(family, socket.SOCK_DGRAM, where))


def _bound(family: int, kind: int, where: tuple[str, int]) -> socket.socket:
    made = socket.socket(family, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind(where)
    made.setblocking(False)
    return made


async def _ask(address: str, port: int, *, udp: bool) -> str:
    try:
        return await within(3, _udp(address, port) if udp else _tcp(address, port))
    except (OSError, TimeoutError):
        return ""


async def _tcp(address: str, port: int) -> str:
    reader, writer = await asyncio.open_connection(address, port)
    line = await reader.readline()
    writer.close()
    return line.decode().strip()


async def _udp(address: str, port: int) -> str:
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    class Once(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _: object) -> None:
            if not answer.done():
                answer.set_result(data)

        def error_received(self, error: Exception) -> None:
            if not answer.done():
                answer.set_exception(error)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Once, remote_addr=(address, port)
    )
    transport.sendto(b"?")
    try:
        return (await answer).decode()
    finally:
        transport.close()
