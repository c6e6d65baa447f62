"""The announcer at work, in a daemon of its own on a virtual clock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from keepalive_py.announcer.drains import ALL, Drain
from keepalive_py.announcer.routing import Exports, NoAnswer, Session
from keepalive_py.daemon import announcing, voice
from keepalive_py.daemon.announcing import COUNTED_EVERY
from keepalive_py.dataplane.port import Counters
from keepalive_py.pytest_plugin import Start
from keepalive_py.testing import Daemon

VIP = "192.0.2.10"
CONFIG = """
bgp_announcer {{
    prefix 192.0.2.0/24
    state_directory {directory}
    rise 0
    drain_time 60
    drain_quiet 3
    uplink left {{
        interface eth1
    }}
    uplink right {{
        interface eth2
    }}
}}
virtual_server 192.0.2.10 80 {{
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 10.0.0.1 80 {{
    }}
}}
"""


@pytest.fixture
async def lb(mock_daemon: Start, tmp_path: Path) -> Daemon:
    lb = await mock_daemon(CONFIG.format(directory=tmp_path))
    await lb.advance(5)
    await lb.expect_announced(VIP)
    return lb


def kinds(lb: Daemon) -> list[str]:
    return [each["kind"] for each in announcer(lb).history if each["kind"].startswith("uplink")]


def announcer(lb: Daemon):  # type: ignore[no-untyped-def]
    work = lb.supervisor.announcing.work
    assert work is not None
    return work


async def test_one_uplink_of_two_is_enough_and_all_of_them_are_told_as_one(lb: Daemon) -> None:
    assert kinds(lb) == ["uplink_up", "uplink_up"]
    lb.network.set_link("eth1", carrier=False)
    await lb.advance(2)
    await lb.expect_announced(VIP)
    lb.network.set_link("eth2", carrier=False)
    await lb.advance(2)
    await lb.expect_announced()
    lb.network.set_link("eth1", carrier=True)
    await lb.advance(10)
    await lb.expect_announced(VIP)
    assert kinds(lb)[2:] == ["uplink_down", "uplink_down", "uplinks_lost", "uplink_up", "uplinks_back"]
    assert announcer(lb).status["uplinks"]["right"]["detail"] == "eth2 has no carrier"


async def test_an_interface_of_ours_that_somebody_takes_away_is_made_again(lb: Daemon) -> None:
    lb.network.remove_link("kavip")
    await lb.advance(2)
    await lb.expect_announced(VIP)
    lb.network.set_link("kavip", up=False)
    await lb.advance(2)
    assert lb.network.links()["kavip"].up
    assert sum("kavip was taken away" in each["text"] for each in announcer(lb).history) == 2


def count(lb: Daemon, connections: int) -> None:
    (key,) = lb.supervisor.table
    lb.dataplane.set_counters(key, Counters(connections=connections))


async def test_a_drain_lasts_while_connections_come(lb: Daemon) -> None:
    """The kernel tells how many there were every two seconds: in between, nothing new is no news."""
    lb.supervisor.announcing.change_drains({ALL: Drain(by="test")})
    for number in range(1, 6):
        count(lb, number)
        await lb.advance(3 + COUNTED_EVERY - 1)
        assert (await lb.announcements())[VIP] == "draining"
    await lb.advance(3 + COUNTED_EVERY + 1)
    await lb.expect_announced()


async def test_a_drain_ends_when_its_time_is_over(lb: Daemon) -> None:
    lb.supervisor.announcing.change_drains({ALL: Drain(by="test")})
    for number in range(1, 30):
        count(lb, number)
        await lb.advance(2)
    assert (await lb.announcements())[VIP] == "draining"
    count(lb, 99)
    await lb.advance(4)
    await lb.expect_announced()


async def test_an_answer_that_we_stumble_over_is_not_the_last(
    mock_daemon: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = 0

    class Odd:
        name = "bird"
        wants_gap = False

        async def sessions(self) -> list[Session]:
            nonlocal questions
            questions += 1
            if questions == 1:
                raise KeyError("neighbour")
            return [Session("up1", None, True, "Established")]

        async def exported(self, sessions: Sequence[Session]) -> Exports:
            return {session.name: frozenset() for session in sessions}

    monkeypatch.setitem(announcing.ROUTING, "bird", lambda place: Odd())
    before = voice.mistakes["the announcer's questions"]
    config = CONFIG.format(directory=tmp_path).replace("rise 0", "rise 0\n routing_daemon bird")
    lb = await mock_daemon(config)
    await lb.advance(30)
    assert questions > 1
    assert voice.mistakes["the announcer's questions"] == before + 1
    assert announcer(lb).sessions["up1"].established


async def test_a_routing_daemon_that_says_something_else_each_time_is_told_a_few_times(
    mock_daemon: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = 0

    class Garbled:
        name = "bird"
        wants_gap = False

        async def sessions(self) -> list[Session]:
            nonlocal questions
            questions += 1
            raise NoAnswer(f"garbage {questions}")

    monkeypatch.setitem(announcing.ROUTING, "bird", lambda place: Garbled())
    said: list[str] = []
    monkeypatch.setattr(voice, "warn", said.append)
    config = CONFIG.format(directory=tmp_path).replace("rise 0", "rise 0\n routing_daemon bird\n poll 0.5")
    lb = await mock_daemon(config)
    await lb.advance(60)
    assert questions > 100
    assert 0 < sum("garbage" in line for line in said) <= announcing.DIFFERENT


async def test_a_mistake_of_ours_while_a_withdrawal_is_confirmed_spoils_no_reload(
    mock_daemon: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd:
        name = "bird"
        wants_gap = False

        async def sessions(self) -> list[Session]:
            raise KeyError("neighbour")

    monkeypatch.setitem(announcing.ROUTING, "bird", lambda place: Odd())
    config = CONFIG.format(directory=tmp_path).replace("rise 0", "rise 0\n routing_daemon bird")
    lb = await mock_daemon(config)
    await lb.advance(5)
    await lb.expect_announced(VIP)
    other = config.replace("virtual_server 192.0.2.10", "virtual_server 192.0.2.11")
    assert await lb.reload(other)
    await lb.advance(5)
    await lb.expect_announced("192.0.2.11")
