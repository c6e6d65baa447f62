"""Log lines: their forms, and that no reader of them can stop us."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from keepalive_py.config.diagnostics import Diagnostic, Severity
from keepalive_py.daemon import logs, sinks, voice
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.sinks import Console, LogFile, LogLine, Stream, Syslog, SyslogSocket

LINE = LogLine(1795422061.5, "info", "Adding service", {"vs": "[10.0.0.1]:tcp:80", "reason": "timeout"})


@pytest.fixture(autouse=True)
def _no_sinks_left() -> Iterator[None]:
    yield
    logs.OUTPUTS.close()
    structlog.reset_defaults()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_the_console_form_is_keepalived_s(pipe: tuple[int, int]) -> None:
    Console(pipe[1], "text", journal=False).write(LINE)
    assert re.fullmatch(
        rb"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}: Adding service\n", os.read(pipe[0], 999)
    )


def test_the_journal_gets_a_priority_instead_of_the_time(pipe: tuple[int, int]) -> None:
    Console(pipe[1], "text", journal=True).write(LogLine(0.0, "warning", "x"))
    assert os.read(pipe[0], 999) == b"<4>x\n"


def test_the_json_form_has_the_fields(pipe: tuple[int, int]) -> None:
    Console(pipe[1], "json", journal=False).write(LINE)
    assert json.loads(os.read(pipe[0], 999)) == {
        "time": "2026-11-23T08:21:01.500000+00:00",
        "level": "info",
        "message": "Adding service",
        "vs": "[10.0.0.1]:tcp:80",
        "reason": "timeout",
    }


def test_a_text_cannot_fake_a_second_line(pipe: tuple[int, int]) -> None:
    Console(pipe[1], "text", journal=True).write(LogLine(0.0, "info", "a\nb\udc80"))
    assert os.read(pipe[0], 999) == "<6>a | b\ufffd\n".encode()


def test_a_log_file_is_appended_to_and_reopened(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    sink = LogFile(str(path), "text")
    sink.write(LINE)
    path.rename(tmp_path / "log.1")
    sink.reopen()
    sink.write(LINE)
    assert len((tmp_path / "log.1").read_text().splitlines()) == 2
    assert len(path.read_text().splitlines()) == 1


@pytest.fixture
def syslogd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.settimeout(5)
        yield daemon


def test_a_syslog_line(syslogd: socket.socket) -> None:
    sink = Syslog("Keepalived_healthcheckers", "local3", "text", syslogd.getsockname())
    sink.write(LINE)
    text = syslogd.recv(999).decode()
    assert re.fullmatch(
        rf"<{19 * 8 + 6}>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d "
        rf"Keepalived_healthcheckers\[{os.getpid()}\]: Adding service",
        text,
    )
    sink.close()


def test_a_dead_syslog_costs_nothing_and_a_new_one_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "RECONNECT_AFTER", 0.0)
    outlet = SyslogSocket(str(tmp_path / "log"), b"<4>")
    outlet.put(b"nobody there")
    assert outlet.lost == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(outlet.address)
        daemon.settimeout(5)
        outlet.put(b"hello")
        assert daemon.recv(99) == b"hello"
        assert daemon.recv(99) == b"<4>1 log lines were lost here"
    os.unlink(outlet.address)
    outlet.put(b"gone again")
    assert outlet.lost == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(outlet.address)
        daemon.settimeout(5)
        outlet.put(b"back")
        assert daemon.recv(99) == b"back"
    outlet.disconnect()


def test_a_syslog_that_is_away_is_not_called_for_every_line(tmp_path: Path) -> None:
    outlet = SyslogSocket(str(tmp_path / "log"), b"<4>")
    outlet.put(b"one")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(outlet.address)
        outlet.put(b"two")  # too early to try again
    assert outlet.lost == 2


def test_a_syslog_that_does_not_read_fills_a_bounded_backlog(
    syslogd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "BACKLOG", 10)
    outlet = SyslogSocket(syslogd.getsockname(), b"<4>")
    for number in range(5000):
        outlet.put(b"%d" % number)
    assert len(outlet.waiting) == 10
    assert outlet.lost > 0
    monkeypatch.setattr(sinks, "CLOSING_TIME", 0.0)
    outlet.close()
    outlet.disconnect()


async def test_the_loop_drains_the_backlog_when_the_reader_is_back(pipe: tuple[int, int]) -> None:
    stream = Stream(pipe[1])
    for _ in range(1000):
        stream.put(b"x" * 199 + b"\n")
    assert stream.waiting
    os.set_blocking(pipe[0], False)
    got = 0
    for _ in range(1000):
        try:
            got += len(os.read(pipe[0], 1 << 16))
        except BlockingIOError:
            if not stream.waiting:
                break
        await asyncio.sleep(0)
    assert got == 200_000
    assert stream.lost == 0


def test_a_reader_that_is_gone_costs_lines_and_nothing_else(pipe: tuple[int, int]) -> None:
    stream = Stream(pipe[1])
    os.close(pipe[0])
    stream.put(b"x\n")
    stream.put(b"y\n")
    assert (len(stream.waiting), stream.lost) == (0, 2)


def test_the_shell_s_descriptor_stays_blocking(pipe: tuple[int, int]) -> None:
    Stream(pipe[1]).put(b"x\n")
    assert os.get_blocking(pipe[1])


def test_a_stream_socket_as_the_journal_gives_it() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = Stream(ours.fileno())
        stream.put(b"x\n")
        assert theirs.recv(9) == b"x\n"
        for _ in range(9000):
            stream.put(b"y" * 100)
        assert stream.waiting


def test_structlog_goes_to_the_sinks_with_its_fields(pipe: tuple[int, int]) -> None:
    options = Options(foreground=True, log_console=True, log_syslog=False, log_format="json")
    logs.configure(options, "ident", pipe[1])
    structlog.get_logger().info("Lost quorum", vs="v", kind="quorum")
    structlog.get_logger().debug("not without -D")
    (line,) = os.read(pipe[0], 9999).decode().splitlines()
    assert json.loads(line)["vs"] == "v"
    assert json.loads(line)["message"] == "Lost quorum"


def test_words_of_ours_get_one_line_and_notes_are_no_warnings() -> None:
    note = Diagnostic(Severity.NOTE, "kept-block", "kept")
    own = [Diagnostic(Severity.NOTE, "own-keyword", f"keepalived does not know `{word}`") for word in "abc"]
    with structlog.testing.capture_logs() as told:
        voice.complain([own[0], Diagnostic(Severity.ERROR, "x", "wrong"), own[1], note, own[2]])
        voice.complain(own[:1])
    assert [(line["log_level"], line["event"]) for line in told] == [
        ("error", "wrong"),
        ("info", "kept"),
        ("info", "keepalived does not know `a`, nor 2 other words of this configuration"),
        ("info", "keepalived does not know `a`"),
    ]


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (Options(), [Syslog]),
        (Options(log_console=True), [Syslog]),  # -l needs -n
        (Options(log_console=True, foreground=True), [Console, Syslog]),
        (Options(log_console=True, foreground=True, log_syslog=False), [Console]),
        (Options(log_syslog=False), []),
    ],
)
def test_which_sinks_the_command_line_asks_for(
    options: Options, kinds: list[type], pipe: tuple[int, int]
) -> None:
    assert [type(sink) for sink in logs.sinks_for(options, "x", pipe[1])] == kinds


def test_lines_do_not_reach_the_journal_twice(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    status = os.fstat(pipe[1])
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    (console,) = logs.sinks_for(Options(log_console=True, foreground=True), "x", pipe[1])
    assert isinstance(console, Console)
    assert console.journal


def test_the_ident_carries_namespace_and_instance() -> None:
    assert logs.ident(Options(), None, None) == "Keepalived_healthcheckers"
    assert logs.ident(Options(), "blue", "one") == "Keepalived_healthcheckers_blue_one"
