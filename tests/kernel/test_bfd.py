"""Our BFD speaker against BIRD's and FRR's, in two namespaces on one wire."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from lab.namespace import Namespace, link
from lab.waiting import equal, eventually

from keepalive_py.bfd import Speaker
from keepalive_py.config.bfd_instance import BfdInstance
from keepalive_py.health.verdict import Failed, Passed, Reason, Verdict

INTERVAL = 0.2  # s, both ways
MULTIPLIER = 3
DETECTION = INTERVAL * MULTIPLIER
SLACK = 1.5  # s; a user-mode kernel on one busy processor
COMES_UP = 15.0

UP = Passed("")
LOST = Failed(Reason.PEER_DOWN, "control detection time expired")
TOLD = Failed(Reason.PEER_DOWN, "neighbor signaled session down")
NO_SESSION = Failed(Reason.PEER_DOWN, "no session yet")

FRR = Path("/usr/lib/frr")
LACKING = [name for name in ("bird", "birdc", "ip") if not which(name)]
pytestmark = pytest.mark.skipif(bool(LACKING), reason=f"lacking: {', '.join(LACKING)}")

BIRD = f"""
router id 192.0.2.2;
protocol device {{}}
protocol bfd wire {{
    interface "*" {{ min rx interval 200 ms; min tx interval 200 ms; multiplier {MULTIPLIER}; }};
    multihop {{ min rx interval 200 ms; min tx interval 200 ms; multiplier {MULTIPLIER}; }};
    NEIGHBOR
}}
"""


class Bird:
    """BIRD in a namespace, with one BFD neighbour."""

    def __init__(self, home: Namespace, directory: Path, neighbor: str) -> None:
        self.home = home
        config, self.control = directory / "bird.conf", directory / "bird.ctl"
        config.write_text(BIRD.replace("NEIGHBOR", f"neighbor {neighbor};"))
        argv = ["bird", "-f", "-c", str(config), "-s", str(self.control), "-P", str(directory / "pid")]
        quiet = subprocess.DEVNULL
        self.process = home.call(subprocess.Popen, argv, stdout=quiet, stderr=quiet)
        eventually(self.control.exists, within=COMES_UP, what="BIRD answers")

    def say(self, *words: str) -> str:
        return self.home.output(["birdc", "-s", str(self.control), *words])

    def sees(self) -> str:
        """The state that BIRD has the session in."""
        lines = [line.split() for line in self.say("show", "bfd", "sessions").splitlines()]
        return next((line[2] for line in lines if len(line) > 3 and line[1] in ("veth-b", "---")), "")

    def end(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


FRR_CONFIG = f"""
bfd
 peer 10.0.0.1 interface veth-b
  detect-multiplier {MULTIPLIER}
  receive-interval 200
  transmit-interval 200
 !
