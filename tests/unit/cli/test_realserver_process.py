"""`keepalive-py --role realserver` as a process. With a module that there is: tests/vm."""

from __future__ import annotations

import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_daemon_process import Daemon, until

BLOCK = "toa {{\n module no_such_module {{\n }}\n check_interval 0.2\n listen 127.0.0.1 {port}\n {more}\n}}\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RealServer(Daemon):
    def write(self, port: int, more: str = "") -> None:
        self.config.write_text(BLOCK.format(port=port, more=more))

    def begin(self, *more: str) -> None:
        self.start("--role", "realserver", "--state-directory", str(self.directory / "state"), *more)


def health(port: int) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    made = RealServer(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def test_it_says_that_a_module_is_missing_and_what_to_do(server: RealServer) -> None:
    port = free_port()
    server.write(port)
    server.begin()

    assert health(port)[0] == 503
    assert health(port)[1].startswith("failed\nno_such_module: ")
    (line,) = [line for line in server.lines() if "modprobe" in line]
    assert line.startswith("module no_such_module: ")
    assert server.stop() == 0
    assert server.lines()[-1].startswith("Stopped ")


def test_a_reload_moves_it_and_a_bad_one_changes_nothing(server: RealServer) -> None:
    port, other = free_port(), free_port()
    server.write(port)
    server.begin()
    server.write(port, "check_intervall 5")
    server.send(signal.SIGHUP)
    server.says("Reload refused, the running configuration stays")
    assert health(port)[0] == 503
    server.write(other)
    server.send(signal.SIGHUP)
    server.says("Reload complete")

    assert (health(port)[0], health(other)[0]) == (0, 503)
    assert server.stop() == 0


def test_with_watch_a_changed_file_is_enough(server: RealServer) -> None:
    port, other = free_port(), free_port()
    server.write(port)
    server.begin("--watch")
    server.write(other)
    server.says("Reload complete")

    until(lambda: health(other)[0] == 503, "it listens at the new place")


def test_it_has_no_control_socket_of_its_own(server: RealServer, tmp_path: Path) -> None:
    server.write(free_port())
    server.begin()

    assert not (tmp_path / "control.sock").exists()
