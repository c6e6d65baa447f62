"""Reloads that are refused, held back, kept and gone back to, with a daemon as a process."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_daemon_process import Daemon, until

from keepalive_py.cli.client import Client
from keepalive_py.cli.ctl import main

OPTIONS = ("--last-good", "--roll-back", "--max-removals=40")


def service(number: int, *, weight: int = 1) -> str:
    return f"""
virtual_server 10.0.0.{number} 80 {{
 lb_algo rr
 lb_kind NAT
 protocol TCP
 real_server 192.0.2.{number} 80 {{
  weight {weight}
 }}
}}
"""


THREE = service(1) + service(2) + service(3)


class Kept(Daemon):
    """A daemon with a state directory, and keepalive-ctl for it."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(directory)
        self.state = directory / "state"
        self.capsys = capsys

    def begin(self, *more: str) -> None:
        self.log.unlink(missing_ok=True)
        self.start("--state-directory", str(self.state), *OPTIONS, *more)

    def ctl(self, *words: str) -> tuple[int, str]:
        self.capsys.readouterr()
        status = main(["config", *words, "--control", str(self.directory / "control.sock")])
        return status, self.capsys.readouterr().out

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ctl("status", "--json")[1])
        return found


@pytest.fixture
def daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Kept]:
    found = Kept(tmp_path, capsys)
    found.config.write_text(THREE)
    yield found
    if found.process is not None and found.process.poll() is None:
        found.process.kill()
        found.process.wait()


def test_a_bad_edit_is_reported_with_its_place_and_changes_nothing(daemon: Kept) -> None:
    daemon.begin()
    daemon.config.write_text(THREE.replace("lb_algo", "lb_shed", 1))
    status, text = daemon.ctl("apply")
    assert status == 1
    assert f"{daemon.config}:3:2: error[" in text
    found = daemon.status()
    assert (found["generation"], found["origin"], found["held"]) == (1, "files", None)
    daemon.config.write_text(THREE)
    assert daemon.ctl("apply")[0] == 0
    assert daemon.status()["refused"] is None


def test_too_many_removals_wait_for_a_word(daemon: Kept) -> None:
    daemon.begin()
    daemon.config.write_text(service(1))
    assert daemon.ctl("apply", "--preview")[0] == 3
    status, text = daemon.ctl("apply")
    assert status == 3
    assert "\nheld       digest " in text
    assert "2 of 3 services and 2 of 3 real servers would be removed" in text
    daemon.send(signal.SIGHUP)
    daemon.says("Reloading ...", 2)
    until(lambda: daemon.status()["held"] is not None, "still held")
    assert daemon.status()["held"]["services"] == {"removed": 2, "of": 3}
    metrics = Client(str(daemon.directory / "control.sock")).get("/metrics").splitlines()
    wanted = {f"keepalive_config_{name} 1" for name in ("held", "refused", "is_of_files")}
    assert wanted <= set(metrics)
    assert daemon.ctl("apply", "--confirm")[0] == 0
    found = daemon.status()
    assert (found["generation"], found["held"], len(found["last_plan"])) == (2, None, 2)


def test_a_word_counts_for_what_was_shown_alone(daemon: Kept) -> None:
    daemon.begin()
    daemon.config.write_text(service(1))
    assert daemon.ctl("apply")[0] == 3
    daemon.config.write_text(service(2))
    assert daemon.ctl("apply", "--confirm")[0] == 3
    assert daemon.ctl("apply", "--confirm")[0] == 0


def test_going_back_and_staying_there_until_the_files_change(daemon: Kept) -> None:
    daemon.begin()
    daemon.config.write_text(THREE.replace("weight 1", "weight 5"))
    assert daemon.ctl("apply")[0] == 0
    assert daemon.ctl("rollback", "1")[0] == 0
    found = daemon.status()
    assert (found["generation"], found["origin"]) == (3, "generation 1")
    assert "an operator went back to generation 1" in found["instead_of_files"]
    assert daemon.ctl("rollback", "77")[0] == 1

    assert daemon.stop() == 0
    daemon.begin()
    found = daemon.status()
    assert (found["origin"], found["refused"]) == ("generation 1", None)

    assert daemon.stop() == 0
    daemon.config.write_text(THREE.replace("weight 1", "weight 6"))
    daemon.begin()
    found = daemon.status()
    assert (found["generation"], found["origin"], found["instead_of_files"]) == (4, "files", None)
    assert daemon.stop() == 0


