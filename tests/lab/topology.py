"""A client, a node and real servers on one segment, for every forwarding method.

             switch
      +--------+--------+--------+
    client    node     rs1      rs2 ...
    10.1.0.2  10.1.0.1
    fd01::2   fd01::1
              10.2.0.1 10.2.0.11 10.2.0.12
              fd02::1  fd02::11  fd02::12

The virtual addresses are on the node (and for DR and TUN hidden on the real servers), and
the client routes them to the node. With NAT the real servers answer through the node, with
DR and TUN straight to the client.
"""

from __future__ import annotations

from lab.namespace import Namespace, link
from lab.needs import load
from lab.servers import Server

VIP = {4: "10.99.0.1", 6: "fd99::1"}
CLIENT_NET = {4: "10.1.0.0/24", 6: "fd01::/64"}
TUNNEL_DEVICES = ("tunl0", "gre0", "ip6tnl0", "sit0")
GUE_PORT = 6080


class Topology:
    """`method` as in lvs_method. `servers` are HTTP servers on port 80 of every real server; they
    answer their name."""

    def __init__(self, *, servers: int = 2, method: str = "NAT") -> None:
        if method.startswith("TUN"):
            load("ipip", "ip6_tunnel", "ip_gre", "fou")
        self.switch = Namespace("switch")
        self.client = Namespace("client")
        self.node = Namespace("node")
        self.hosts = [Namespace(f"rs{number}") for number in range(1, servers + 1)]
        self._segment()
        self._client()
        self._node()
        for number, host in enumerate(self.hosts, 1):
            self._host(host, number, method)
        self.servers = {
            family: [self._server(host, number, family) for number, host in enumerate(self.hosts, 1)]
            for family in (4, 6)
        }

    def _segment(self) -> None:
        self.switch.ip("link add bridge type bridge forward_delay 0", "link set bridge up")
        for member in (self.client, self.node, *self.hosts):
            member.sysctl("net.ipv6.conf.default.accept_dad", 0)
            member.sysctl("net.ipv4.conf.all.rp_filter", 0)
            member.sysctl("net.ipv4.conf.default.rp_filter", 0)
            link(self.switch, member.name, member, "eth0")
            self.switch.ip(f"link set {member.name} master bridge")

    def _client(self) -> None:
        self.client.ip(
            "addr add 10.1.0.2/24 dev eth0",
            "addr add fd01::2/64 dev eth0 nodad",
            "route add 10.99.0.0/24 via 10.1.0.1",
            "route add 10.2.0.0/24 dev eth0",
            "route add fd99::/64 via fd01::1",
            "route add fd02::/64 dev eth0",
        )

    def _node(self) -> None:
        self.node.sysctl("net.ipv4.ip_forward", 1)
        self.node.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.node.sysctl("net.ipv4.conf.all.send_redirects", 0)
        self.node.sysctl("net.ipv4.conf.eth0.send_redirects", 0)
        self.node.ip(
            "addr add 10.1.0.1/24 dev eth0",
            "addr add 10.2.0.1/24 dev eth0",
            "addr add fd01::1/64 dev eth0 nodad",
            "addr add fd02::1/64 dev eth0 nodad",
            f"addr add {VIP[4]}/32 dev lo",
            f"addr add {VIP[6]}/128 dev lo",
        )

    def _host(self, host: Namespace, number: int, method: str) -> None:
        host.ip(
            f"addr add 10.2.0.{10 + number}/24 dev eth0",
            f"addr add fd02::{10 + number}/64 dev eth0 nodad",
        )
        if method == "NAT":
            # Client and real server share the segment; the way back must stay the node's.
            host.sysctl("net.ipv6.conf.eth0.accept_redirects", 0)
            host.ip("route add default via 10.2.0.1", "route add default via fd02::1")
            return
        host.sysctl("net.ipv4.conf.all.arp_ignore", 1)
        host.sysctl("net.ipv4.conf.all.arp_announce", 2)
        host.ip(
            f"addr add {VIP[4]}/32 dev lo",
            f"addr add {VIP[6]}/128 dev lo nodad",
            f"route add {CLIENT_NET[4]} dev eth0",
            f"route add {CLIENT_NET[6]} dev eth0",
        )
        if method.startswith("TUN"):
            self._tunnel_end(host, method)

    def _tunnel_end(self, host: Namespace, method: str) -> None:
        """The devices that take whatever has no tunnel of its own; and a port for GUE."""
        present = [name for name in TUNNEL_DEVICES if f"{name}:" in host.proc_net("dev")]
        host.ip(*(f"link set {name} up" for name in present))
        if "gue" in method:
            host.ip(f"fou add port {GUE_PORT} gue")

    def _server(self, host: Namespace, number: int, family: int) -> Server:
        # Any address: with DR and TUN the packets are for the virtual one.
        server = Server(host, "::" if family == 6 else "0.0.0.0", 80, kind="http", name=f"rs{number}")
        server.be("serve")
        return server

    def address(self, number: int, family: int = 4) -> str:
        """Of real server `number`, from 1."""
        return f"10.2.0.{10 + number}" if family == 4 else f"fd02::{10 + number}"

    def close(self) -> None:
        for member in (*self.hosts, self.node, self.client, self.switch):
            member.close()
