"""Hundreds of edits while clients run: good ones, broken ones, half-written ones, links that are
swapped, files that come and go, and a daemon that is killed in the middle of an apply.

After every step the kernel's table is that of the last good configuration, every bad edit is
reported with its place, and no connection fails. At the end memory, descriptors, threads and tasks
are as they were.

The edits are drawn with a seed, which a failure shows. KEEPALIVE_SOAK_SECONDS (30) is how long it
takes, KEEPALIVE_SOAK_SEED repeats a run.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import table
from lab.daemons import KeepalivePy
from lab.needs import lacking
from lab.servers import Server
from lab.topology import VIP, Topology
from lab.traffic import Client as Traffic
from lab.traffic import Stream
from lab.waiting import LabError, equal, eventually

from keepalive_py.cli.client import Client, NotAnswered, Refused
from keepalive_py.control.journal import SIZE

LACKING = lacking("ipvsadm", "ip")
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

SECONDS = float(os.environ.get("KEEPALIVE_SOAK_SECONDS", "30"))
LONG = "KEEPALIVE_SOAK_SECONDS" in os.environ
# The same in every run of the suite, another one in each long run.
SEED = int(os.environ.get("KEEPALIVE_SOAK_SEED", str(random.randrange(10**6) if LONG else 1)))
KILLS = 2 if SECONDS < 120 else int(SECONDS / 40)
SETTLING = 25  # edits before the first look at memory
LEAST_EDITS = 40
HOSTS = [f"10.2.0.{number}" for number in (11, 12)]
OPTIONS = ("--watch", "--last-good", "--roll-back", "--max-removals", "90", "--reconcile-interval", "5")

Weights = dict[str, dict[str, int]]


class Site:
    """The files of the configuration, and the table that they mean."""

    def __init__(self, directory: Path, dice: random.Random) -> None:
        self.directory = directory
        self.dice = dice
        self.main = directory / "keepalived.conf"
        self.services = directory / "services"
        self.mounted = directory / "mounted"
        self.front = dict.fromkeys(HOSTS, 1)
        self.backs: dict[int, dict[str, int]] = {}
        self.mount: dict[str, int] = {HOSTS[0]: 1}
        self.version = 0
        self.services.mkdir()
        self.mounted.mkdir()
        self.write_main()
        self.swap()

    def table(self) -> Weights:
        wanted = {80: self.front, 7: {HOSTS[0]: 1}, 8000: self.mount, **self.backs}
        return {
            f"TCP {VIP[4]}:{port}": {f"{host}:{port}": weight for host, weight in servers.items()}
            for port, servers in wanted.items()
        }

    def write_main(self, more: str = "") -> None:
        checked = "        TCP_CHECK {\n            connect_timeout 2\n        }\n"
        text = "include services/*.conf\ninclude mounted/extra.conf\n"
        text += service(7, {HOSTS[0]: 1}) + service(80, self.front, checked)
        self.main.write_text(text + more)

    def path(self, port: int) -> Path:
        return self.services / f"{port}.conf"

    def write_back(self, port: int) -> None:
        """As editors do: a new file takes the place of the old."""
        draft = self.services / f".{port}.swp"
        draft.write_text(service(port, self.backs[port]))
        draft.rename(self.path(port))

    def swap(self) -> None:
        """As a ConfigMap is changed: a new directory, and one link that leads there."""
        self.version += 1
        fresh = self.mounted / f"..v{self.version}"
        fresh.mkdir()
        (fresh / "extra.conf").write_text(service(8000, self.mount))
        link = self.mounted / "..tmp"
        link.symlink_to(fresh.name)
        link.rename(self.mounted / "..data")
        if not (self.mounted / "extra.conf").is_symlink():
            (self.mounted / "extra.conf").symlink_to("..data/extra.conf")

    # Good edits.

    def weigh(self) -> None:
        self.front[self.dice.choice(HOSTS)] = self.dice.randint(1, 9)
        self.write_main()

    def add(self) -> None:
        port = self.dice.randint(9000, 9099)
        self.backs[port] = self.some_servers()
        self.write_back(port)

    def remove(self) -> None:
        if self.backs:
            port = self.dice.choice(list(self.backs))
            del self.backs[port]
            self.path(port).unlink()

    def change(self) -> None:
        if self.backs:
            port = self.dice.choice(list(self.backs))
            self.backs[port] = self.some_servers()
            self.write_back(port)

    def remount(self) -> None:
        self.mount = self.some_servers()
        self.swap()

    def some_servers(self) -> dict[str, int]:
        hosts = [f"10.2.0.{number}" for number in self.dice.sample(range(11, 60), self.dice.randint(1, 8))]
        return {host: self.dice.randint(0, 100) for host in hosts}


def service(port: int, servers: dict[str, int], check: str = "") -> str:
    reals = "".join(
        f"    real_server {host} {port} {{\n        weight {weight}\n{check}    }}\n"
        for host, weight in servers.items()
    )
    return (
        f"virtual_server {VIP[4]} {port} {{\n    delay_loop 1\n    warmup 0\n    lvs_sched wrr\n"
        f"    lvs_method NAT\n    protocol TCP\n{reals}}}\n"
    )


class Soak:
    """The daemon under edits."""

    def __init__(self, topology: Topology, directory: Path) -> None:
        self.dice = random.Random(SEED)
        self.site = Site(directory, self.dice)
        self.topology = topology
        self.daemon = KeepalivePy(
            topology.node, directory, options=(*OPTIONS, "--state-directory", str(directory / "state"))
        )
        self.client = Client(str(self.daemon.control))
        self.done: list[str] = []
        self.why = ""

    def start(self) -> None:
        self.daemon.start()
        try:
            eventually(self.answers, within=180, what="the daemon answers")
        except LabError as late:
            why = f"{self.why}, exit status {self.daemon.exit_status()}"
            raise LabError(f"{late}: {why}\n{self.told()}") from None

    def answers(self) -> bool:
        try:
            found = self.client.get("/v1/status")["pid"]
        except (NotAnswered, Refused) as error:
            self.why = str(error)
            return False
        self.why = f"{found} answers for {self.daemon.pid}"
        return bool(found == self.daemon.pid)

    def apply(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.post("/v1/config/apply", confirm=False)
        assert found["finished"], self.told()
        return found

    def told(self) -> str:
        return f"seed {SEED}, after {self.done[-5:]}:\n{self.daemon.tail()}"

    def table(self) -> Weights:
        return table.weights(self.topology.node)

    def is_as_wanted(self) -> None:
        """At once: `apply` answers when the table is written."""
        assert self.table() == self.site.table(), self.told()

    def good_edit(self, edit: Callable[[], None]) -> None:
        edit()
        found = self.apply()
        assert found["refused"] is None, self.told()
        self.is_as_wanted()

    def watched_edit(self, edit: Callable[[], None]) -> None:
        """Nobody says anything: the files are watched."""
        edit()
        equal(self.table, self.site.table(), within=30, what=f"what is watched\n{self.told()}")

    def bad_edit(self, break_it: Callable[[], tuple[Path, int]]) -> None:
        """`break_it` gives the file and the line that must be named."""
        path, line = break_it()
        found = self.apply()
        assert found["refused"] is not None, self.told()
        places = [each["where"] for each in found["refused"]["diagnostics"] if each["where"]]
        named = [(each["file"], each["line"]) for each in places]
        assert any(file.endswith(path.name) and at == line for file, at in named), f"{named}\n{self.told()}"
        self.is_as_wanted()
        self.site.write_main()
        if path != self.site.main:
            path.unlink()
        assert self.apply()["refused"] is None, self.told()
        self.is_as_wanted()

    def unknown_word(self) -> tuple[Path, int]:
        self.site.write_main("virtual_server 10.99.0.1 99 {\n    lvs_shed rr\n}\n")
        return self.site.main, lines_of(self.site.main) - 1

    def broken_include(self) -> tuple[Path, int]:
        path = self.site.services / "broken.conf"
        path.write_text(service(9999, {HOSTS[0]: 1}).replace("weight 1", "weight many"))
        return path, 8

    def lacking_value(self) -> tuple[Path, int]:
        self.site.write_main("virtual_server 10.99.0.1 99 {\n    lvs_sched\n}\n")
        return self.site.main, lines_of(self.site.main) - 1

    def half_written(self) -> None:
        """It stays half for a while, longer than a change is waited for."""
        whole = service(9500, {HOSTS[0]: 5, HOSTS[1]: 6})
        before = self.site.table()
        path = self.site.path(9500)
        path.write_text(whole[: self.dice.randint(60, len(whole) - 4)])
        refused = eventually(
            lambda: self.client.get("/v1/config")["refused"], within=30, what=f"half a file\n{self.told()}"
        )
        assert any("9500.conf" in str(each["where"]) for each in refused["diagnostics"]), self.told()
        assert self.table() == before, self.told()
        self.site.backs[9500] = {HOSTS[0]: 5, HOSTS[1]: 6}
        path.write_text(whole)
        self.watched_edit(lambda: None)

    def killed(self) -> None:
        """In the middle of an apply that adds and removes, at a time that nobody chose."""
        for _ in range(6):
            self.dice.choice((self.site.add, self.site.remove, self.site.change))()
        asking = threading.Thread(target=self.ask_in_vain)
        asking.start()
        time.sleep(self.dice.uniform(0.0, 0.2))
        self.daemon.kill()
        asking.join()
        self.start()
        equal(self.table, self.site.table(), within=30, what=f"the table after a kill\n{self.told()}")

    def ask_in_vain(self) -> None:
        with contextlib.suppress(NotAnswered, Refused):
            self.client.post("/v1/config/apply", confirm=False)

    def broken_start(self) -> None:
        """Killed, and the file is broken when it comes back: the last good one runs."""
        good = self.site.table()
        self.unknown_word()
        self.daemon.kill()
        self.start()
        found = self.client.get("/v1/config")
        assert found["origin"].startswith("generation "), self.told()
        assert found["refused"]["diagnostics"][0]["where"]["file"].endswith("keepalived.conf"), self.told()
        equal(self.table, good, within=30, what=f"the table after a broken start\n{self.told()}")
        self.good_edit(self.site.write_main)

    def step(self) -> None:
        site = self.site
        kinds: list[tuple[int, Callable[[], None]]] = [
            (12, lambda: self.good_edit(site.weigh)),
            (8, lambda: self.good_edit(site.add)),
            (6, lambda: self.good_edit(site.remove)),
            (8, lambda: self.good_edit(site.change)),
            (4, lambda: self.good_edit(site.remount)),
            (2, lambda: self.watched_edit(site.remount)),
            (2, lambda: self.watched_edit(site.weigh)),
            (2, lambda: self.bad_edit(self.unknown_word)),
            (2, lambda: self.bad_edit(self.broken_include)),
            (2, lambda: self.bad_edit(self.lacking_value)),
        ]
        weights = [weight for weight, _ in kinds]
        ((number, (_, work)),) = self.dice.choices(list(enumerate(kinds)), weights)
        self.done.append(str(number))
        work()

    def fill_journal(self) -> None:
        """As it is on a node that runs for long: what is kept of events is not counted as growth."""
        server = {"service": f"{VIP[4]}:7", "server": f"{HOSTS[0]}:7"}
        weight = 1
        while len(self.client.get("/v1/events", follow=False, limit=SIZE)["events"]) < SIZE:
            for _ in range(500):
                weight = 3 - weight
                self.client.post("/v1/overrides", action="weight", weight=weight, **server)
        self.client.delete("/v1/overrides", **server)
        self.is_as_wanted()

    def size(self) -> dict[str, int]:
        found = self.client.get("/v1/status")
        process = Path(f"/proc/{self.daemon.pid}")
        return {
            "kilobytes": found["resident_kilobytes"],
            "tasks": found["tasks"],
            "descriptors": len(list((process / "fd").iterdir())),
            "threads": len(list((process / "task").iterdir())),
        }


def lines_of(path: Path) -> int:
    return path.read_text().count("\n")


@pytest.fixture
def soak(tmp_path: Path) -> Iterator[Soak]:
    topology = Topology()
    echo = Server(topology.hosts[0], "0.0.0.0", 7)
    echo.be("serve")
    made = Soak(topology, tmp_path)
    yield made
    if made.daemon.exit_status() is None:
        made.daemon.stop()
    topology.close()


def test_edits_without_end(soak: Soak) -> None:
    soak.start()
    equal(soak.table, soak.site.table(), within=30, what="the first table")
    stream = Stream(soak.topology.client, VIP[4], 7)
    with Traffic(soak.topology.client, VIP[4], 80, pause=0.05) as traffic:
        traffic.more(20)
        for _ in range(KILLS):
            soak.killed()
        soak.broken_start()
        soak.half_written()
        if LONG:
            soak.fill_journal()
        began = time.monotonic()
        for _ in range(SETTLING):
            soak.step()
        before = soak.size()
        kilobytes = []  # ten times on the way
        while time.monotonic() < began + SECONDS or len(soak.done) < LEAST_EDITS:
            soak.step()
            assert stream.alive(), soak.told()
            if time.monotonic() >= began + SECONDS * (len(kilobytes) + 1) / 10:
                kilobytes.append(soak.size()["kilobytes"])
        after = soak.size()
        traffic.more(20)
    took = time.monotonic() - began
    print(f"seed {SEED}: {len(soak.done)} edits in {took:.0f} s, {len(traffic.attempts)} connections")
    print(f"{before} -> {kilobytes} kilobytes -> {after}")
    assert traffic.errors() == [], soak.told()
    assert stream.alive()
    stream.close()
    assert abs(after["tasks"] - before["tasks"]) <= 2, (before, after)
    assert abs(after["descriptors"] - before["descriptors"]) <= 6, (before, after)
    assert after["threads"] - before["threads"] <= 6, (before, after)
    assert after["kilobytes"] <= before["kilobytes"] * 1.05 + 3072, (before, after)
