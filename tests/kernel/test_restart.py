"""A new process takes over from the old one under load: nothing is lost, nothing is written.

A client never stops asking while the daemon is stopped or killed and started anew, or goes on as
another program. One server is
down all the time: keepalived, which takes every server for up at a start, would send it clients.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab.needs import lacking
from lab.topology import VIP, Topology
from lab.traced import Traced
from lab.traffic import Client
from lab.waiting import eventually
from test_traffic import until_served_by, virtual_server

from keepalive_py.daemon import upgrade

LACKING = lacking("ipvsadm", "ip", "strace")
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)


LONG = 240.0  # s; traced, in a user-mode kernel, a program is asked and another one started


@pytest.fixture
def topology() -> Iterator[Topology]:
    built = Topology(servers=3)
    yield built
    built.close()


def stop_and_start(daemon: Traced) -> None:
    before = daemon.writes()
    assert daemon.stop() == 0
    assert daemon.writes() == before  # the record begins anew with the start
    daemon.start()


def kill_and_start(daemon: Traced) -> None:
    daemon.kill()
    daemon.start()


def upgrade_in_place(daemon: Traced) -> None:
    os.kill(daemon.pid, upgrade.SIGNAL)


def until_remembered(directory: Path) -> None:
    """A change is on the disk within moments, and not before it happened."""
    file = directory / "state" / "health.json"
    eventually(lambda: file.exists() and '"DOWN"' in file.read_text(), within=30, what="the file")


def started_again(daemon: Traced, interruption: Callable[[Traced], None]) -> list[str]:
    """What it says until it is up again."""
    before, began = len(daemon.lines()), time.monotonic()
    interruption(daemon)
    complete = "Startup complete"
    eventually(
        lambda: complete in daemon.lines()[before:], within=LONG, what=lambda: f"start\n{daemon.tail()}"
    )
    print(f"up again after {time.monotonic() - began:.1f} s")
    return daemon.lines()[before:]


@pytest.mark.parametrize(
    ("interruption", "options"),
    [(stop_and_start, ("-I",)), (kill_and_start, ()), (upgrade_in_place, ())],
    ids=["stop -I", "kill -9", "upgrade"],
)
def test_a_restart_under_load_loses_nothing_and_writes_nothing(
    interruption: Callable[[Traced], None], options: tuple[str, ...], topology: Topology, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    daemon = Traced(topology.node, tmp_path, options=(*options, "--state-directory", str(state)))
    daemon.config.write_text(virtual_server(VIP[4], [topology.address(number) for number in (1, 2, 3)]))
    topology.servers[4][1].be("refuse")
    daemon.start()
    until_served_by(topology, 1, 3)
    until_remembered(tmp_path)
    assert daemon.writes() != [], "the trace shows nothing: the test proves nothing"

    with Client(topology.client, VIP[4], 80) as client:
        client.sees("rs1", "rs3")
        so_far = len(daemon.writes()) if interruption is upgrade_in_place else 0
        before = client.answered()
        said = started_again(daemon, interruption)
        assert client.answered() > before + 20  # meanwhile
        client.sees("rs1", "rs3")
        assert "Health of 3 real servers is remembered, 1 are down" in said
        assert daemon.writes()[so_far:] == []
        assert client.errors() == []

        topology.servers[4][1].be("serve")  # it is being probed, and nothing else changed
        until_served_by(topology, 1, 2, 3)
        client.sees("rs1", "rs2", "rs3")
    assert client.errors() == []
    print(f"{client.answered()} requests answered, none failed")
    daemon.stop()
