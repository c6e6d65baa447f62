"""What the signals write, from a supervisor with something to tell."""

from __future__ import annotations

import json
import os
from pathlib import Path

from daemon_rig import Start, virtual_server

from keepalive_py.daemon import dump
from keepalive_py.daemon.dump_files import DumpFiles
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.paths import paths

A, B = "192.0.2.1", "192.0.2.2"

TEXT = f"""
global_defs {{
 router_id LVS1
 notification_email {{
  a@example.org
 }}
 smtp_server 192.0.2.25
 lvs_flush_on_stop VS
}}
virtual_server_group G {{
 10.0.1.1-3 80
 fwmark 7
}}
virtual_server group G {{
 lb_algo wrr
 lb_kind TUN type gue port 6080 csum
 protocol TCP
 real_server {A} 80 {{
  HTTP_GET {{
   url {{
    path /x
    digest 0123456789abcdef0123456789abcdef
   }}
  }}
  MISC_CHECK {{
   misc_path "/bin/true x"
   misc_dynamic
  }}
  DNS_CHECK {{
   name example.org
  }}
 }}
}}
"""


async def test_the_outline_is_keepalived_s(start: Start) -> None:
    rig = await start(virtual_server(A, B, more="sorry_server 192.0.2.9 80\n alpha") + TEXT)
    await rig.passes(A)
    text = dump.check_data(rig.supervisor.config, rig.supervisor.services)
    sections = [line for line in text.splitlines() if "------<" in line]
    assert sections == [
        "------< Global definitions >------",
        "------< LVS Topology >------",
        " ------< Virtual server group >------",
        " ------< Virtual server >------",
        "   ------< Real server >------",
        "   ------< Real server >------",
        " ------< Virtual server >------",
        "   ------< Real server >------",
        "------< Health checkers >------",
    ]
    for line in (
        " Router ID = LVS1",
        " Smtp server = 192.0.2.25",
        " Email notification = a@example.org",
        "   VIP Range = 10.0.1.1-10.0.1.3, VPORT = 80",
        "   FWMARK = 7",
        " VS VIP = 10.0.0.1, VPORT = 80",
        " VS GROUP = [G]:0",
        "   sorry server = [192.0.2.9]:tcp:80",
        "   default forwarding method = TUN, type = GUE, port = 6080, csum = CSUM",
        "   RIP = 192.0.2.1, RPORT = 80, WEIGHT = 1 EFF WEIGHT = 1",
        " [10.0.0.1]:tcp:80 -> [192.0.2.2]:tcp:80",
        "   Delay loop = 60000000 us",
        "     Dest = [192.0.2.1]:80",
        "   Keepalive method = TCP_CHECK",
        "   Checked url = /x",
        "   script = '/bin/true' 'x'",
        "   name = example.org",
    ):
        assert line in text.splitlines(), line


async def test_a_checker_block_has_keepalived_s_keys_in_order(start: Start) -> None:
    rig = await start(virtual_server(A))
    await rig.fails(A)
    text = dump.check_data(rig.supervisor.config, rig.supervisor.services)
    block = text.partition("------< Health checkers >------\n")[2].splitlines()[1:]
    assert [line.strip().partition(" = ")[0] for line in block] == [
        "Enabled",
        "Up",
        "Has run",
        "Current weight",
        "Alpha",
        "Delay loop",
        "Warmup",
        "Retries",
        "Delay before retry",
        "Retries iterations",
        "Log all failures",
        "Connection",
        "Dest",
        "Timeout",
        "Keepalive method",
        "Last verdict",
    ]
    assert "   Up = no" in block
    assert "   Last verdict = failed refused" in block


def text_of(path: str) -> str:
    return Path(path).read_text()


async def test_the_files(start: Start, tmp_path: Path) -> None:
    rig = await start(virtual_server(A, B))
    await rig.fails(A)
    names = paths(Options(state_dir=str(tmp_path)), rig.supervisor.config.global_defs)
    files = DumpFiles(rig.supervisor, names, started=0.0)
    await files.data()
    await files.statistics()
    await files.as_json()
    assert f" Process ID = {os.getpid()}" in text_of(names.parent_data)
    assert "  ServerDown: 1\n" in text_of(names.statistics)
    found = json.loads(text_of(names.check_json))
    (vs,) = found["virtual_servers"]
    assert (vs["name"], vs["quorum_up"], vs["alive_weight"]) == ("[10.0.0.1]:tcp:80", True, 1)
    down, up = vs["real_servers"]
    assert (down["alive"], down["pool_weight"], up["alive"], up["pool_weight"]) == (False, None, True, 1)
    assert down["checks"][0]["last"] == {"result": "failed", "reason": "refused", "detail": ""}


async def test_a_dump_that_cannot_be_written_is_said(start: Start) -> None:
    rig = await start(virtual_server(A))
    names = paths(Options(state_dir="/nonexistent"), rig.supervisor.config.global_defs)
    await DumpFiles(rig.supervisor, names, started=0.0).data()
    said = [line for line in rig.lines if "Can't open dump file /nonexistent/keepalived_check.data" in line]
    assert len(said) == 1
