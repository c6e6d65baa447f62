"""Scripts of a whole configuration."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from daemon_rig import config_of

from keepalive_py.daemon.vetting import VIOLATION, Vetting
from keepalive_py.health import lifecycle
from keepalive_py.notify.security import ScriptPolicy, daemon_account


def config(script: str) -> str:
    return f"""
virtual_server 10.0.0.1 80 {{
 lb_algo rr
 lb_kind NAT
 protocol TCP
 quorum_up "{script} up"
 real_server 192.0.2.1 80 {{
  notify_down "{script} down"
  MISC_CHECK {{
   misc_path "{script} check"
  }}
  TCP_CHECK {{
  }}
 }}
 real_server 192.0.2.2 80 {{
  TCP_CHECK {{
  }}
 }}
}}
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def vetting(*, enforce: bool = False) -> Vetting:
    return Vetting(ScriptPolicy(daemon_account(), enforce=enforce, remarks=("about the user",)))


def test_scripts_get_their_real_path(script: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(script)
    vetted = vetting().run(config_of(config(str(tmp_path / "link"))))
    (vs,) = vetted.virtual_servers
    first, _ = vs.real_servers
    assert vs.quorum_up is not None
    assert vs.quorum_up.argv == (str(script), "up")
    assert first.notify_down is not None
    assert first.notify_down.argv == (str(script), "down")
    assert first.checks[0].script.argv == (str(script), "check")


def test_what_has_no_script_stays_the_same_object(script: Path) -> None:
    before = config_of(config(str(script)))
    after = vetting().run(before)
    assert after.virtual_servers[0].real_servers[1] is before.virtual_servers[0].real_servers[1]


def test_a_check_whose_script_is_missing_is_taken_out_and_the_others_stay() -> None:
    judge = vetting()
    (vs,) = judge.run(config_of(config("/nonexistent/x"))).virtual_servers
    first, _ = vs.real_servers
    assert [check.KIND for check in first.checks] == ["TCP_CHECK"]
    assert (vs.quorum_up, first.notify_down) == (None, None)
    assert list(judge.remarks) == [
        "Script /nonexistent/x cannot be accessed - No such file or directory",
        "Disabling misc script '/nonexistent/x' 'check' since not found/accessible",
        "about the user",
    ]


def test_what_starts_as_down_and_has_a_check_that_cannot_run_stays_down() -> None:
    judge = vetting()
    text = config("/nonexistent/x").replace("protocol TCP", "protocol TCP\n alpha")
    vetted = judge.run(config_of(text))
    assert [rs.unproven for rs in vetted.virtual_servers[0].real_servers] == [True, False]
    assert "1 real servers with alpha stay down: their checks cannot run" in judge.remarks
    (service,), _events = lifecycle.start(vetted, 0.0)
    assert [server.alive for server in service.servers] == [False, False]  # the other waits for its check


def test_nobody_to_run_the_check_of_what_starts_as_down() -> None:
    """Keepalived drops the check while it reads, and its server is up."""
    judge = Vetting(ScriptPolicy(None, enforce=True))
    text = config("/bin/true").replace("protocol TCP", "protocol TCP\n alpha")
    assert not any(rs.unproven for rs in judge.run(config_of(text)).virtual_servers[0].real_servers)


@pytest.mark.skipif(os.geteuid() != 0, reason="the rule is for scripts that run as root")
def test_an_insecure_script_runs_only_without_script_security(script: Path) -> None:
    script.chmod(0o777)
    lax = vetting()
    assert lax.run(config_of(config(str(script)))).virtual_servers[0].quorum_up is not None
    assert list(lax.remarks)[-1] == f"{VIOLATION} There are insecure scripts."
    strict = vetting(enforce=True)
    (vs,) = strict.run(config_of(config(str(script)))).virtual_servers
    assert vs.quorum_up is None
    assert [check.KIND for check in vs.real_servers[0].checks] == ["TCP_CHECK"]
    assert f"Disabling misc script '{script}' 'check' due to insecure" in strict.remarks
    assert not any(VIOLATION in remark for remark in strict.remarks)


def test_without_scripts_there_is_nothing_to_say() -> None:
    judge = vetting()
    judge.run(config_of("virtual_server 10.0.0.1 80 {\n real_server 192.0.2.1 80 {\n }\n}\n"))
    assert list(judge.remarks) == []


def test_nobody_to_run_it_as(script: Path) -> None:
    judge = Vetting(ScriptPolicy(None, enforce=True))
    (vs,) = judge.run(config_of(config(str(script)))).virtual_servers
    assert vs.quorum_up is None
    assert f"Failed to set default user for quorum script {script} up - ignoring" in judge.remarks
    assert f"Unable to set default user for misc script '{script}' 'check' - removing" in judge.remarks
