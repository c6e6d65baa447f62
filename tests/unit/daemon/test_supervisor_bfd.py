"""BFD_CHECK in a supervisor: what a session says reaches the table."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from ipaddress import ip_address

import pytest
from daemon_rig import Start, config_of

from keepalive_py.bfd.speaker import Report
from keepalive_py.config.bfd_instance import BfdInstance
from keepalive_py.daemon import sessions
from keepalive_py.health.verdict import Failed, Passed, Reason, Unknown, Verdict

SERVICE = "TCP 10.0.0.1:80"
A = "10.0.1.1"
DOWN = Failed(Reason.PEER_DOWN, "control detection time expired")
UP = Passed("")


class Sessions:
    """Stands for the speaker: says what a test wants it to."""

    def __init__(self, report: Report, loop: asyncio.AbstractEventLoop) -> None:
        self.report = report
        self.instances: Mapping[str, BfdInstance] = {}
        self.known: dict[str, Verdict] = {}
        self.closed = False

    def apply(self, instances: Mapping[str, BfdInstance]) -> None:
        self.instances = instances

    def verdict(self, name: str) -> Verdict | None:
        return self.known.get(name)

    def says(self, verdict: Verdict, name: str = "peer") -> None:
        self.known[name] = verdict
        self.report(name, verdict)

    def close(self) -> None:
        self.closed = True


def following(name: str = "peer", *, more: str = "") -> str:
    return f"""
bfd_instance peer {{
 neighbor_ip 127.0.7.9
}}
bfd_instance other {{
 neighbor_ip 127.0.7.8
}}
virtual_server 10.0.0.1 80 {{
 lb_algo rr
 lb_kind NAT
 protocol TCP
 real_server {A} 80 {{
  weight 10
  BFD_CHECK {{
   name {name}
   {more}
  }}
 }}
}}
"""


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> list[Sessions]:
    made: list[Sessions] = []

    def make(report: Report, loop: asyncio.AbstractEventLoop) -> Sessions:
        made.append(Sessions(report, loop))
        return made[-1]

    monkeypatch.setattr(sessions, "SpeakerThread", make)
    return made


async def test_a_session_takes_its_server_out_and_in(start: Start, spoken: list[Sessions]) -> None:
    rig = await start(following())
    (speaker,) = spoken
    assert [each.neighbor for each in speaker.instances.values()] == [ip_address("127.0.7.9")]
    assert len((await rig.table())[SERVICE]) == 1
    for verdict, servers in ((DOWN, 0), (UP, 1), (UP, 1), (DOWN, 0)):
        speaker.says(verdict)
        await rig.supervisor.writer.settled()
        assert len((await rig.table())[SERVICE]) == servers
    assert f"BFD check of [peer] RS([{A}]:tcp:80) is DOWN" in rig.lines
    assert f"BFD check of [peer] RS([{A}]:tcp:80) is UP" in rig.lines


async def test_with_alpha_a_server_waits_for_its_session(start: Start, spoken: list[Sessions]) -> None:
    rig = await start(following(more="alpha"))
    assert (await rig.table())[SERVICE] == {}
    spoken[0].says(UP)
    await rig.supervisor.writer.settled()
    assert len((await rig.table())[SERVICE]) == 1


async def test_our_own_trouble_moves_no_server_and_is_told(start: Start, spoken: list[Sessions]) -> None:
    rig = await start(following())
    spoken[0].says(Unknown(Reason.LOCAL_ADDRESS, "BFD socket: Address already in use"))
    await rig.supervisor.writer.settled()
    assert len((await rig.table())[SERVICE]) == 1
    assert "bfd_instance peer: BFD socket: Address already in use" in rig.lines


async def test_a_reload_to_a_session_that_is_down_takes_the_server_out(
    start: Start, spoken: list[Sessions]
) -> None:
    rig = await start(following())
    spoken[0].says(UP)
    spoken[0].known["other"] = DOWN
    await rig.supervisor.reload(config_of(following("other")))
    await rig.supervisor.writer.settled()
    assert (await rig.table())[SERVICE] == {}


async def test_sessions_end_with_the_daemon(start: Start, spoken: list[Sessions]) -> None:
    rig = await start(following())
    await rig.supervisor.stop(keep_table=True)
    assert spoken[0].closed
