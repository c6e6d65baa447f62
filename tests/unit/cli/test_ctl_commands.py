"""`keepalive-ctl`, in process."""

from __future__ import annotations

import hashlib
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keepalive_py.cli.commands.table import entry_as_json, lines
from keepalive_py.cli.ctl import commands, main
from keepalive_py.cli.daemon import main as daemon_main
from keepalive_py.config.model import SchedulerFlag
from keepalive_py.dataplane.port import Counters, ServiceCounters
from keepalive_py.net import Endpoint, Family, Protocol, parse_address
from keepalive_py.plan.table import Destination, Service, ServiceEntry, ServiceKey

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

Write = Callable[..., str]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    def write(text: str, name: str = "lb.conf") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("command", list(commands()), ids=lambda command: command.name)
def test_every_command_explains_itself(command, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SystemExit) as ended:
        main([*command.name.split(), "--help"])
    assert ended.value.code == 0
    assert f"keepalive-ctl {command.name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--control", "/nowhere/a.sock", "status"],
        ["--control=/nowhere/a.sock", "status"],
        ["status", "--control", "/nowhere/a.sock"],
        ["--control", "/nowhere/b.sock", "status", "--control", "/nowhere/a.sock"],
        ["--control", "/nowhere/b.sock", "--control", "/nowhere/a.sock", "status"],
    ],
)
def test_the_socket_may_stand_before_the_command(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEPALIVE_CONTROL", "/nowhere/c.sock")
    assert main(words) == 2
    assert "no daemon answers at /nowhere/a.sock" in capsys.readouterr().err


def test_a_socket_that_is_not_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--control"])
    assert ended.value.code == 2
    assert "argument --control: expected one argument" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("config lint --formt json", "config lint: error: `--formt` is not known: did you mean `--format`?"),
        ("drain --resaon=x 10.0.0.1:80", "drain: error: `--resaon` is not known: did you mean `--reason`?"),
        ("status --quite-another", "status: error: unrecognized arguments: --quite-another"),
        ("status more", "status: error: unrecognized arguments: more"),
    ],
)
def test_a_misspelt_option(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    assert f"keepalive-ctl {said}" in capsys.readouterr().err


def test_a_mistake_of_ours_is_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KEEPALIVE_PY_DEBUG", raising=False)
    monkeypatch.setattr("keepalive_py.cli.commands.config.load", lambda options: 1 / 0)
    assert main(["config", "check", "/x"]) == 70
    assert capsys.readouterr().err == "keepalive-ctl: internal error: ZeroDivisionError: division by zero\n"


@pytest.mark.parametrize("words", [("history",), ("show", "1")])
def test_a_state_directory_that_is_not_there(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", *words, "--state-directory", f"{tmp_path}/nowhere"]) == 2
    assert capsys.readouterr().err == f"keepalive-ctl: {tmp_path}/nowhere: No such file or directory\n"


def test_values_without_a_template() -> None:
    with pytest.raises(SystemExit, match="-v needs -t"):
        main(["config", "check", "-v", "v.yaml"])


def test_a_file_that_is_not_there_does_not_pass_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for form in ("text", "json", "github"):
        assert main(["config", "check", str(tmp_path / "lb.cnf"), "--format", form]) == 5
        assert "lb.cnf" in capsys.readouterr().out


def test_check(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", written(GOOD)]) == 0
    assert capsys.readouterr().out == ""
    bad = written(GOOD.replace("lb_algo", "lb_shed"))
    assert main(["config", "check", bad]) == 5
    assert f"{bad}:3:2: error[" in capsys.readouterr().out
    assert main(["config", "check", bad, "--json"]) == 5
    found = json.loads(capsys.readouterr().out)
    assert found["exit_status"] == 5
    assert found["files"] == [bad]
    assert "lb_shed" in found["diagnostics"][0]["summary"]


def test_diff_says_what_differs(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    old = written(GOOD)
    new = written(GOOD.replace("192.0.2.1", "192.0.2.2"), "new.conf")
    assert main(["config", "diff", old, new]) == 1
    out = capsys.readouterr().out
    assert [line[0] for line in out.splitlines()] == ["-", "+"]
    assert "192.0.2.2" in out
    assert main(["config", "diff", old, "/nonexistent/lb.conf"]) == 2


def test_plan_prints_the_steps(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "plan", "--dataplane=memory", written(GOOD)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "add service TCP 10.0.0.1:80 scheduler rr"


# table

KEY = ServiceKey(Family.INET, Protocol.TCP, Endpoint(parse_address("10.0.0.1"), 80))
SERVER = Endpoint(parse_address("192.0.2.1"), 8080)
ENTRY = ServiceEntry(
    Service(KEY, "sh", SchedulerFlag.SCHED1 | SchedulerFlag.PERSISTENT, persistence_timeout=50),
    {SERVER: Destination(SERVER, weight=7)},
)
COUNTERS = {
    KEY: ServiceCounters(
        Counters(connections=9), {SERVER: Counters(active_connections=3, inactive_connections=4)}
    )
}


def test_the_table_as_text() -> None:
    shown = [line.split() for line in lines({KEY: ENTRY}, COUNTERS)][2:]
    assert shown == [
        ["TCP", "10.0.0.1:80", "sh", "sched1", "persistent", "50"],
        ["->", "192.0.2.1:8080", "NAT", "7", "3", "4"],
    ]


def test_the_table_as_json() -> None:
    found = json.loads(json.dumps(entry_as_json(ENTRY, COUNTERS)))
    assert found["service"] == "TCP 10.0.0.1:80"
    assert found["counters"]["connections"] == 9
    (destination,) = found["destinations"]
    assert (destination["endpoint"], destination["weight"]) == ("192.0.2.1:8080", 7)
    assert destination["counters"]["active_connections"] == 3


# genhash

BODY = b"hello\n" * 1000


class Answer(socketserver.BaseRequestHandler):
    """Keeps the request, answers BODY, closes."""

    requests: list[bytes] = []

    def handle(self) -> None:
        self.requests.append(self.request.recv(9999))
        self.request.sendall(b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n" + BODY)


@pytest.fixture
def port() -> Iterator[int]:
    Answer.requests.clear()
    with socketserver.TCPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "run", [lambda words: main(["genhash", *words]), lambda words: daemon_main(["-T", *words])]
)
def test_the_digest(run: Callable[[list[str]], int], port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-s", "127.0.0.1", "-p", str(port), "-u", "/x", "-V", "www"]) == 0
    assert capsys.readouterr().out == f"{hashlib.md5(BODY).hexdigest()}\n"
    assert Answer.requests == [b"GET /x HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: www\r\n\r\n"]


def test_verbose_shows_header_and_body(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["genhash", "-v", "-s", "127.0.0.1", "-p", str(port), "-u", "/x"]) == 0
    out = capsys.readouterr().out
    assert "0000  48 54 54 50 2f 31 2e 30 - 20 32 30 30 20 4f 4b 0d   HTTP/1.0 200 OK." in out
    assert "Global response time for [/x] = " in out


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["genhash", "-s", "127.0.0.1", "-p", "1", "-u", "/"]) == 0
    assert capsys.readouterr().out == "Connection failed\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-s", "foo", "-p", "80", "-u", "/"], "server should be an IP, not foo"),
        (["-s", "::1", "-p", "x", "-u", "/"], "invalid port number 'x'"),
        (["-s", "::1", "-p", "80"], "-u"),
    ],
)
def test_a_wrong_command_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert daemon_main(["--genhash", *words]) == 1
    assert says in capsys.readouterr().err