def test_a_start_with_a_broken_file_takes_the_last_good_one(daemon: Kept) -> None:
    daemon.begin()
    assert daemon.stop() == 0
    for number, broken in enumerate((THREE.replace("lb_algo", "lb_shed", 1), service(1), None)):
        if broken is None:
            daemon.config.unlink()
        else:
            daemon.config.write_text(broken)
        daemon.begin()
        newest = 1 + 2 * number
        assert any(f"Generation {newest} runs instead of the files: " in line for line in daemon.lines())
        found = daemon.status()
        assert found["instead_of_files"] == found["refused"]["why"]
        assert found["origin"] == f"generation {newest}"
        assert daemon.ctl("apply")[0] in (1, 3)
        daemon.config.write_text(THREE + service(4))
        assert daemon.ctl("apply")[0] == 0
        assert daemon.status()["instead_of_files"] is None
        daemon.config.write_text(THREE)
        assert daemon.ctl("apply")[0] == 0
        assert daemon.stop() == 0


def test_history_and_files_without_a_daemon(daemon: Kept, tmp_path: Path) -> None:
    included = tmp_path / "more.conf"
    included.write_text(service(9))
    daemon.config.write_text(THREE + f"include {included}\n")
    daemon.begin()
    assert len(json.loads(daemon.ctl("history", "--json")[1])) == 1
    shown = daemon.ctl("show", "1")[1]
    assert daemon.stop() == 0
    where = ("--state-directory", str(daemon.state))
    assert daemon.ctl("history", *where)[1].split()[0] == "1"
    assert daemon.ctl("show", "1", *where)[1] == shown
    assert daemon.ctl("show", "1", *where, "--to", str(tmp_path / "out"))[0] == 0
    assert (tmp_path / "out" / str(included).lstrip("/")).read_text() == service(9)
    assert daemon.ctl("show", "1", *where, "--to", str(tmp_path / "out"))[0] == 1
    assert daemon.ctl("show", "2", *where)[0] == 1


def test_what_the_kernel_refuses_is_undone(daemon: Kept) -> None:
    """The good half of the edit, too. `conhash` is a scheduler of DPVS."""
    daemon.begin()
    edit = THREE.replace("weight 1", "weight 7") + service(4).replace("lb_algo rr", "lb_algo conhash")
    daemon.config.write_text(edit)
    assert daemon.ctl("apply")[0] == 1
    found = daemon.status()
    assert "all of it is undone: add service TCP 10.0.0.4:80 scheduler conhash" in found["refused"]["why"]
    (kept,) = json.loads(daemon.ctl("history", "--json")[1])
    assert (found["generation"], found["digest"]) == (1, kept["digest"])
    daemon.config.write_text(THREE.replace("weight 1", "weight 7"))
    assert daemon.ctl("apply")[0] == 0
    assert daemon.status()["verified"] is True


def test_a_template_and_its_values_are_watched(daemon: Kept, tmp_path: Path) -> None:
    """What is wrong with either is told at its line, and changes nothing."""
    template, values = tmp_path / "lb.conf.j2", tmp_path / "values.yaml"
    template.write_text(THREE.replace("weight 1", "weight {{ weight }}"))
    values.write_text("weight: 5\n")
    daemon.begin("--watch", "--template", str(template), "--values", str(values))

    def refused_at(place: str) -> bool:
        refusal = daemon.status()["refused"]
        where = refusal["diagnostics"][0]["where"] if refusal else None
        return where is not None and f"{where['file']}:{where['line']}" == place

    values.write_text("weight: 7\n")
    until(lambda: daemon.status()["generation"] == 2, "the values are watched")
    assert any("weight 5 -> 7" in line for line in daemon.status()["last_plan"])
    values.write_text("weight: [\n")
    until(lambda: refused_at(f"{values}:2"), "broken values")
    values.write_text("wait: 7\n")
    until(lambda: refused_at(f"{template}:7"), "a name that is not defined")
    values.write_text("weight: many\n")
    until(lambda: refused_at(f"{template}:7"), "a mistake in the text")
    assert daemon.status()["generation"] == 2
    values.write_text("weight: 8\n")
    until(lambda: daemon.status()["generation"] == 3, "well again")
    template.write_text(template.read_text().replace("lb_algo rr", "lb_algo wrr"))
    until(lambda: daemon.status()["generation"] == 4, "the template is watched")


def test_a_script_that_appears_is_noticed(daemon: Kept, tmp_path: Path) -> None:
    script = tmp_path / "check.sh"
    check = f"MISC_CHECK {{\n misc_path {script}\n }}"
    daemon.config.write_text(THREE.replace("weight 1", f"weight 1\n {check}", 1))
    daemon.begin("--watch")
    assert any("check.sh" in line and "not" in line for line in daemon.lines())
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    daemon.says("Reload complete")
