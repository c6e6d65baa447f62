"""`keepalive-py` as a process: signals, pid files, background, on the memory dataplane."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keepalive_py.cli.client import Client
from keepalive_py.daemon import upgrade

PATIENCE = 30.0  # seconds; an upper bound, never waited for in vain
TIMING = "warmup 0\n   delay_loop 0.1\n   retry 0"
STAMP = re.compile(r"^\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}: ")


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Daemon:
    """One daemon with its files in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "lb.conf"
        self.log = directory / "log"
        self.pid_file = directory / "p.pid"
        self.environment = {**os.environ, "TMPDIR": str(directory)}
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *more: str) -> list[str]:
        words = ["-f", str(self.config), "-p", str(self.pid_file), "-c", str(self.directory / "c.pid")]
        words += ["--control", str(self.directory / "control.sock")]
        return [sys.executable, "-m", "keepalive_py", *words, "-G", "--dataplane=memory", *more]

    def start(self, *more: str) -> None:
        words = self.command("-n", f"-g{self.log}", *more)
        self.process = subprocess.Popen(words, env=self.environment, stderr=subprocess.PIPE)
        self.says("Startup complete")

    def lines(self) -> list[str]:
        return (
            [STAMP.sub("", line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        )

    def says(self, line: str, times: int = 1) -> None:
        until(lambda: self.lines().count(line) >= times, f"{line!r} in {self.lines()}")

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ends(self) -> int:
        assert self.process is not None
        _out, errors = self.process.communicate(timeout=PATIENCE)
        assert b"Traceback" not in errors, errors
        return self.process.returncode

    def stop(self) -> int:
        self.send(signal.SIGTERM)
        return self.ends()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def daemon(tmp_path: Path, server: socket.socket) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    daemon.config.write_text(configuration(server.getsockname()[1]))
    yield daemon
    if daemon.process is not None and daemon.process.poll() is None:
        daemon.process.kill()
        daemon.process.communicate()


def configuration(*ports: int, more: str = "") -> str:
    servers = "\n".join(
        f" real_server 127.0.0.1 {port} {{\n  TCP_CHECK {{\n   {TIMING}\n  }}\n }}" for port in ports
    )
    return f"""
virtual_server 10.0.0.1 80 {{
 lb_algo rr
 lb_kind NAT
 protocol TCP
 {more}
{servers}
}}
"""


def test_an_upgrade_in_place_keeps_the_process_and_what_it_knows(daemon: Daemon, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        dead = gone.getsockname()[1]
    daemon.config.write_text(daemon.config.read_text() + configuration(dead).replace("10.0.0.1", "10.0.0.2"))
    daemon.start(f"--state-directory={tmp_path / 'state'}")
    daemon.says(f"TCP_CHECK on service [127.0.0.1]:tcp:{dead} failed.")
    assert daemon.process is not None
    pid = daemon.process.pid

    daemon.send(upgrade.SIGNAL)
    daemon.says("Startup complete", times=2)
    assert daemon.process.poll() is None
    assert daemon.pid_file.read_text() == f"{pid}\n"
    daemon.says("Health of 2 real servers is remembered, 1 are down")
    daemon.send(signal.SIGHUP)
    daemon.says("Reload complete")
    assert daemon.stop() == 0
    assert not daemon.pid_file.exists()


def test_an_upgrade_that_could_not_go_on_is_refused(daemon: Daemon) -> None:
    daemon.start()
    good = daemon.config.read_text()
    daemon.config.write_text(good + "\nvirtual_server 10.0.0.9 80 {\n lb_algo\n}\n")
    daemon.send(upgrade.SIGNAL)
    until(
        lambda: any("Upgrade refused, the running daemon stays" in line for line in daemon.lines()), "refused"
    )
    daemon.config.write_text(good)
    daemon.send(signal.SIGHUP)
    daemon.says("Reload complete")
    assert daemon.stop() == 0


def test_an_upgrade_in_the_background_keeps_its_pid(daemon: Daemon) -> None:
    words = daemon.command(f"-g{daemon.log}")
    subprocess.run(words, env=daemon.environment, check=True, timeout=PATIENCE, cwd=daemon.directory)
    daemon.says("Startup complete")
    pid = int(daemon.pid_file.read_text())
    try:
        os.kill(pid, upgrade.SIGNAL)
        daemon.says("Startup complete", times=2)
        assert int(daemon.pid_file.read_text()) == pid
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
    finally:
        os.kill(pid, signal.SIGTERM)
        until(lambda: not daemon.pid_file.exists(), "the end")


def test_a_life(daemon: Daemon, server: socket.socket) -> None:
    """Start, a check, a dump of each kind, a reload, a second daemon, a stop."""
    port = server.getsockname()[1]
    daemon.start()
    assert daemon.process is not None
    for path in (daemon.pid_file, daemon.directory / "c.pid"):
        assert path.read_text() == f"{daemon.process.pid}\n"
        assert path.stat().st_mode & 0o777 == 0o644
    daemon.says(f"TCP connection to [127.0.0.1]:tcp:{port} success.")

    daemon.send(signal.SIGUSR1)
    daemon.send(signal.SIGUSR2)
    daemon.send(36)
    daemon.send(63)
    daemon.says("There are no VRRP statistics to clear")
    dumps = {"parent.data", "check.data", "check.stats", "check.json"}
    paths = {daemon.directory / f"keepalived_{name}" for name in dumps}
    until(lambda: all(path.exists() for path in paths), f"{paths}")
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in paths)
    text = (daemon.directory / "keepalived_check.data").read_text()
    assert f"RIP = 127.0.0.1, RPORT = {port}, WEIGHT = 1 EFF WEIGHT = 1" in text

    second = subprocess.run(
        daemon.command("-n", "-l"), env=daemon.environment, capture_output=True, timeout=PATIENCE
    )
    assert second.returncode == 0
    assert b"daemon is already running" in second.stderr

    with socket.create_server(("127.0.0.1", 0)) as other:
        daemon.config.write_text(configuration(port, other.getsockname()[1]))
        daemon.send(signal.SIGHUP)
        daemon.says("Reload complete")
        daemon.says(f"TCP connection to [127.0.0.1]:tcp:{other.getsockname()[1]} success.")

    assert daemon.stop() == 0
    assert not daemon.pid_file.exists()
    assert f"Shutting down service [127.0.0.1]:tcp:{port} from VS [10.0.0.1]:tcp:80" in daemon.lines()
    assert daemon.lines()[-1].startswith("Stopped Keepalive_py")


def test_a_server_that_stops_listening_leaves_and_one_that_listens_again_returns(
    daemon: Daemon, server: socket.socket
) -> None:
    port = server.getsockname()[1]
    daemon.start()
    daemon.says(f"TCP connection to [127.0.0.1]:tcp:{port} success.")
    server.close()
    daemon.says(f"Removing service [127.0.0.1]:tcp:{port} from VS [10.0.0.1]:tcp:80")
    with socket.create_server(("127.0.0.1", port)):
        daemon.says(f"Adding service [127.0.0.1]:tcp:{port} to VS [10.0.0.1]:tcp:80")
    assert daemon.stop() == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.chmod(0o755),
        lambda path: path.write_text(path.read_text() + "lb_shed rr\n"),
        lambda path: path.write_text(path.read_text().rstrip("}\n")),
        lambda path: path.write_text(path.read_text().replace("delay_loop 0.1", "delay_loop")),
        lambda path: path.write_bytes(bytes(range(256)) * 16),
    ],
    ids=["missing", "executable", "unknown keyword", "missing brace", "missing value", "binary"],
)
def test_a_reload_of_a_bad_file_changes_nothing(
    daemon: Daemon, server: socket.socket, spoil: Callable[[Path], object]
) -> None:
    port = server.getsockname()[1]
    daemon.start()
    daemon.says(f"TCP connection to [127.0.0.1]:tcp:{port} success.")
    good = daemon.config.read_text()
    spoil(daemon.config)
    daemon.send(signal.SIGHUP)
    until(lambda: any("Reload refused" in line for line in daemon.lines()), str(daemon.lines()))
    server.close()  # and the checks go on
    daemon.says(f"Removing service [127.0.0.1]:tcp:{port} from VS [10.0.0.1]:tcp:80")
    daemon.config.unlink(missing_ok=True)
    daemon.config.write_text(good)
    daemon.send(signal.SIGHUP)
    daemon.says("Reload complete")
    assert daemon.stop() == 0


