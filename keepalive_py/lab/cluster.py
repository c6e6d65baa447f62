r"""A cluster: a client, two switches that spread flows by ECMP, two or more nodes, two real servers.

    client --- switch1 --- node1 ---+--- rs1 10.2.0.101
       \         |\ /              |
        \        | X        bridge -+
         \       |/ \              |
          +- switch2 --- node2 -----+--- rs2 10.2.0.102

Switch j and node i are 10.j.i.1 and 10.j.i.2; between the switches, 10.10.0.1 and 10.10.0.2. The nodes
run keepalive-py with a routing daemon whose configuration is rendered from theirs; so are the switches'.
Real servers are reached by FULLNAT from 10.200.i.1, so whichever node a flow goes to, its answers come
back through that one. The switches and the client hash flows with a known key, where the kernel has one.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from keepalive_py.announcer.drains import ALL, Drain, Drains
from keepalive_py.announcer.render import Switch, render
from keepalive_py.checkers import REGISTRY
from keepalive_py.config.build import load
from keepalive_py.config.preprocess import ReadOptions
from keepalive_py.config.source import Documents
from keepalive_py.daemon.announcing import block_of
from keepalive_py.errors import ConfigError
from keepalive_py.lab.daemons import KeepalivePy
from keepalive_py.lab.namespace import Namespace, link
from keepalive_py.lab.routing import SPEAKERS, BirdSpeaker, FrrSpeaker, RouteWatch
from keepalive_py.lab.servers import WebServer
from keepalive_py.lab.waiting import equal, eventually

VIP: Final = "192.0.2.10"
CLIENT: Final = "172.16.0.1"
SWITCHES: Final = (1, 2)
# Of the hash. The same on two routers in a row would send all that comes from one to one of the next.
SEEDS: Final = {"client": 7, "switch1": 8, "switch2": 9}
SEED_FILE: Final = "net.ipv4.fib_multipath_hash_seed"  # Linux 6.11
MATE: Final = 0  # stands for the other switch where nodes are counted

CONFIG: Final = """
bgp_announcer {{
    prefix 192.0.2.0/24
    routing_daemon {kind} {place}
    state_directory {directory}/state
    local_as 65101
    router_id 10.1.{i}.2
    rise 0
    hold_down 1
    damping_half_life 0
    poll 1
    drain_time 30
    drain_quiet 4
    bfd_interval {bfd}
    uplink left {{
        interface up1
        neighbour 10.1.{i}.1
    }}
    uplink right {{
        interface up2
        neighbour 10.2.{i}.1
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


MakeDaemon = Callable[[Namespace, Path], KeepalivePy]
QUIET: Final = ("-G",)  # nothing to this machine's log
USUAL: Final[MakeDaemon] = partial(KeepalivePy, options=QUIET)


class Cluster:
    """`kind`: the routing daemon; `bfd` in milliseconds; `make` makes a node's daemon. Raises LabError when
    it cannot be built."""

    def __init__(
        self,
        directory: Path,
        *,
        kind: str = "bird",
        nodes: int = 2,
        bfd: int = 300,
        make: MakeDaemon = USUAL,
    ) -> None:
        self.directory, self.kind, self.bfd, self.make = directory, kind, bfd, make
        self.homes: dict[str, Namespace] = {}
        self.servers: list[WebServer] = []
        self.speakers: dict[str, BirdSpeaker | FrrSpeaker] = {}
        self.watches: dict[int, RouteWatch] = {}
        self.daemons: dict[int, KeepalivePy] = {}
        self.numbers = tuple(range(1, nodes + 1))
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        self.client, self.bridge = self._home("client"), self._home("bridge")
        self.switches = {j: self._home(f"switch{j}") for j in SWITCHES}
        self.nodes = {i: self._home(f"node{i}") for i in self.numbers}
        self.hosts = [self._home(f"rs{number}") for number in (1, 2)]
        self._everybody()
        self._front()
        self._back()
        self.texts = {i: self._text(i) for i in self.numbers}
        self.speakers |= {f"node{i}": self._node_speaker(i) for i in self.numbers}
        self.speakers |= {f"switch{j}": self._switch_speaker(j) for j in SWITCHES}
        self.watches |= {j: RouteWatch(self.switches[j], self.directory) for j in SWITCHES}
        self.daemons |= {i: self._daemon(i) for i in self.numbers}

    def _home(self, name: str) -> Namespace:
        self.homes[name] = made = Namespace(name)
        return made

    def _everybody(self) -> None:
        for home in self.homes.values():
            for scope in ("all", "default"):
                home.sysctl(f"net.ipv4.conf.{scope}.rp_filter", 0)
                home.sysctl(f"net.ipv4.conf.{scope}.ignore_routes_with_linkdown", 1)
        for home in (*self.switches.values(), *self.nodes.values()):
            home.sysctl("net.ipv4.ip_forward", 1)
        for home in (self.client, *self.switches.values()):
            home.sysctl("net.ipv4.fib_multipath_hash_policy", 1)
            with contextlib.suppress(OSError):  # an older kernel
                home.sysctl(SEED_FILE, SEEDS[home.name])

    def _front(self) -> None:
        for j, switch in self.switches.items():
            link(self.client, f"s{j}", switch, "client")
            self.client.ip(f"addr add 10.10.{j}.2/24 dev s{j}")
            switch.ip(f"addr add 10.10.{j}.1/24 dev client", f"route add {CLIENT}/32 via 10.10.{j}.2")
            for i, node in self.nodes.items():
                link(switch, f"n{i}", node, f"up{j}")
                switch.ip(f"addr add 10.{j}.{i}.1/24 dev n{i}")
                node.ip(f"addr add 10.{j}.{i}.2/24 dev up{j}")
        link(self.switches[1], "mate", self.switches[2], "mate")
        for j, switch in self.switches.items():
            switch.ip(f"addr add 10.10.0.{j}/24 dev mate")
        hops = " ".join(f"nexthop via 10.10.{j}.1" for j in SWITCHES)
        self.client.ip(f"addr add {CLIENT}/32 dev lo", f"route add 192.0.2.0/24 src {CLIENT} {hops}")
        for i, node in self.nodes.items():
            hops = " ".join(f"nexthop via 10.{j}.{i}.1" for j in SWITCHES)
            node.ip(f"route add {CLIENT}/32 {hops}")

    def _back(self) -> None:
        self.bridge.ip("link add bridge type bridge forward_delay 0", "link set bridge up")
        members = [(node, "back") for node in self.nodes.values()] + [(home, "eth0") for home in self.hosts]
        for home, name in members:
            link(self.bridge, home.name, home, name)
            self.bridge.ip(f"link set {home.name} master bridge")
        for i, node in self.nodes.items():
            node.ip(f"addr add 10.2.0.{i}/24 dev back")
        for number, home in enumerate(self.hosts, 101):
            home.ip(f"addr add 10.2.0.{number}/24 dev eth0")
            home.ip(*(f"route add 10.200.{i}.0/24 via 10.2.0.{i}" for i in self.numbers))
            self.servers.append(WebServer(home, f"rs{number}"))

    # Configuration.

    def _place(self, name: str) -> Path:
        path = self.directory / name
        path.mkdir(exist_ok=True)
        return path

    def _text(self, i: int) -> str:
        home = self._place(f"node{i}")
        place = str(home / "bird.ctl") if self.kind == "bird" else f"{home}/"
        return CONFIG.format(i=i, kind=self.kind, place=place, directory=home, bfd=self.bfd)

    def _node_speaker(self, i: int) -> BirdSpeaker | FrrSpeaker:
        return SPEAKERS[self.kind](self.nodes[i], self._place(f"node{i}"), rendered(self.texts[i], self.kind))

    def _switch_speaker(self, j: int) -> BirdSpeaker | FrrSpeaker:
        others = tuple(ip_address(f"10.{j}.{i}.2") for i in self.numbers[1:])
        switch = Switch(f"switch{j}", others, (ip_address(f"10.10.0.{3 - j}"),))
        return SPEAKERS[self.kind](
            self.switches[j],
            self._place(f"switch{j}"),
            rendered(self.texts[self.numbers[0]], self.kind, switch),
        )

    def _daemon(self, i: int) -> KeepalivePy:
        daemon = self.make(self.nodes[i], self._place(f"node{i}"))
        daemon.config.write_text(self.texts[i])
        return daemon

    # Doing.

    def start(self) -> None:
        for server in self.servers:
            server.start()
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda speaker: speaker.start(), self.speakers.values()))
        for daemon in self.daemons.values():
            daemon.start()

    def drain(self, *numbers: int) -> None:
        """What `keepalive-ctl announcer drain` does, without the time that it takes to start."""
        for i in numbers:
            self._drains(i).write({ALL: Drain(by="lab", reason="the story", since=time.time())})

    def undrain(self, *numbers: int) -> None:
        for i in numbers:
            self._drains(i).write({})

    def _drains(self, i: int) -> Drains:
        return Drains(str(self.directory / f"node{i}" / "state"))

    @contextlib.contextmanager
    def cut(self, i: int, *switches: int) -> Iterator[None]:
        """The links between node i and these switches, until the end of the block."""
        for j in switches:
            self.switches[j].ip(f"link set n{i} down")
        try:
            yield
        finally:
            for j in switches:
                self.switches[j].ip(f"link set n{i} up")

    @contextlib.contextmanager
    def silent(self, i: int) -> Iterator[None]:
        """Node i's links stay up and nothing comes out of it, until the end of the block."""
        table = "table inet silent"
        rule = (
            f"add {table}; add chain inet silent out {{ type filter hook output priority 0; policy drop; }}"
        )
        self.nodes[i].output(["nft", rule])
        try:
            yield
        finally:
            self.nodes[i].output(["nft", f"delete {table}"])

    @contextlib.contextmanager
    def without_servers(self, i: int) -> Iterator[None]:
        """Node i does not reach the real servers, until the end of the block."""
        routes = [f"unreachable 10.2.0.{number}" for number in (101, 102)]
        self.nodes[i].ip(*(f"route add {each}" for each in routes))
        try:
            yield
        finally:
            self.nodes[i].ip(*(f"route del {each}" for each in routes))

    # Seeing.

    def status(self, i: int) -> dict[str, Any]:
        path = self.directory / f"node{i}" / "state" / "status.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def state(self, i: int) -> str:
        return str(self.status(i).get("vips", {}).get(VIP, {}).get("state", ""))

    def uplink(self, i: int, name: str) -> str:
        return str(self.status(i).get("uplinks", {}).get(name, {}).get("state", ""))

    def _tail(self, i: int) -> str:
        return f"node{i}\n{self.daemons[i].tail()}"

    def hops(self, j: int) -> set[int]:
        """The nodes that a switch spreads over; MATE for the other switch."""
        return {int(hop.split(".")[2]) for hop in self.watches[j].hops(VIP)}

    def spreads(self, *nodes: int, switches: tuple[int, ...] = SWITCHES, within: float = 60.0) -> None:
        for j in switches:
            equal(partial(self.hops, j), set(nodes), within=within, what=f"switch{j} spreads over {nodes}")

    def is_in_state(self, state: str, *nodes: int, within: float = 60.0) -> None:
        for i in nodes:
            equal(partial(self.state, i), state, within=within, what=partial(self._tail, i))

    def has_uplink(self, i: int, name: str, state: str, within: float = 30.0) -> None:
        equal(partial(self.uplink, i, name), state, within=within, what=f"uplink {name} of node{i}")

    def whole(self) -> None:
        """Wait until every node announces to both switches, and each switch spreads over all."""
        self.is_in_state("announced", *self.numbers)
        self.spreads(*self.numbers)
        for i in self.numbers:
            for name in ("left", "right"):
                self.has_uplink(i, name, "up")

    def took(self, since: float, j: int) -> float:
        """Milliseconds from `since` to the first change of the switch's route."""
        changes = eventually(
            lambda: self.watches[j].changes(VIP, since), within=10, what=f"switch{j}'s route changes"
        )
        return (changes[0][0] - since) * 1000

    def says(self, i: int, words: str, within: float = 30.0, after: int = 0) -> None:
        """Node i's daemon, in a line after so many."""
        daemon = self.daemons[i]
        eventually(
            lambda: any(words in line for line in daemon.lines()[after:]),
            within=within,
            what=lambda: f"node{i} says {words!r}\n{daemon.tail()}",
        )

    # The end.

    def publish(self, prefix: str) -> list[str]:
        """Name the namespaces, for `ip netns exec`."""
        for name, home in self.homes.items():
            home.publish(prefix + name)
        return [prefix + name for name in self.homes]

    def close(self) -> None:
        for daemon in self.daemons.values():
            if daemon.exit_status() is None and daemon.child is not None:
                daemon.kill()
        for speaker in self.speakers.values():
            speaker.kill()
        for watch in self.watches.values():
            watch.end()
        for home in self.homes.values():
            home.close()


def rendered(text: str, kind: str, switch: Switch | None = None) -> str:
    """The routing daemon's configuration from ours. Raises ConfigError."""
    loaded = load("/lb.conf", Documents({"/lb.conf": text}), ReadOptions(), REGISTRY)
    block = None if loaded.config is None else block_of(loaded.config)
    if loaded.config is None or block is None:
        raise ConfigError(f"the lab's own configuration is wrong: {loaded.diagnostics}")
    return render(loaded.config, block, kind, switch)
