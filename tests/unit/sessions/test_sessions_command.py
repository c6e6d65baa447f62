"""`keepalive-ctl sessions`, on sessions that are made up."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from keepalive_py.cli.ctl import main
from keepalive_py.sessions import kernel
from keepalive_py.sessions.model import Session


def session(client: int, server: int, local: str = "10.200.0.1", state: str = "ESTABLISHED") -> Session:
    def packed(text: str) -> bytes:
        return ip_address(text).packed if text else b""

    return Session(
        6, packed(f"203.0.113.{client}"), 40000 + client, packed("192.0.2.1"), 80,
        packed(local), 50000 + client if local else 0, packed(f"10.0.0.{server}"), 8080, state, 900 - client,
    )  # fmt: skip


SESSIONS = [session(3, 1), session(1, 1), session(2, 2, "10.200.0.2", "TIME_WAIT"), session(4, 2, "")]


@pytest.fixture(autouse=True)
def _made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> Iterator[Session]:
        yield from SESSIONS

    monkeypatch.setattr(kernel, "read", read)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["sessions", *words]) == 0
    return capsys.readouterr().out


def clients(text: str) -> list[str]:
    return [row["client"].partition(":")[0][-1] for row in json.loads(text)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("--sort client", "1234"),
        ("--sort client --reverse --limit 2", "43"),
        ("--sort timeout", "4321"),
        ("--rs 10.0.0.1 --sort client", "13"),
        ("--local 10.200.0.2", "2"),
        ("--local 10.200.0.1:50003", "3"),
        ("--client :40001", "1"),
        ("--vip 192.0.2.1:80 --sort client", "1234"),
        ("--vip 192.0.2.1:81", ""),
        ("--state time_wait", "2"),
        ("--protocol udp", ""),
        ("--rs 10.0.0.2 --state established", "4"),
    ],
)
def test_filters_and_order(capsys: pytest.CaptureFixture[str], words: str, found: str) -> None:
    assert clients(said(capsys, "--json", *words.split())) == list(found)


def test_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    heading, row, last = said(capsys, "--sort", "client", "--limit", "1").splitlines()

    assert heading.split() == ["Proto", "Client", "Virtual", "Local", "Real", "server", "State", "Timeout"]
    assert row.split() == [
        "TCP", "203.0.113.1:40001", "192.0.2.1:80", "10.200.0.1:50001", "10.0.0.1:8080", "ESTABLISHED", "899",
    ]  # fmt: skip
    assert last == "1 of 4 sessions"


def test_a_session_without_a_local_address_has_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--client", "203.0.113.4").splitlines()[1].split()[3] == "-"


@pytest.mark.parametrize(
    ("by", "first"),
    [("server", "10.0.0.1:8080"), ("local", "10.200.0.1"), ("service", "TCP 192.0.2.1:80")],
)
def test_counts(capsys: pytest.CaptureFixture[str], by: str, first: str) -> None:
    rows = said(capsys, "--top", by).splitlines()

    assert rows[1].split(maxsplit=1)[1] == first
    assert rows[-1].split() == ["4", "in", "all"]
    counted = json.loads(said(capsys, "--top", by, "--json", "--limit", "1"))
    assert [each[by] for each in counted] == [first]


def test_a_live_view_in_json_is_a_document_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = iter(range(2))

    def sleep(_: float) -> None:
        if next(turns, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)

    assert main(["sessions", "--json", "--watch", "1"]) == 130

    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [len(each) for each in documents] == [4, 4, 4]


def test_no_session_is_an_empty_document(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "read", lambda: iter(()))

    assert json.loads(said(capsys, "--json")) == []
    assert said(capsys).splitlines()[-1] == "0 of 0 sessions"


def test_what_is_no_address_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sessions", "--client", "somebody"])
    assert ended.value.code == 2
    assert "expected ADDRESS" in capsys.readouterr().err