def test_a_watched_file_is_reloaded_by_itself(daemon: Daemon, server: socket.socket) -> None:
    """Good, broken, renamed into place, included: without a signal."""
    port = server.getsockname()[1]
    included = daemon.directory / "more.inc"
    included.write_text("quorum 1\n")
    daemon.config.write_text(configuration(port, more="include *.inc"))
    daemon.start("--watch")
    daemon.config.write_text(configuration(port, 1, more="include *.inc"))
    daemon.says("Reload complete")
    daemon.config.write_text("virtual_server {\n")
    until(lambda: any("Reload refused" in line for line in daemon.lines()), str(daemon.lines()))
    fresh = daemon.directory / "fresh"
    fresh.write_text(configuration(port, more="include *.inc"))
    fresh.rename(daemon.config)
    daemon.says("Reload complete", 2)
    daemon.says("service [127.0.0.1]:tcp:1 no longer exist")
    (daemon.directory / "another.inc").write_text("hysteresis 0\n")
    daemon.says("Reload complete", 3)
    assert daemon.stop() == 0


def test_in_the_background(daemon: Daemon) -> None:
    """The parent ends with 0 and the pid file names the daemon already."""
    command = daemon.command(f"-g{daemon.log}", "-u", "022")
    started = subprocess.run(command, env=daemon.environment, capture_output=True, timeout=PATIENCE)
    assert (started.returncode, started.stdout, started.stderr) == (0, b"", b"")
    pid = int(daemon.pid_file.read_text())
    try:
        daemon.says("Startup complete")
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert os.getsid(pid) == pid
        assert {os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)} == {"/dev/null"}
        os.kill(pid, signal.SIGTERM)
        until(lambda: not daemon.pid_file.exists(), "the pid file goes")
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise


