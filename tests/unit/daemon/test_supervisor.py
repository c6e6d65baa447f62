"""Verdicts in, table and notifications out: the wiring, on the memory dataplane."""

from __future__ import annotations

import errno
import gc
import os
import sys
from pathlib import Path

from daemon_rig import REFUSED, Start, config_of, virtual_server

from keepalive_py.daemon.configuring import Configuring
from keepalive_py.daemon.loading import Ready
from keepalive_py.daemon.options import Options
from keepalive_py.dataplane import MemoryDataplane
from keepalive_py.net import Endpoint, Family, Protocol, parse_address
from keepalive_py.plan.steps import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    EditDestination,
)
from keepalive_py.plan.table import Destination, Service, ServiceKey

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
SERVICE = "TCP 10.0.0.1:80"


def key(address: str) -> ServiceKey:
    return ServiceKey(Family.INET, Protocol.TCP, Endpoint(parse_address(address), 80))


def destination(address: str, weight: int = 1) -> Destination:
    return Destination(Endpoint(parse_address(address), 80), weight=weight)


async def test_a_start_fills_the_table_before_any_check_has_run(start: Start) -> None:
    rig = await start(virtual_server(A, B))
    assert await rig.table() == {SERVICE: {f"{A}:80": 1, f"{B}:80": 1}}
    assert "Gained quorum 1+0=1 <= 2 for VS [10.0.0.1]:tcp:80" in rig.lines
    assert f"Activating healthchecker for service [{A}]:tcp:80 for VS [10.0.0.1]:tcp:80" in rig.lines


async def test_a_start_adopts_what_is_there_and_leaves_the_rest(start: Start) -> None:
    """Nothing is deleted and added again: connections live on."""
    kernel = MemoryDataplane()
    await kernel.apply(
        [
            AddService(Service(key("10.0.0.1"), "rr")),
            AddDestination(key("10.0.0.1"), destination(A, 7)),
            AddDestination(key("10.0.0.1"), destination(C)),
            AddService(Service(key("10.9.9.9"), "wlc")),
        ]
    )
    kernel.history.clear()
    rig = await start(virtual_server(A, B), kernel)
    assert await rig.table() == {SERVICE: {f"{A}:80": 1, f"{B}:80": 1}, "TCP 10.9.9.9:80": {}}
    assert list(kernel.history) == [
        AddDestination(key("10.0.0.1"), destination(B)),
        EditDestination(key("10.0.0.1"), destination(A)),
        DeleteDestination(key("10.0.0.1"), Endpoint(parse_address(C), 80)),
    ]


async def test_lvs_flush_empties_the_table_first(start: Start) -> None:
    kernel = MemoryDataplane()
    await kernel.apply([AddService(Service(key("10.9.9.9"), "wlc"))])
    rig = await start("global_defs {\n lvs_flush\n}\n" + virtual_server(A), kernel)
    assert list(await rig.table()) == [SERVICE]


async def test_a_failure_takes_a_server_out_and_a_success_brings_it_back(start: Start) -> None:
    rig = await start(virtual_server(A, B))
    await rig.fails(A)
    assert await rig.table() == {SERVICE: {f"{B}:80": 1}}
    assert rig.lines[-2:] == [
        f"TCP_CHECK on service [{A}]:tcp:80 failed.",
        f"Removing service [{A}]:tcp:80 from VS [10.0.0.1]:tcp:80",
    ]
    await rig.passes(A)
    assert await rig.table() == {SERVICE: {f"{A}:80": 1, f"{B}:80": 1}}


async def test_log_fields_say_what_why_and_whom(start: Start) -> None:
    rig = await start(virtual_server(A, B))
    await rig.fails(A)
    entry = rig.logged[-1]
    assert (entry["kind"], entry["reason"]) == ("server_down", "refused")
    assert (entry["vs"], entry["rs"]) == ("[10.0.0.1]:tcp:80", f"[{A}]:tcp:80")


async def test_a_probe_that_changes_nothing_is_not_logged(start: Start) -> None:
    rig = await start(virtual_server(A))
    await rig.passes(A)  # the first success is
    count = len(rig.lines)
    await rig.passes(A)
    assert len(rig.lines) == count


async def test_verdicts_of_one_turn_are_one_batch(start: Start) -> None:
    rig = await start(virtual_server(A, B, C))
    batches: list[int] = []
    apply = rig.dataplane.apply

    async def counted(steps):  # type: ignore[no-untyped-def]
        batches.append(len(steps))
        return await apply(steps)

    rig.dataplane.apply = counted  # type: ignore[method-assign]
    await rig.fails(A, B)
    assert batches == [2]


