"""Real routing daemons in namespaces, and a watch on the routes that they write."""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import IO, Protocol

from keepalive_py.lab.namespace import Namespace
from keepalive_py.lab.waiting import eventually

QUIET = subprocess.DEVNULL
FRR = Path("/usr/lib/frr")


class Speaker(Protocol):
    def start(self) -> None: ...

    def kill(self) -> None: ...

    def place(self) -> str:
        """As keepalive_py's `routing_daemon` wants it."""

    def shut(self, address: str) -> set[str]:
        """The gateways to `address` whose routes have GRACEFUL_SHUTDOWN and local preference 0."""


class BirdSpeaker:
    """BIRD with this configuration."""

    kind = "bird"

    def __init__(self, home: Namespace, directory: Path, text: str) -> None:
        self.home = home
        self.config, self.control = directory / "bird.conf", directory / "bird.ctl"
        self.config.write_text(text)
        self.process: subprocess.Popen[bytes] | None = None

    def place(self) -> str:
        return str(self.control)

    def start(self) -> None:
        self.control.unlink(missing_ok=True)
        argv = ["bird", "-f", "-c", str(self.config), "-s", str(self.control), "-P", f"{self.control}.pid"]
        self.process = spawned(self.home, argv)
        eventually(self.control.exists, within=20, what="BIRD answers")

    def kill(self) -> None:
        end([self.process])

    def say(self, command: str) -> str:
        return self.home.output(["birdc", "-s", str(self.control), *command.split()])

    def shut(self, address: str) -> set[str]:
        routes = re.split(r"^.*\bunicast\b", self.say(f"show route for {address} all"), flags=re.M)[1:]
        marked = [each for each in routes if "(65535,0)" in each and "BGP.local_pref: 0\n" in each]
        return {match[1] for each in marked if (match := re.search(r"via (\S+)", each))}


class FrrSpeaker:
    """zebra, bgpd and bfdd with this configuration."""

    kind = "frr"
    daemons = ("zebra", "bfdd", "bgpd")

    def __init__(self, home: Namespace, directory: Path, text: str) -> None:
        self.home, self.directory = home, directory
        self.config = directory / "frr.conf"
        self.config.write_text(text)
        self.processes: list[subprocess.Popen[bytes]] = []

    def place(self) -> str:
        return str(self.directory)

    def start(self) -> None:
        self.processes = [self._started(name) for name in self.daemons]
        loading = ["vtysh", "--vty_socket", str(self.directory), "-f", str(self.config)]
        self.home.output(loading)

    def _started(self, name: str) -> subprocess.Popen[bytes]:
        here = self.directory
        shutil.chown(here, "frr", "frr")  # it drops root
        (here / f"{name}.vty").unlink(missing_ok=True)
        (here / f"{name}.conf").write_text("")
        more = ["--bfdctl", f"{here}/bfdd.ctl"] if name == "bfdd" else []
        argv = [
            str(FRR / name), "-u", "frr", "-g", "frr", "-z", f"{here}/zserv", "-i", f"{here}/{name}.pid",
            "--vty_socket", str(here), "-P", "0", "-f", f"{here}/{name}.conf",
            "--log", f"file:{here}/{name}.log", *more,
        ]  # fmt: skip
        process = spawned(self.home, argv)
        eventually((here / f"{name}.vty").exists, within=30, what=f"{name} answers")
        return process

    def kill(self) -> None:
        end(self.processes)

    def say(self, command: str) -> str:
        return self.home.output(["vtysh", "--vty_socket", str(self.directory), "-c", command])

    def shut(self, address: str) -> set[str]:
        paths = json.loads(self.say(f"show bgp ipv4 unicast {address}/32 json")).get("paths", [])
        return {
            hop["ip"]
            for path in paths
            if path.get("locPrf") == 0 and "graceful-shutdown" in path.get("community", {}).get("string", "")
            for hop in path["nexthops"]
        }


SPEAKERS: dict[str, type[BirdSpeaker] | type[FrrSpeaker]] = {"bird": BirdSpeaker, "frr": FrrSpeaker}


def spawned(home: Namespace, argv: list[str], output: IO[str] | int = QUIET) -> subprocess.Popen[bytes]:
    # BFD's packets must go out in time, also while the one processor is busy.
    urgent = ["nice", "-n", "-10", *argv]
    return home.call(lambda: subprocess.Popen(urgent, stdout=output, stderr=QUIET))


def end(processes: list[subprocess.Popen[bytes] | None] | list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process is not None and process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(20)


STAMP = re.compile(r"^\[([^\]]+)\] (.*)$")


class RouteWatch:
    """Every change of a namespace's routes, with its time."""

    def __init__(self, home: Namespace, directory: Path) -> None:
        self.home = home
        self.log = directory / f"routes.{home.name}"
        with self.log.open("w") as log:
            argv = ["ip", "-ts", "-o", "monitor", "route"]
            self.process = spawned(home, argv, log)

    def changes(self, address: str, since: float) -> list[tuple[float, str]]:
        """Of the routes to `address` after the wall-clock time `since`."""
        found = []
        for line in self.log.read_text().splitlines():
            match = STAMP.match(line)
            if match and address in match[2].split()[:2] and (at := stamp(match[1])) >= since:
                found.append((at, match[2]))
        return found

    def hops(self, address: str) -> set[str]:
        """The gateways to `address` now."""
        words = self.home.output(["ip", "route", "show", address]).split()
        return {words[at + 1] for at, word in enumerate(words) if word == "via"}

    def end(self) -> None:
        end([self.process])


def stamp(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def now() -> float:
    return time.time()
