"""Each routing daemon beside ours: sessions, confirmation, drain and withdrawal, with a switch that is BIRD.
BIRD and FRR by IPv6 (the cluster is IPv4); ExaBGP and GoBGP are told what to announce."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lab.daemons import PreloadedKeepalivePy
from lab.namespace import Namespace, link
from lab.preload import Preload
from lab.waiting import equal, eventually

from keepalive_py.announcer.drains import ALL, Drain, Drains
from keepalive_py.announcer.files import read_json
from keepalive_py.announcer.render import Switch
from keepalive_py.lab.cluster import QUIET, MakeDaemon, rendered
from keepalive_py.lab.routing import SPEAKERS, BirdSpeaker, FrrSpeaker, end, spawned

CTL = Path(sys.executable).parent / "keepalive-ctl"
API = "127.0.0.1:50051"
VIPS = {4: "192.0.2.10", 6: "2001:db8:1::10"}
PREFIXES = {4: "192.0.2.0/24", 6: "2001:db8:1::/64"}
NODE = {4: "10.1.1.2", 6: "2001:db8::2"}
SWITCH = {4: "10.1.1.1", 6: "2001:db8::1"}

CONFIG = """
bgp_announcer {{
    prefix {prefix}
    routing_daemon {kind} {place}
    state_directory {home}/state
    local_as 65101
    router_id 10.1.1.2
    rise 0
    poll 0.5
    confirm_time 30
    drain_time 30
    drain_quiet 6
    peer switch {{
        address {switch}
        local {node}
        remote_as 65000
        bfd off
    }}
}}
virtual_server {vip} 80 {{
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server {switch} 80 {{
    }}
}}
"""


class OneNode:
    """A node with that daemon, and the switch."""

    def __init__(self, kind: str, family: int, directory: Path, make: MakeDaemon) -> None:
        self.kind, self.family, self.directory = kind, family, directory
        self.vip = VIPS[family]
        self.node, self.switch = Namespace("node"), Namespace("switch")
        link(self.node, "up1", self.switch, "n1")
        more = "/24" if family == 4 else "/64 nodad"
        self.node.ip(f"addr add dev up1 {NODE[family]}{more}")
        self.switch.ip(f"addr add dev n1 {SWITCH[family]}{more}")
        self.place = {"gobgp": API, "exabgp": f"{directory}/pipe", "bird": f"{directory}/node/bird.ctl"}.get(
            kind, f"{directory}/node/"
        )
        text = CONFIG.format(
            kind=kind, place=self.place, home=directory, vip=self.vip,
            prefix=PREFIXES[family], switch=SWITCH[family], node=NODE[family],
        )  # fmt: skip
        self.speaker = BirdSpeaker(self.switch, directory, rendered(text, "bird", Switch("switch")))
        self.own: BirdSpeaker | FrrSpeaker | None = None
        self.config = directory / "speaker.conf"
        self.config.write_text(rendered(text, kind))
        if kind in SPEAKERS:
            (directory / "node").mkdir()
            self.own = SPEAKERS[kind](self.node, directory / "node", self.config.read_text())
        self.session = "switch" if kind == "bird" else SWITCH[family]
        self.daemon = make(self.node, directory)
        self.daemon.config.write_text(text)
        self.children: list[Any] = []

    def start(self) -> None:
        self.speaker.start()
        if self.own is not None:
            self.own.start()
        else:
            self.children = [self._gobgp(), self._feed()] if self.kind == "gobgp" else [self._exabgp()]
        self.daemon.start()

    def _gobgp(self) -> Any:
        return spawned(self.node, ["gobgpd", "-f", str(self.config), "--api-hosts", API, "--pprof-disable"])

    def _feed(self) -> Any:
        options = next(line for line in self.config.read_text().splitlines() if "feed gobgp" in line)
        words = options.partition("feed gobgp")[2].split()
        return spawned(self.node, [str(CTL), "announcer", "feed", "gobgp", "--api", API, *words])

    def _exabgp(self) -> Any:
        for name in ("pipe.in", "pipe.out"):
            os.mkfifo(self.directory / name, 0o600)
        (self.directory / "run").symlink_to(self.directory)  # ExaBGP looks for its pipes in ROOT/run
        options = {
            "daemon.user": "root", "api.pipename": "pipe", "daemon.daemonize": "false",
        }  # fmt: skip
        words = [f"exabgp.{name}={value}" for name, value in options.items()]
        here = ["exabgp", "--root", str(self.directory), str(self.config)]
        return spawned(self.node, ["env", *words, *here])

    def status(self) -> dict[str, Any]:
        return read_json(self.directory / "state" / "status.json")

    def seen(self, key: str) -> Any:
        return self.status().get("vips", {}).get(self.vip, {}).get(key)

    def hops(self) -> str:
        return self.switch.output(["ip", f"-{self.family}", "route", "show", self.vip]).strip()

    def close(self) -> None:
        if self.daemon.child is not None and self.daemon.exit_status() is None:
            self.daemon.kill()
        end(self.children)
        for speaker in filter(None, (self.own, self.speaker)):
            speaker.kill()
        for home in (self.node, self.switch):
            home.close()


KINDS = [("bird", 6), ("frr", 6), ("exabgp", 4), ("gobgp", 4)]


@pytest.fixture(scope="module")
def preload() -> Iterator[Preload]:
    made = Preload()
    yield made
    made.close()


@pytest.fixture(params=KINDS, ids=lambda kind: kind[0])
def one(request: pytest.FixtureRequest, preload: Preload) -> Iterator[OneNode]:
    # FRR, which drops root, has a directory in it; and names of sockets must be short.
    with tempfile.TemporaryDirectory(prefix="one.", dir="/run") as directory:
        Path(directory).chmod(0o755)
        make = partial(PreloadedKeepalivePy, preload=preload, options=QUIET)
        made = OneNode(*request.param, Path(directory), make)
        try:
            yield made
        finally:
            made.close()


def test_it_announces_drains_and_withdraws_and_we_see_it(one: OneNode) -> None:
    one.start()
    tail = one.daemon.tail
    equal(partial(one.seen, "exported_to"), [one.session], within=60, what=lambda: f"exported\n{tail()}")
    assert one.status()["sessions"][one.session]["state"].lower() == "established"
    eventually(one.hops, within=20, what="the switch has a route")
    assert one.speaker.shut(one.vip) == set()

    drains = Drains(str(one.directory / "state"))
    drains.write({ALL: Drain(by="test")})
    shut = partial(one.speaker.shut, one.vip)
    # Asked all the time: the switch must never be without the route (BIRD would fail to show it).
    eventually(
        lambda: shut() == {NODE[one.family]},
        within=20, what=lambda: f"GRACEFUL_SHUTDOWN at the switch\n{tail()}", every=0.001,
    )  # fmt: skip
    equal(partial(one.seen, "state"), "withdrawn", within=60, what=tail)
    equal(one.hops, "", within=20, what="the switch's route is gone")
    equal(partial(one.seen, "exported_to"), [], within=20, what=tail)

    drains.write({})
    equal(partial(one.seen, "exported_to"), [one.session], within=60, what=tail)
    eventually(one.hops, within=20, what="the switch has a route again")
    assert one.daemon.stop() == 0
    assert "exports none of 1 VIPs" in one.daemon.tail()
    equal(one.hops, "", within=20, what="the switch's route is gone")
