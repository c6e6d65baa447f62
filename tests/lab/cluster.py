r"""A cluster: a client, two switches that spread flows by ECMP, two nodes, two real servers.

    client --- switch1 --- node1 ---+--- rs1 10.2.0.101
       \          \ /              |
        \          X        bridge -+
         \        / \              |
          +- switch2 --- node2 -----+--- rs2 10.2.0.102

Switch j and node i are 10.j.i.1 and 10.j.i.2. The nodes run keepalive-py with a routing daemon
whose configuration is rendered from theirs; so are the switches'. Real servers are reached by
FULLNAT from 10.200.i.1, so whichever node a flow goes to, its answers come back through that one.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from keepalive_py.announcer.drains import ALL, Drain, Drains
from keepalive_py.announcer.render import Switch, render
from keepalive_py.checkers import REGISTRY
from keepalive_py.config.build import load
from keepalive_py.config.preprocess import ReadOptions
from keepalive_py.config.source import Documents
from keepalive_py.daemon.announcing import block_of
from lab.daemons import KeepalivePy
from lab.namespace import Namespace, link
from lab.routing import SPEAKERS, RouteWatch, now
from lab.servers import Server
from lab.waiting import equal, eventually

VIP = "192.0.2.10"
NODES = SWITCHES = (1, 2)
CTL = str(Path(sys.executable).parent / "keepalive-ctl")

CONFIG = """
bgp_announcer {{
    prefix 192.0.2.0/24
    routing_daemon {kind} {place}
    state_directory {directory}/state
    local_as {asn}
    router_id 10.1.{i}.2
    rise 0
    hold_down 1
    poll 1
    drain_time 10
    drain_quiet 0.5
    bfd_interval {bfd}
    uplink left {{
        interface up1
    }}
    uplink right {{
        interface up2
    }}
    peer switch1 {{
        address 10.1.{i}.1
        local 10.1.{i}.2
        remote_as 65000
        uplink left
    }}
    peer switch2 {{
        address 10.2.{i}.1
        local 10.2.{i}.2
        remote_as 65000
        uplink right
    }}
}}
local_address_group local {{
    10.200.{i}.1
}}
virtual_server 192.0.2.10 80 {{
    delay_loop 0.5
    lb_algo rr
    lb_kind FNAT
    laddr_group_name local
    protocol TCP
    real_server 10.2.0.101 80 {{
        TCP_CHECK {{
            connect_timeout 1
            retry 0
        }}
    }}
    real_server 10.2.0.102 80 {{
        TCP_CHECK {{
            connect_timeout 1
            retry 0
        }}
    }}
}}
"""


class Cluster:
    def __init__(self, directory: Path, *, kind: str = "bird", bfd: int = 300) -> None:
        self.directory, self.kind, self.bfd = directory, kind, bfd
        self.client, self.bridge = Namespace("client"), Namespace("bridge")
        self.switches = {j: Namespace(f"switch{j}") for j in SWITCHES}
        self.nodes = {i: Namespace(f"node{i}") for i in NODES}
        self.hosts = [Namespace(f"rs{number}") for number in (1, 2)]
        around = (self.bridge, self.client)
        self.homes = (*self.hosts, *self.nodes.values(), *self.switches.values(), *around)
        self._everybody()
        self._front()
        self._back()
        self.texts = {i: self._text(i) for i in NODES}
        self.speakers = {f"node{i}": self._node_speaker(i) for i in NODES}
        self.speakers |= {f"switch{j}": self._switch_speaker(j) for j in SWITCHES}
        self.watches = {j: RouteWatch(self.switches[j], directory) for j in SWITCHES}
        self.daemons = {i: self._daemon(i) for i in NODES}

    def _everybody(self) -> None:
        for home in (
            self.client,
            self.bridge,
            *self.switches.values(),
            *self.nodes.values(),
            *self.hosts,
        ):
            home.sysctl("net.ipv4.conf.all.rp_filter", 0)
            home.sysctl("net.ipv4.conf.default.rp_filter", 0)
            home.sysctl("net.ipv4.conf.all.ignore_routes_with_linkdown", 1)
            home.sysctl("net.ipv4.conf.default.ignore_routes_with_linkdown", 1)
        for home in (*self.switches.values(), *self.nodes.values()):
            home.sysctl("net.ipv4.ip_forward", 1)
        for home in (self.client, *self.switches.values()):
            home.sysctl("net.ipv4.fib_multipath_hash_policy", 1)

    def _front(self) -> None:
        for j, switch in self.switches.items():
            link(self.client, f"s{j}", switch, "client")
            self.client.ip(f"addr add 10.10.{j}.2/24 dev s{j}")
            switch.ip(f"addr add 10.10.{j}.1/24 dev client", "addr add 172.16.0.2/32 dev lo")
            switch.ip(f"route add 172.16.0.1/32 via 10.10.{j}.2")
            for i, node in self.nodes.items():
                link(switch, f"n{i}", node, f"up{j}")
                switch.ip(f"addr add 10.{j}.{i}.1/24 dev n{i}")
                node.ip(f"addr add 10.{j}.{i}.2/24 dev up{j}")
        hops = " ".join(f"nexthop via 10.10.{j}.1" for j in SWITCHES)
        self.client.ip("addr add 172.16.0.1/32 dev lo", f"route add 192.0.2.0/24 src 172.16.0.1 {hops}")
        for i, node in self.nodes.items():
            hops = " ".join(f"nexthop via 10.{j}.{i}.1" for j in SWITCHES)
            node.ip(f"route add 172.16.0.1/32 {hops}")

    def _back(self) -> None:
        self.bridge.ip("link add bridge type bridge forward_delay 0", "link set bridge up")
        members = [(node, "back") for node in self.nodes.values()] + [(home, "eth0") for home in self.hosts]
        for home, name in members:
            link(self.bridge, home.name, home, name)
            self.bridge.ip(f"link set {home.name} master bridge")
        for i, node in self.nodes.items():
            node.ip(f"addr add 10.2.0.{i}/24 dev back")
        self.servers = []
        for number, home in enumerate(self.hosts, 101):
            home.ip(f"addr add 10.2.0.{number}/24 dev eth0")
            home.ip(*(f"route add 10.200.{i}.0/24 via 10.2.0.{i}" for i in NODES))
            server = Server(home, "0.0.0.0", 80, kind="http", name=f"rs{number}")
            server.be("serve")
            self.servers.append(server)

    # Configuration.

    def _home(self, name: str) -> Path:
        path = self.directory / name
        path.mkdir(exist_ok=True)
        return path

    def _text(self, i: int) -> str:
        home = self._home(f"node{i}")
        place = str(home / "bird.ctl") if self.kind == "bird" else str(home)
        return CONFIG.format(
            i=i, kind=self.kind, place=place, directory=home, asn=65101,
            bfd=self.bfd,
        )  # fmt: skip

    def _rendered(self, i: int, switch: Switch | None) -> str:
        loaded = load("/lb.conf", Documents({"/lb.conf": self.texts[i]}), ReadOptions(), REGISTRY)
        assert loaded.config is not None, loaded.diagnostics
        block = block_of(loaded.config)
        assert block is not None
        return render(loaded.config, block, self.kind, switch)

    def _node_speaker(self, i: int) -> Any:
        return SPEAKERS[self.kind](self.nodes[i], self._home(f"node{i}"), self._rendered(i, None))

    def _switch_speaker(self, j: int) -> Any:
        others = tuple(ip_address(f"10.{j}.{i}.2") for i in NODES[1:])
        text = self._rendered(1, Switch(f"switch{j}", others))
        return SPEAKERS[self.kind](self.switches[j], self._home(f"switch{j}"), text)

    def _daemon(self, i: int) -> KeepalivePy:
        daemon = KeepalivePy(self.nodes[i], self._home(f"node{i}"), options=("-G",))
        daemon.config.write_text(self.texts[i])
        return daemon

    # What a test looks at.

    def ctl(self, i: int, *words: str) -> str:
        command, *rest = words
        where = ["--state-directory", str(self.directory / f"node{i}" / "state")]
        return self.nodes[i].output([CTL, "announcer", command, *where, *rest])

    def drain(self, i: int, *, off: bool = False) -> None:
        """What the command does, without the second that it takes to start."""
        drains = Drains(str(self.directory / f"node{i}" / "state"))
        drains.write({} if off else {ALL: Drain(by="lab", since=now())})

    def status(self, i: int) -> dict[str, Any]:
        path = self.directory / f"node{i}" / "state" / "status.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def state(self, i: int) -> str:
        return str(self.status(i).get("vips", {}).get(VIP, {}).get("state", ""))

    def hops(self, j: int) -> set[int]:
        """The nodes that a switch spreads over."""
        return {int(hop.split(".")[2]) for hop in self.watches[j].hops(VIP)}

    def spreads(self, *nodes: int, within: float = 40.0, switches: tuple[int, ...] = SWITCHES) -> None:
        for j in switches:
            equal(partial(self.hops, j), set(nodes), within=within, what=f"switch{j} spreads over {nodes}")

    def took(self, since: float, j: int = 1) -> float:
        """Milliseconds from `since` to the first change of the switch's route."""
        changes = eventually(
            lambda: self.watches[j].changes(VIP, since), within=10, what=f"switch{j}'s route changes"
        )
        return (changes[0][0] - since) * 1000

    def says(self, i: int, words: str, within: float = 30.0) -> None:
        daemon = self.daemons[i]
        eventually(
            lambda: any(words in line for line in daemon.lines()),
            within=within,
            what=f"node{i} says {words!r}\n{daemon.tail()}",
        )

    def start(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda speaker: speaker.start(), self.speakers.values()))
        for daemon in self.daemons.values():
            daemon.start()

    def close(self) -> None:
        for daemon in self.daemons.values():
            if daemon.exit_status() is None and daemon.child is not None:
                daemon.kill()
        for speaker in self.speakers.values():
            speaker.kill()
        for watch in self.watches.values():
            watch.end()
        for home in (
            *self.hosts,
            *self.nodes.values(),
            *self.switches.values(),
            self.bridge,
            self.client,
        ):
            home.close()


def set_link(home: Namespace, name: str, *, up: bool) -> None:
    home.ip(f"link set {name} {'up' if up else 'down'}")
