"""How full local addresses are."""

from __future__ import annotations

import json
from ipaddress import ip_address

import pytest

from keepalive_py.cli import ctl
from keepalive_py.errors import WireError
from keepalive_py.sessions import kernel
from keepalive_py.sessions.model import Session
from keepalive_py.sessions.pressure import PORTS, failures, of_sessions

STATISTICS = """\
entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop \
icmp_error  expect_new expect_create expect_delete search_restart
00000003  00000000 00000000 00000000 00000001 00000000 00000000 00000000 00000000 0000000a 00000002 \
00000000 00000000  00000000 00000000 00000000 00000001
00000003  00000000 00000000 00000000 00000001 00000000 00000000 00000000 00000000 00000001 00000000 \
00000000 00000000  00000000 00000000 00000000 000000ff
"""


def session(local: str, server: str, number: int, virtual: str = "192.0.2.1") -> Session:
    def packed(text: str) -> bytes:
        return ip_address(text).packed if text else b""

    return Session(
        6, packed("203.0.113.1"), number, packed(virtual), 80,
        packed(local), number, packed(server), 8080, "ESTABLISHED", 900,
    )  # fmt: skip


SESSIONS = [
    *[session("10.0.0.200", "10.0.0.1", number) for number in range(2000, 2030)],
    *[session("10.0.0.200", "10.0.0.2", number, "192.0.2.2") for number in range(2000, 2010)],
    *[session("10.0.0.201", "10.0.0.1", number) for number in range(3000, 3035)],
    session("", "10.0.0.3", 4000),
]


def test_the_busiest_real_server_of_each_local_address_counts() -> None:
    second, first = of_sessions(SESSIONS)
    assert (str(first.address), first.services, first.sessions) == ("10.0.0.200", 2, 40)
    assert (first.busiest, first.busiest_sessions) == ("TCP 10.0.0.1:8080", 30)
    assert (str(second.address), second.busiest_sessions, second.share) == ("10.0.0.201", 35, 35 / PORTS)


def test_sessions_without_a_local_address_press_nobody() -> None:
    assert of_sessions(SESSIONS[-1:]) == []


def test_failures_are_summed_over_the_processors() -> None:
    assert failures(STATISTICS) == {"insert_failed": 11, "drop": 2, "early_drop": 0, "search_restart": 256}
    assert failures("") == {}
    with pytest.raises(WireError):
        failures("drop early_drop\n00000001 zz")


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "read", lambda: SESSIONS)
    monkeypatch.setattr(kernel, "conntrack_statistics", lambda: STATISTICS)


@pytest.mark.usefixtures("tables")
def test_the_command_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl.main(["local-addresses"]) == 0
    heading, first, second, told = capsys.readouterr().out.splitlines()
    assert first.split() == ["10.0.0.201", "1", "35", "TCP", "10.0.0.1:8080", "35", "0.1%"]
    assert second.split()[0] == "10.0.0.200"
    assert told == "conntrack since boot: insert_failed 11, drop 2, early_drop 0, search_restart 256"


@pytest.mark.usefixtures("tables")
def test_the_command_as_json_and_its_threshold(capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl.main(["local-addresses", "--json", "--warn", "0.05"]) == 2
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["local_addresses"][0]["share"] == round(35 / PORTS, 4)
    assert document["conntrack"]["drop"] == 2
    assert captured.err.startswith("10.0.0.201 has 0% of its ports to TCP 10.0.0.1:8080 in use")


def test_a_host_without_ipvs_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kernel, "SERVICES", kernel.Path("/nonexistent/ip_vs"))
    assert ctl.main(["local-addresses"]) == 1
    assert "a kernel with IPVS" in capsys.readouterr().err