!
"""


class Frr:
    """zebra (for its interfaces) and bfdd in a namespace."""

    def __init__(self, home: Namespace) -> None:
        # FRR drops root, and the tests' own directories are root's alone.
        self.home, self.directory = home, Path(tempfile.mkdtemp(prefix="frr-", dir="/run"))
        directory = self.directory
        shutil.chown(directory, "frr", "frr")
        (directory / "bfdd.conf").write_text(FRR_CONFIG)
        (directory / "zebra.conf").write_text("")
        self.processes = [self._started("zebra"), self._started("bfdd", "--bfdctl", str(directory / "ctl"))]

    def _started(self, name: str, *more: str) -> subprocess.Popen[bytes]:
        here = self.directory
        places = ["-z", f"{here}/zserv", "-i", f"{here}/{name}.pid", "--vty_socket", str(here)]
        argv = [str(FRR / name), "-u", "frr", "-g", "frr", *places, "-P", "0", "-f", f"{here}/{name}.conf"]
        quiet = subprocess.DEVNULL
        process: subprocess.Popen[bytes] = self.home.call(
            subprocess.Popen, [*argv, *more], stdout=quiet, stderr=quiet
        )
        eventually((here / f"{name}.vty").exists, within=COMES_UP, what=f"{name} answers")
        return process

    def say(self, *lines: str) -> str:
        commands = [word for line in lines for word in ("-c", line)]
        return self.home.output(["vtysh", "--vty_socket", str(self.directory), *commands])

    def sees(self) -> str:
        """The state that FRR has the session in, "Up" or "Down"."""
        lines = [line.split() for line in self.say("show bfd peers brief").splitlines()]
        return next((line[3].capitalize() for line in lines if line[2:3] == ["10.0.0.1"]), "")

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


class Wire:
    """Two namespaces, our speaker in one of them, and every verdict with its time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ours, self.theirs = Namespace("ours"), Namespace("theirs")
        link(self.ours, "veth-a", self.theirs, "veth-b")
        self.ours.ip("address add 10.0.0.1/24 dev veth-a", "address add fd00::1/64 dev veth-a nodad")
        self.theirs.ip("address add 10.0.0.2/24 dev veth-b", "address add fd00::2/64 dev veth-b nodad")
        self.reports: list[tuple[float, Verdict]] = []
        self.other: Bird | Frr | None = None
        self.speaker = self.ours.call(Speaker, self._report)
        self.ours.call(self.speaker.attach, self.ours.loop)

    def _report(self, _name: str, verdict: Verdict) -> None:
        self.reports.append((time.monotonic(), verdict))

    def verdicts(self) -> list[Verdict]:
        return [verdict for _, verdict in self.reports]

    def start_frr(self) -> Frr:
        frr = self.other = Frr(self.theirs)
        return frr

    def start_bird(self, neighbor: str = '10.0.0.1 dev "veth-b"') -> Bird:
        bird = self.other = Bird(self.theirs, self.directory, neighbor)
        return bird

    def follow(self, neighbor: str = "10.0.0.2", **more: Any) -> None:
        options: dict[str, Any] = {"min_rx": INTERVAL, "min_tx": INTERVAL, "multiplier": MULTIPLIER, **more}
        instance = BfdInstance(name="peer", neighbor=ip_address(neighbor), **options)
        self.ours.call(self.speaker.apply, {"peer": instance})

    def come_up(self) -> None:
        equal(lambda: self.verdicts()[-1:], [UP], within=COMES_UP, what="we say Up")
        assert self.other is not None
        equal(self.other.sees, "Up", within=COMES_UP, what="the other end says Up")

    def close(self) -> None:
        self.ours.call(self.speaker.close)
        if self.other is not None:
            self.other.end()
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    if os.geteuid() != 0:
        pytest.skip("lacking: root")
    made = Wire(tmp_path)
    yield made
    made.close()


def take_notice(wire: Wire, happen: Callable[[], Any], wanted: Verdict) -> float:
    """Seconds from what happens to our verdict."""
    before, began = len(wire.reports), time.monotonic()
    happen()
    equal(lambda: wire.verdicts()[before:][:1], [wanted], within=COMES_UP, what=f"we say {wanted}")
    return wire.reports[before][0] - began


@pytest.mark.parametrize(
    ("theirs", "ours", "options"),
    [
        ('10.0.0.1 dev "veth-b"', "10.0.0.2", {}),
        ('10.0.0.1 dev "veth-b"', "10.0.0.2", {"source": ip_address("10.0.0.1")}),
        ('10.0.0.1 dev "veth-b"', "10.0.0.2", {"passive": True}),
        ('fd00::1 dev "veth-b"', "fd00::2", {}),
        ("10.0.0.1 local 10.0.0.2 multihop yes", "10.0.0.2", {"multihop": True, "max_hops": -1}),
    ],
    ids=["IPv4", "source", "passive", "IPv6", "multihop"],
)
def test_we_come_up_with_bird(wire: Wire, theirs: str, ours: str, options: dict[str, Any]) -> None:
    wire.start_bird(theirs)
    wire.follow(ours, **options)
    wire.come_up()


