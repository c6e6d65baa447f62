"""Groups that are served by mark, in the daemon: reloads keep the mark, counters are found."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import get_args

import pytest
from daemon_rig import Start, config_of

from keepalive_py.announcer.vips import vips_of
from keepalive_py.config.bgp_announcer import BgpAnnouncer
from keepalive_py.daemon.drift import REASONS
from keepalive_py.daemon.ownership import keys_of
from keepalive_py.daemon.refusals import COMMANDS
from keepalive_py.daemon.snapshot import Moment, slots_of
from keepalive_py.dataplane.port import Counters, ServiceCounters
from keepalive_py.net import Family
from keepalive_py.plan.apply import APPLY
from keepalive_py.plan.steps import SetMarked, Step
from keepalive_py.plan.table import ServiceKey

GLOBALS = "global_defs {\n nftables_ipvs\n}\n"
SERVER = "real_server 192.0.2.1 80 {\n}\n"
KEY = ServiceKey(Family.INET, fwmark=1001)


def groups(*names: str, more: str = "") -> str:
    """A group of one address for each name, and a virtual server that uses it."""
    text = GLOBALS
    for name in names:
        lines = f"10.0.{ord(name)}.1 80\n{more}"
        text += f"virtual_server_group {name} {{\n{lines}}}\n"
        text += f"virtual_server group {name} {{\nprotocol TCP\nlvs_sched rr\nlvs_method NAT\n{SERVER}}}\n"
    return text


async def test_a_group_keeps_its_mark_when_its_lines_and_its_neighbours_change(start: Start) -> None:
    rig = await start(groups("a", "b"))
    assert await rig.table() == {name: {"192.0.2.1:80": 1} for name in ("FWM 1000", "FWM 1001")}

    await rig.supervisor.reload(config_of(groups("b", more="10.9.0.0/24 80\n")))

    assert list(await rig.table()) == ["FWM 1001"]
    marked = (await rig.dataplane.read())[KEY].marked
    assert [str(each) for each in marked] == ["TCP 10.0.98.1 port 80", "TCP 10.9.0.0-10.9.0.255 port 80"]


async def test_what_waits_for_a_restart_is_said(start: Start) -> None:
    rig = await start(groups("a"))

    await rig.supervisor.reload(
        config_of(groups("a").replace("nftables_ipvs", "nftables_ipvs\n nftables_counters"))
    )

    assert any("a change takes effect at the next start" in line for line in rig.lines)


async def test_it_is_found_by_its_mark(start: Start) -> None:
    rig = await start(groups("a", "b"))
    supervisor = rig.supervisor
    moment = Moment(supervisor, counters={KEY: ServiceCounters(Counters(connections=7))})

    (slot,) = slots_of(supervisor.config.virtual_servers[1], moment)

    assert slot.service.key == KEY
    assert keys_of(supervisor.config, marks=supervisor.marks)[1] == KEY


async def test_the_announcer_looks_for_the_mark_where_it_names_the_address(start: Start) -> None:
    rig = await start(groups("a", "b"))
    supervisor = rig.supervisor
    block = BgpAnnouncer(prefixes=(ip_network("10.0.0.0/8"),))

    vips = vips_of(supervisor.config, block, supervisor.marks)

    (target,) = vips[ip_address("10.0.98.1")].targets
    assert str(target.key) == "TCP 10.0.98.1:80"
    assert target.held_as == KEY


@pytest.mark.parametrize("step", get_args(Step))
def test_a_step_is_known_wherever_steps_are_told_apart(step: type) -> None:
    assert step in APPLY
    assert step in COMMANDS
    assert step in REASONS


async def test_marks_that_a_stranger_changed_are_said_and_put_right(start: Start) -> None:
    rig = await start(groups("a"))
    key = ServiceKey(Family.INET, fwmark=1000)
    (wanted,) = (await rig.dataplane.read())[key].marked
    await rig.dataplane.apply([SetMarked(key, ())])

    rig.supervisor.writer.read_again()
    await rig.supervisor.writer.settled()

    assert (await rig.dataplane.read())[key].marked == (wanted,)
    assert any("changed by somebody else" in line for line in rig.lines)