def test_without_standard_descriptors(daemon: Daemon) -> None:
    """A log that nobody asked to see is no reason not to start, and nothing else takes its number."""
    words = shlex.join(daemon.command("-n", "-l", f"-g{daemon.log}"))
    command = ["sh", "-c", f"exec {words} <&- >&- 2>&-"]
    daemon.process = subprocess.Popen(command, env=daemon.environment, stderr=subprocess.PIPE)
    daemon.says("Startup complete")
    opened = [os.readlink(f"/proc/{daemon.process.pid}/fd/{number}") for number in (0, 1, 2)]
    assert opened == [os.devnull] * 3
    assert daemon.stop() == 0


def test_systemd_hears_of_start_reload_and_stop(daemon: Daemon) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(daemon.directory / "notify"))
        manager.settimeout(PATIENCE)
        daemon.environment |= {
            "NOTIFY_SOCKET": str(daemon.directory / "notify"),
            "WATCHDOG_USEC": "3600000000",
        }
        daemon.start()
        heard = [manager.recv(999), manager.recv(999)]
        assert any(b"READY=1" in each and b"1 virtual servers, 1 real servers" in each for each in heard)
        assert b"WATCHDOG=1" in heard
        daemon.send(signal.SIGHUP)
        assert manager.recv(999).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert b"READY=1" in manager.recv(999)
        assert daemon.stop() == 0
        assert manager.recv(999) == b"STOPPING=1"