def test_a_dead_neighbour_is_found_within_the_detection_time(wire: Wire) -> None:
    bird = wire.start_bird()
    wire.follow()
    wire.come_up()
    stop, go_on = signal.SIGSTOP, signal.SIGCONT
    took = take_notice(wire, lambda: bird.process.send_signal(stop), LOST)
    assert DETECTION - INTERVAL <= took <= DETECTION + SLACK
    take_notice(wire, lambda: bird.process.send_signal(go_on), UP)


def test_a_cut_wire_is_found_on_both_ends(wire: Wire) -> None:
    bird = wire.start_bird()
    wire.follow()
    wire.come_up()
    take_notice(wire, lambda: wire.theirs.ip("link set veth-b down"), LOST)
    equal(lambda: bird.sees() != "Up", True, within=COMES_UP, what="BIRD says Down")
    take_notice(wire, lambda: wire.theirs.ip("link set veth-b up"), UP)


def test_a_neighbour_whose_bfd_is_switched_off_is_found_too(wire: Wire) -> None:
    # BIRD 2.0.12 falls silent then, it does not say AdminDown
    bird = wire.start_bird()
    wire.follow()
    wire.come_up()
    take_notice(wire, lambda: bird.say("disable", "wire"), LOST)
    take_notice(wire, lambda: bird.say("enable", "wire"), UP)


def test_our_own_end_is_told_to_bird(wire: Wire) -> None:
    bird = wire.start_bird()
    wire.follow()
    wire.come_up()
    wire.ours.call(wire.speaker.apply, {})
    equal(bird.sees, "Down", within=DETECTION - INTERVAL + SLACK, what="BIRD says Down")


def agrees(bird: Bird, interval: float) -> bool:
    """Does BIRD send so often?"""
    return f" {interval:.3f} " in bird.say("show", "bfd", "sessions")


def test_other_intervals_do_not_end_the_session(wire: Wire) -> None:
    bird = wire.start_bird()
    wire.follow()
    wire.come_up()
    for interval in (0.5, 0.1):
        wire.follow(min_tx=interval, min_rx=interval)
        eventually(partial(agrees, bird, max(interval, INTERVAL)), within=COMES_UP, what="BIRD agrees")
    assert wire.verdicts() == [UP]


def test_nobody_there_is_a_dead_neighbour(wire: Wire) -> None:
    wire.follow()
    equal(wire.verdicts, [NO_SESSION], within=COMES_UP, what="we say Down")
    wire.start_bird()
    wire.come_up()


def test_a_bird_on_the_same_host_may_speak_bfd_on_another_address(wire: Wire) -> None:
    wire.ours.ip("address add 10.0.0.9/24 dev veth-a")
    wire.follow(source=ip_address("10.0.0.1"))
    local = Bird(wire.ours, wire.directory, '10.0.0.8 dev "veth-a"')
    (wire.directory / "theirs").mkdir()
    wire.other = Bird(wire.theirs, wire.directory / "theirs", '10.0.0.1 dev "veth-b"')
    try:
        wire.come_up()
        assert "10.0.0.8" in local.say("show", "bfd", "sessions")
    finally:
        local.end()


@pytest.mark.skipif(not (FRR / "bfdd").exists(), reason="lacking: frr")
def test_frr_and_we_agree_about_every_change(wire: Wire) -> None:
    frr = wire.start_frr()
    wire.follow()
    wire.come_up()
    peer = ("configure terminal", "bfd", "peer 10.0.0.1 interface veth-b")
    take_notice(wire, lambda: frr.say(*peer, "shutdown"), TOLD)
    take_notice(wire, lambda: frr.say(*peer, "no shutdown"), UP)
    bfdd = frr.processes[1]
    took = take_notice(wire, lambda: bfdd.send_signal(signal.SIGSTOP), LOST)
    assert DETECTION - INTERVAL <= took <= DETECTION + SLACK
    take_notice(wire, lambda: bfdd.send_signal(signal.SIGCONT), UP)
    wire.ours.call(wire.speaker.apply, {})
    equal(frr.sees, "Down", within=DETECTION - INTERVAL + SLACK, what="FRR says Down")
