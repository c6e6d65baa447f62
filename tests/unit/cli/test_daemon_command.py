"""`keepalive-py` up to the point where it would become a daemon, in process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from config_cases import HOST, Case

from keepalive_py.cli.daemon import main

GOOD = """
virtual_server 10.0.0.1 80 {
 lb_algo rr
 lb_kind NAT
 protocol TCP
 real_server 192.0.2.1 80 {
  TCP_CHECK {
  }
 }
}
"""


Write = Callable[[str | bytes], str]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    def write(text: str | bytes) -> str:
        path = tmp_path / "lb.conf"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: keepalive-py [OPTION...]")


def test_the_version_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-v"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Keepalive_py v")


@pytest.mark.parametrize(
    ("name", "number"),
    [("STOP", 15), ("RELOAD", 1), ("DATA", 10), ("STATS", 12), ("STATS_CLEAR", 63), ("JSON", 36)],
)
def test_signal_numbers(name: str, number: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"--signum={name}"]) == 0
    assert capsys.readouterr().out == f"{number}\n"


def test_an_unknown_signal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--signum=FOO"]) == 1
    assert capsys.readouterr().err == "Unknown sigfunc FOO\n"


def test_an_unknown_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--bogus"]) == 1
    assert capsys.readouterr().err == "Unknown option --bogus\n"


def test_genhash_without_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-T"]) == 1
    assert "genhash" in capsys.readouterr().err


# -t


def test_a_good_configuration(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-t", "-f", written(GOOD)]) == 0
    assert capsys.readouterr() == ("", "")


BAD = {
    "unknown keyword": (GOOD.replace("lb_algo", "lb_shed"), 5),
    "bad address": (GOOD.replace("10.0.0.1", "10.0.0.256"), 5),
    "missing brace": (GOOD.rstrip("}\n"), 5),
    "binary file": (bytes(range(256)) * 64, 5),
    "a line of 10 MB": (GOOD + "x" * 10_000_000 + "\n", 5),
    "missing value": (GOOD.replace("TCP_CHECK {", "TCP_CHECK {\n connect_timeout\n"), 2),
    "scripts": (GOOD.replace("TCP_CHECK {", "MISC_CHECK {\n misc_path /bin/true\n"), 6),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_configuration_has_a_diagnostic_and_keepalived_s_status(
    what: str, written: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    text, status = BAD[what]
    assert main(["-t", "-f", written(text)]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert "lb.conf" in err
    assert "Traceback" not in err


def test_a_test_needs_no_namespace(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-t", "-f", written("net_namespace nosuch\n" + GOOD.replace("rr", "nosuch"))]) == 5
    assert "`nosuch` is not one of" in capsys.readouterr().err


def test_an_include_loop_ends(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(GOOD)
    written(f"include {path}\n{GOOD}")
    assert main(["-t", "-f", path]) == 5
    assert "include" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["/nonexistent/lb.conf", "/etc"])
def test_no_configuration_is_well_with_keepalived_and_not_with_strict(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-t", "-f", path]) == 0
    assert path in capsys.readouterr().err
    assert main(["-t", "--strict", "-f", path]) == 6


def test_the_report_is_appended_to_a_file(
    written: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    assert main([f"-t{log}", "-f", written(BAD["unknown keyword"][0])]) == 5
    assert log.read_text().startswith("before\n")
    assert "lb_shed" in log.read_text()
    assert capsys.readouterr() == ("", "")


def test_a_report_that_cannot_be_written(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config-test=/nonexistent/log", "-f", written(GOOD)]) == 1
    expected = "Unable to open config-test log file /nonexistent/log 2 - No such file or directory\n"
    assert capsys.readouterr().err == expected


def test_a_missing_script_is_told_and_is_no_error(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    text = GOOD.replace("TCP_CHECK {", "MISC_CHECK {\n misc_path /nonexistent/check\n")
    assert main(["-t", "-f", written(text)]) == 0
    assert "Script /nonexistent/check cannot be accessed" in capsys.readouterr().err


# --dry-run


@pytest.mark.parametrize("case", HOST, ids=str)
def test_what_the_host_has_counts_as_with_keepalived(case: Case, written: Write) -> None:
    assert isinstance(case.text, str)
    assert main(["-t", "-f", written(case.text)]) == case.status


def test_a_notify_script_of_vrrp_without_its_user_does_not_count(written: Write) -> None:
    text = "vrrp_instance V {\n notify_master /bin/true nosuch\n}\n" + GOOD
    assert main(["-t", "-f", written(text)]) == 0


def test_a_script_group_that_does_not_exist_is_named(
    written: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-t", "-f", written("global_defs {\n script_user root nosuch\n}\n" + GOOD)]) == 5
    assert capsys.readouterr().err == "Script group 'nosuch' does not exist\n"


def test_a_dry_run_prints_the_steps(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dry-run", "--dataplane=memory", "-f", written(GOOD)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "add service TCP 10.0.0.1:80 scheduler rr",
        "add 192.0.2.1:80 NAT weight 1 to TCP 10.0.0.1:80",
    ]
    assert err == "2 steps\n"


@pytest.mark.parametrize(("what", "status"), [("missing value", 2), ("binary file", 0)])
def test_a_dry_run_of_a_bad_configuration(
    what: str, status: int, written: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--dry-run", "--dataplane=memory", "-f", written(BAD[what][0])]) == status
    assert "Traceback" not in capsys.readouterr().err


# Starts that go nowhere.


@pytest.mark.parametrize("path", ["/nonexistent/lb.conf", "/etc"])
def test_a_start_without_a_configuration(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-n", "-G", "-f", path]) == 6
    assert path in capsys.readouterr().err


@pytest.mark.parametrize("form", ["includer", "includem", "includea"])
def test_a_start_without_a_file_that_an_include_insists_on(
    form: str, written: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """As keepalived: it would be half a configuration."""
    file = "/etc" if form == "includer" else "/nonexistent/web.conf"
    assert main(["-n", "-G", "-f", written(f"{form} {file}\n{GOOD}")]) == 6
    assert file in capsys.readouterr().err


def test_a_start_with_a_missing_value(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-n", "-G", "-f", written(BAD["missing value"][0])]) == 2
    assert "connect_timeout" in capsys.readouterr().err


def test_strict_refuses_any_error(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-n", "-G", "--strict", "-f", written(BAD["unknown keyword"][0])]) == 2


def test_a_log_file_that_cannot_be_opened(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-n", "-G", "-g/nonexistent/log", "-f", written(GOOD)]) == 1
    assert capsys.readouterr().err.startswith("Unable to open log file /nonexistent/log")


def test_a_namespace_that_does_not_exist(written: Write, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert main(["-n", "-G", f"-g{log}", "-s", "no-such-namespace", "-f", written(GOOD)]) == 1
    assert "Unable to set network namespace no-such-namespace - exiting" in log.read_text()


def test_a_pid_file_that_cannot_be_made(written: Write, tmp_path: Path) -> None:
    log = tmp_path / "log"
    words = ["-n", "-G", f"-g{log}", "-p", "/proc/nonexistent/pid", "-f", written(GOOD)]
    assert main(words) == 1
    assert "/proc/nonexistent" in log.read_text()


def test_a_mistake_of_ours_is_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KEEPALIVE_PY_DEBUG", raising=False)
    monkeypatch.setattr("keepalive_py.cli.daemon.command_line.usage", lambda: 1 / 0)
    assert main(["--help"]) == 70
    assert capsys.readouterr().err == "keepalive-py: internal error: ZeroDivisionError: division by zero\n"