def test_sigint_can_be_ignored(daemon: Daemon) -> None:
    daemon.start("--ignore-sigint")
    daemon.send(signal.SIGINT)
    daemon.send(signal.SIGHUP)  # still there to answer
    daemon.says("Reload complete")
    assert daemon.stop() == 0


def test_json_log_lines_have_fields(daemon: Daemon) -> None:
    daemon.config.write_text(configuration(9, more="quorum_up /bin/true"))
    words = daemon.command("-n", f"-g{daemon.log}", "--log-format=json")
    daemon.process = subprocess.Popen(words, env=daemon.environment, stderr=subprocess.PIPE)
    until(
        lambda: daemon.log.exists() and '"event": "server_down"' in daemon.log.read_text(),
        "a server goes down",
    )
    (line,) = [line for line in daemon.log.read_text().splitlines() if '"event": "server_down"' in line]
    assert '"reason": "refused", "vs": "[10.0.0.1]:tcp:80", "rs": "[127.0.0.1]:tcp:9"' in line
    assert daemon.stop() == 0


def test_scripts_run_and_the_boundary_scripts_frame_them(daemon: Daemon, server: socket.socket) -> None:
    port = server.getsockname()[1]
    trace = daemon.directory / "trace"
    for name in ("start", "up", "end"):
        script = daemon.directory / name
        script.write_text(f"#!/bin/sh\necho {name} >> {trace}\n")
        script.chmod(0o755)
    where = daemon.directory
    defs = f"global_defs {{\n startup_script {where}/start\n shutdown_script {where}/end\n}}\n"
    daemon.config.write_text(defs + configuration(port, more=f"quorum_up {where}/up"))
    daemon.start()
    until(lambda: trace.exists() and "up" in trace.read_text(), "quorum_up")
    assert daemon.stop() == 0
    assert trace.read_text().split() == ["start", "up", "end"]
    assert "startup script succeeded" in daemon.lines()
    assert "shutdown script succeeded" in daemon.lines()


def test_the_control_room_follows_the_configuration(daemon: Daemon, server: socket.socket) -> None:
    """The socket is there from the start; TCP comes and goes with its block; a bad block changes nothing."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = "a-token-that-is-long-enough"
    tokens = daemon.directory / "tokens"
    tokens.write_text(f"alice operator {token}\n")
    tokens.chmod(0o600)
    plain = configuration(server.getsockname()[1])
    daemon.start()
    client = Client(str(daemon.directory / "control.sock"))
    assert client.get("/v1/status")["services"]["total"] == 1

    daemon.config.write_text(f"{plain}control {{\n listen 127.0.0.1:{port}\n tokens {tokens}\n}}\n")
    daemon.send(signal.SIGHUP)
    daemon.says("Reload complete")
    until(lambda: asked(port, token) == 200, "the API on TCP")
    assert asked(port, "another") == 401

    daemon.config.write_text(f"{plain}control {{\n listen 127.0.0.1:{port}\n}}\n")
    daemon.send(signal.SIGHUP)
    until(lambda: any("Reload refused" in line for line in daemon.lines()), "the refusal")
    assert asked(port, token) == 200
    kinds = [event["kind"] for event in client.get("/v1/events", follow="false")["events"]]
    assert kinds[-1] == "reload_refused"

    daemon.config.write_text(plain)
    daemon.send(signal.SIGHUP)
    daemon.says("Reload complete", times=2)
    until(lambda: asked(port, token) == 0, "the end of the API on TCP")
    assert daemon.stop() == 0
    assert not (daemon.directory / "control.sock").exists()


def asked(port: int, token: str) -> int:
    """The status of an answer; 0: nobody is there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/v1/status", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    except ConnectionError:
        return 0
    finally:
        connection.close()
