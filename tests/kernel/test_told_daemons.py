"""ExaBGP and GoBGP, which are told what to announce: sessions, confirmation, drain and withdrawal, with a
switch that is BIRD."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lab.namespace import Namespace, link
from lab.waiting import equal, eventually

from keepalive_py.announcer.drains import ALL, Drain, Drains
from keepalive_py.announcer.files import read_json
from keepalive_py.announcer.render import Switch
from keepalive_py.lab.cluster import rendered
from keepalive_py.lab.daemons import KeepalivePy
from keepalive_py.lab.routing import BirdSpeaker, end, spawned

CTL = Path(sys.executable).parent / "keepalive-ctl"
VIP, API = "192.0.2.10", "127.0.0.1:50051"

CONFIG = """
bgp_announcer {{
    prefix 192.0.2.0/24
    routing_daemon {kind} {place}
    state_directory {home}/state
    local_as 65101
    router_id 10.1.1.2
    rise 0
    poll 0.5
    confirm_time 30
    drain_time 30
    drain_quiet 5
    peer switch {{
        address 10.1.1.1
        local 10.1.1.2
        remote_as 65000
        bfd off
    }}
}}
virtual_server {vip} 80 {{
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 10.1.1.1 80 {{
    }}
}}
"""


class Told:
    """A node with that daemon, fed by us, and the switch."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind, self.directory = kind, directory
        self.node, self.switch = Namespace("node"), Namespace("switch")
        link(self.node, "up1", self.switch, "n1")
        self.node.ip("addr add 10.1.1.2/24 dev up1")
        self.switch.ip("addr add 10.1.1.1/24 dev n1")
        self.place = API if kind == "gobgp" else str(directory / "pipe")
        text = CONFIG.format(kind=kind, place=self.place, home=directory, vip=VIP)
        self.speaker = BirdSpeaker(self.switch, directory, rendered(text, "bird", Switch("switch")))
        self.config = directory / "speaker.conf"
        self.config.write_text(rendered(text, kind))
        self.daemon = KeepalivePy(self.node, directory, options=("-G",))
        self.daemon.config.write_text(text)
        self.children: list[Any] = []

    def start(self) -> None:
        self.speaker.start()
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

    def vip(self, key: str) -> Any:
        return self.status().get("vips", {}).get(VIP, {}).get(key)

    def hops(self) -> str:
        return self.switch.output(["ip", "route", "show", VIP]).strip()

    def close(self) -> None:
        if self.daemon.child is not None and self.daemon.exit_status() is None:
            self.daemon.kill()
        end(self.children)
        self.speaker.kill()
        for home in (self.node, self.switch):
            home.close()


@pytest.fixture(params=["exabgp", "gobgp"])
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Told]:
    made = Told(request.param, tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_a_daemon_that_is_told_announces_drains_and_withdraws_and_we_see_it(told: Told) -> None:
    told.start()
    equal(partial(told.vip, "exported_to"), ["10.1.1.1"], within=60, what=f"exported\n{told.daemon.tail()}")
    assert told.status()["sessions"]["10.1.1.1"]["state"] == "established"
    eventually(told.hops, within=20, what="the switch has a route")
    assert told.speaker.shut(VIP) == set()

    drains = Drains(str(told.directory / "state"))
    drains.write({ALL: Drain(by="test")})
    equal(partial(told.speaker.shut, VIP), {"10.1.1.2"}, within=20, what="GRACEFUL_SHUTDOWN at the switch")
    equal(partial(told.vip, "state"), "withdrawn", within=60, what=told.daemon.tail())
    equal(told.hops, "", within=20, what="the switch's route is gone")
    equal(partial(told.vip, "exported_to"), [], within=20, what=told.daemon.tail())

    drains.write({})
    equal(partial(told.vip, "exported_to"), ["10.1.1.1"], within=60, what=told.daemon.tail())
    eventually(told.hops, within=20, what="the switch has a route again")
    assert told.daemon.stop() == 0
    assert "exports none of 1 VIPs" in told.daemon.tail()
    equal(told.hops, "", within=20, what="the switch's route is gone")