async def test_scripts_and_fifo_lines_go_out_when_the_table_is_changed(start: Start, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    text = f"""
global_defs {{
 lvs_notify_fifo {fifo}
}}
virtual_server 10.0.0.1 80 {{
 lb_algo rr
 lb_kind NAT
 protocol TCP
 quorum_down "/bin/echo lost"
 real_server {A} 80 {{
  notify_down "/bin/echo down"
  TCP_CHECK {{
   retry 0
  }}
 }}
}}
"""
    rig = await start(text)
    at_script: list[object] = []
    run = rig.supervisor.notifier.scripts.run

    def looked(script):  # type: ignore[no-untyped-def]
        at_script.append((script.command, [type(step) for step in rig.dataplane.history][-1:]))
        run(script)

    rig.supervisor.notifier.scripts.run = looked  # type: ignore[method-assign]
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    await rig.fails(A)
    vs = "[10.0.0.1]:tcp:80"
    assert os.read(reader, 999).decode() == f"VS {vs} UP\nRS [{A}]:tcp:80 {vs} DOWN\nVS {vs} DOWN\n"
    os.close(reader)
    assert at_script == [("/bin/echo down", [DeleteDestination]), ("/bin/echo lost", [DeleteDestination])]


# What the kernel refuses, and what others do to the table.


async def test_a_refused_step_is_said_in_keepalived_s_form_and_tried_again(start: Start) -> None:
    kernel = MemoryDataplane()
    kernel.refuse_next(errno.ENOMEM, f"add {A}", times=2)
    rig = await start(virtual_server(A, B), kernel)
    assert await rig.table() == {SERVICE: {f"{B}:80": 1}}
    said = [line for line in rig.lines if line.startswith("IPVS cmd")]
    assert len(said) == 1
    assert said[0].startswith(
        f"IPVS cmd IP_VS_SO_SET_ADDDEST(1159) error: Cannot allocate memory(12) (10.0.0.1:tcp:80 -> {A}:80)"
    )
    await rig.reads_again()  # refused again, which is not news
    assert [line for line in rig.lines if line.startswith("IPVS cmd")] == said
    assert rig.supervisor.journal.counts["step_refused", "ENOMEM"] == 1
    await rig.reads_again()
    assert await rig.table() == {SERVICE: {f"{A}:80": 1, f"{B}:80": 1}}


async def test_a_refusal_has_the_table_read_again_soon(start: Start) -> None:
    kernel = MemoryDataplane()
    kernel.refuse_next(errno.EINVAL, f"add {A}")
    rig = await start(virtual_server(A), kernel)
    timer = rig.supervisor.writer._timer
    assert timer is not None
    assert not timer.cancelled()


async def test_what_the_kernel_refused_is_refused_the_second_time_too(start: Start) -> None:
    kernel = MemoryDataplane()
    kernel.refuse_next(errno.ENOENT, "scheduler sh", times=9)
    rig = await start(virtual_server(A), kernel)
    before = config_of(virtual_server(A))
    after = config_of(virtual_server(A).replace("lb_algo rr", "lb_algo sh"))
    configuring = Configuring(Options(roll_back=True), Ready(before, ()), lambda: None)
    for _ in range(2):
        await configuring.prepare(Ready(after, ()), rig.supervisor.writer)
        await rig.supervisor.reload(after)
        why = await configuring.objections(rig.supervisor.writer)
        assert why == "edit service TCP 10.0.0.1:80 scheduler sh: No such file or directory"
        await rig.supervisor.reload(before)
    assert rig.supervisor.writer.news.known == set()


async def test_a_service_that_is_refused_does_not_keep_others_out(start: Start) -> None:
    kernel = MemoryDataplane()
    kernel.refuse_next(errno.ENOENT, "add service TCP 10.0.0.1")
    rig = await start(virtual_server(A) + virtual_server(B, address="10.0.0.2"), kernel)
    assert await rig.table() == {"TCP 10.0.0.2:80": {f"{B}:80": 1}}
    await rig.reads_again()
    assert len(await rig.table()) == 2


async def test_what_somebody_else_did_is_said_and_repaired(start: Start) -> None:
    rig = await start(virtual_server(A, B))
    await rig.dataplane.apply(
        [
            DeleteDestination(key("10.0.0.1"), Endpoint(parse_address(A), 80)),
            EditDestination(key("10.0.0.1"), destination(B, 99)),
            AddService(Service(key("10.9.9.9"), "wlc")),
        ]
    )
    await rig.reads_again()
    assert await rig.table() == {SERVICE: {f"{A}:80": 1, f"{B}:80": 1}, "TCP 10.9.9.9:80": {}}
    assert "IPVS table was changed by somebody else; repairing 2 difference(s)" in rig.lines
    assert rig.supervisor.writer.drift.repaired == 2


async def test_a_table_that_somebody_flushed_is_built_again(start: Start) -> None:
    rig = await start(virtual_server(A, B))
    await rig.dataplane.flush()
    await rig.reads_again()
    assert await rig.table() == {SERVICE: {f"{A}:80": 1, f"{B}:80": 1}}


async def test_nothing_to_repair_sends_nothing(start: Start) -> None:
    rig = await start(virtual_server(A, B))
    rig.dataplane.history.clear()
    await rig.reads_again()
    assert list(rig.dataplane.history) == []


async def test_a_verdict_after_drift_still_arrives(start: Start) -> None:
    """The mirror is wrong until the next reading; the steps must do all the same."""
    rig = await start(virtual_server(A, B))
    await rig.dataplane.flush()
    await rig.fails(A)
    await rig.reads_again()
    assert await rig.table() == {SERVICE: {f"{B}:80": 1}}


async def test_a_dataplane_that_breaks_is_said_and_comes_back(start: Start) -> None:
    rig = await start(virtual_server(A, B))
    apply = rig.dataplane.apply

    async def broken(steps):  # type: ignore[no-untyped-def]
        raise OSError(errno.ENOBUFS, "No buffer space available")

    rig.dataplane.apply = broken  # type: ignore[method-assign]
    await rig.fails(A)
    assert "IPVS: [Errno 105] No buffer space available; it stays as it is, and is tried again" in rig.lines
    rig.dataplane.apply = apply  # type: ignore[method-assign]
    await rig.reads_again()
    assert await rig.table() == {SERVICE: {f"{B}:80": 1}}


# Reload.


async def test_a_reload_of_the_same_changes_nothing(start: Start) -> None:
    rig = await start(virtual_server(A, B))
    await rig.fails(A)
    rig.dataplane.history.clear()
    kept = dict(rig.supervisor.probes.subscriptions)
    await rig.supervisor.reload(config_of(virtual_server(A, B)))
    assert list(rig.dataplane.history) == []
    assert await rig.table() == {SERVICE: {f"{B}:80": 1}}
    assert rig.supervisor.probes.subscriptions == kept


async def test_a_reload_takes_out_and_puts_in(start: Start) -> None:
    rig = await start(virtual_server(A, B) + virtual_server(A, address="10.0.0.2"))
    await rig.supervisor.reload(config_of(virtual_server(B, C)))
    assert await rig.table() == {SERVICE: {f"{B}:80": 1, f"{C}:80": 1}}
    assert f"service [{A}]:tcp:80 no longer exist" in rig.lines
    assert "Removing Virtual Server [10.0.0.2]:tcp:80" in rig.lines
    assert DeleteService(key("10.0.0.2")) in rig.dataplane.history
    assert len(rig.supervisor.probes.subscriptions) == 2


async def test_after_a_reload_nobody_keeps_what_was_configured(start: Start) -> None:
    """The journal's events name it, and would keep thousands of configurations."""
    rig = await start(virtual_server(A))
    await rig.supervisor.reload(config_of(virtual_server(A, B)))
    await rig.fails(A)
    old = rig.supervisor.config.virtual_servers[0]
    await rig.supervisor.reload(config_of(virtual_server(B, C)))
    gc.collect()
    assert sys.getrefcount(old) == 2, gc.get_referrers(old)


async def test_verdicts_of_removed_checks_do_nothing(start: Start) -> None:
    rig = await start(virtual_server(A, B))
    (checker,) = rig.checkers(f"[{A}]:tcp:80")
    await rig.supervisor.reload(config_of(virtual_server(B)))
    rig.supervisor.verdict(checker, REFUSED, 0.0, 0.0)
    await rig.supervisor.writer.settled()
    assert await rig.table() == {SERVICE: {f"{B}:80": 1}}


async def test_a_check_with_another_timing_is_probed_anew_and_keeps_its_state(start: Start) -> None:
    rig = await start(virtual_server(A, B))
    await rig.fails(A)
    (checker,) = rig.checkers(f"[{A}]:tcp:80")
    before = rig.supervisor.probes.subscriptions[checker]
    await rig.supervisor.reload(config_of(virtual_server(A, B).replace("delay_loop 60", "delay_loop 5")))
    after = rig.supervisor.probes.subscriptions[checker]
    assert after is not before
    assert after.due - rig.supervisor.now <= 5.0
    assert await rig.table() == {SERVICE: {f"{B}:80": 1}}


async def test_a_group_used_twice_is_one_service(start: Start) -> None:
    text = f"""
virtual_server_group G {{
 10.0.0.1 80
}}
virtual_server group G {{
 lb_algo rr
 lb_kind NAT
 protocol TCP
 real_server {A} 80 {{
  TCP_CHECK {{
   retry 0
  }}
 }}
}}
virtual_server group G {{
 lb_algo rr
 lb_kind NAT
 protocol TCP
 real_server {B} 80 {{
  TCP_CHECK {{
   retry 0
  }}
 }}
}}
"""
    rig = await start(text)
    assert await rig.table() == {SERVICE: {f"{A}:80": 1, f"{B}:80": 1}}
    await rig.fails(A)
    assert await rig.table() == {SERVICE: {f"{B}:80": 1}}


# Stop.


async def test_a_stop_removes_what_is_ours(start: Start) -> None:
    kernel = MemoryDataplane()
    await kernel.apply([AddService(Service(key("10.9.9.9"), "wlc"))])
    rig = await start(virtual_server(A), kernel)
    await rig.supervisor.stop(keep_table=False)
    assert list(await rig.table()) == ["TCP 10.9.9.9:80"]
    assert f"Shutting down service [{A}]:tcp:80 from VS [10.0.0.1]:tcp:80" in rig.lines
    assert rig.scripts == []


async def test_keep_table_removes_nothing_and_tells_nobody(start: Start) -> None:
    rig = await start(virtual_server(A, more='omega\n quorum_down "/bin/echo lost"'))
    await rig.supervisor.stop(keep_table=True)
    assert await rig.table() == {SERVICE: {f"{A}:80": 1}}
    assert rig.scripts == []


async def test_omega_notifies_at_a_stop(start: Start) -> None:
    rig = await start(virtual_server(A, more='omega\n quorum_down "/bin/echo lost"'))
    await rig.supervisor.stop(keep_table=False)
    assert rig.scripts == ["/bin/echo lost"]


async def test_lvs_flush_on_stop_empties_the_whole_table(start: Start) -> None:
    kernel = MemoryDataplane()
    await kernel.apply([AddService(Service(key("10.9.9.9"), "wlc"))])
    rig = await start("global_defs {\n lvs_flush_on_stop\n}\n" + virtual_server(A), kernel)
    await rig.supervisor.stop(keep_table=False)
    assert await rig.table() == {}


async def test_timeouts_are_set_and_put_back(start: Start) -> None:
    kernel = MemoryDataplane()
    before = await kernel.timeouts()
    text = "global_defs {\n lvs_timeouts tcp 7200 udp 10\n}\n" + virtual_server(A)
    rig = await start(text, kernel)
    during = await kernel.timeouts()
    assert (during.tcp, during.tcpfin, during.udp) == (7200, before.tcpfin, 10)
    await rig.supervisor.stop(keep_table=False)
    assert await kernel.timeouts() == before


async def test_the_sync_daemons_run_while_we_do(start: Start) -> None:
    kernel = MemoryDataplane()
    rig = await start("global_defs {\n lvs_sync_daemon eth0 id 7\n}\n" + virtual_server(A), kernel)
    assert sorted(master for _daemon, master in await kernel.sync_daemons()) == [False, True]
    await rig.supervisor.stop(keep_table=False)
    assert await kernel.sync_daemons() == []


# Files and addresses.


def with_file(path: Path, weight: str) -> str:
    return f"""
track_file t {{
 file {path}
 weight {weight}
}}
virtual_server 10.0.0.1 80 {{
 lb_algo rr
 lb_kind NAT
 protocol TCP
 real_server {A} 80 {{
  weight 10
  FILE_CHECK {{
   track_file t
  }}
 }}
}}
"""


async def test_a_number_in_a_file_moves_the_weight_or_takes_out(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("5\n")
    rig = await start(with_file(path, "2"))
    assert await rig.table() == {SERVICE: {f"{A}:80": 20}}
    await rig.supervisor.reload(config_of(with_file(path, "0")))
    assert await rig.table() == {SERVICE: {}}
    await rig.supervisor.reload(config_of(with_file(path, "1")))
    assert await rig.table() == {SERVICE: {f"{A}:80": 15}}


async def test_ha_suspend_freezes_servers_while_the_address_is_elsewhere(start: Start) -> None:
    rig = await start(virtual_server(A, B, more="ha_suspend"))
    assert f"Deactivating healthchecker for service [{A}]:tcp:80 for VS [10.0.0.1]:tcp:80" in rig.lines
    await rig.fails(A)
    assert await rig.table() == {SERVICE: {f"{A}:80": 1, f"{B}:80": 1}}
    rig.supervisor.addresses_changed(frozenset({parse_address("10.0.0.1"), parse_address("10.7.7.7")}))
    assert rig.lines[-3:] == [
        "Netlink reflector reports IP 10.0.0.1 added",
        f"Activating healthchecker for service [{A}]:tcp:80 for VS [10.0.0.1]:tcp:80",
        f"Activating healthchecker for service [{B}]:tcp:80 for VS [10.0.0.1]:tcp:80",
    ]
    assert not any(each.suspended for each in rig.supervisor.probes.subscriptions.values())
    await rig.fails(A)
    assert await rig.table() == {SERVICE: {f"{B}:80": 1}}
    rig.supervisor.addresses_changed(frozenset())
    assert all(each.suspended for each in rig.supervisor.probes.subscriptions.values())
