"""What systemd hears."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from keepalive_py.daemon.systemd import ServiceNotifier, watchdog_interval


@pytest.fixture
def manager(tmp_path: Path) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    channel.bind(str(tmp_path / "notify"))
    channel.settimeout(5)
    return channel


def test_life_as_systemd_hears_it(manager: socket.socket) -> None:
    notifier = ServiceNotifier({"NOTIFY_SOCKET": manager.getsockname()})
    notifier.ready("7 virtual servers")
    assert manager.recv(999).decode() == f"READY=1\nMAINPID={os.getpid()}\nSTATUS=7 virtual servers"
    notifier.reloading()
    first, stamp = manager.recv(999).decode().split("\n")
    assert first == "RELOADING=1"
    assert int(stamp.removeprefix("MONOTONIC_USEC=")) > 0
    notifier.stopping()
    assert manager.recv(999) == b"STOPPING=1"
    notifier.alive()
    assert manager.recv(999) == b"WATCHDOG=1"


def test_an_abstract_address() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0keepalive-test-{os.getpid()}")
        channel.settimeout(5)
        ServiceNotifier({"NOTIFY_SOCKET": f"@keepalive-test-{os.getpid()}"}).stopping()
        assert channel.recv(99) == b"STOPPING=1"


def test_a_manager_that_does_not_read_never_stops_us(manager: socket.socket) -> None:
    notifier = ServiceNotifier({"NOTIFY_SOCKET": manager.getsockname()})
    for _ in range(2000):  # far more than the socket's queue holds
        notifier.alive()


def test_without_descriptors_it_goes_on(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else systemd would take our silence for a hang, and end us."""
    notifier = ServiceNotifier({"NOTIFY_SOCKET": manager.getsockname()})

    def none_left(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", none_left)
    notifier.alive()
    assert manager.recv(999) == b"WATCHDOG=1"


def test_a_status_is_one_line_whatever_it_is_of(manager: socket.socket) -> None:
    """What a refused configuration says need not be UTF-8."""
    ServiceNotifier({"NOTIFY_SOCKET": manager.getsockname()}).status("caf\udce9\nREADY=1")
    assert manager.recv(999) == b"STATUS=caf\\udce9 READY=1"


def test_nobody_listens() -> None:
    ServiceNotifier({}).ready()
    ServiceNotifier({"NOTIFY_SOCKET": "/nonexistent/notify"}).ready()


def test_the_variables_are_not_left_to_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/x")
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    notifier = ServiceNotifier.take_over()
    assert (notifier.address, notifier.watchdog_interval) == ("/x", 15.0)
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & set(os.environ)


def test_a_watchdog_for_another_process_is_not_ours() -> None:
    assert watchdog_interval({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}) == 0.0
    assert watchdog_interval({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}) == 0.5
    assert watchdog_interval({"WATCHDOG_USEC": "soon"}) == 0.0
