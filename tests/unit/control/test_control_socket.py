"""The control socket: who may have it, and what becomes of it."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from control_rig import FakeHost, Rig

from keepalive_py.cli.client import Client, NotAnswered
from keepalive_py.control.listening import ControlSocket


async def test_it_is_its_owners_alone(rig: Rig) -> None:
    assert mode(rig.path) == 0o600
    assert mode(os.path.dirname(rig.path)) == 0o700


async def test_it_serves(rig: Rig) -> None:
    assert await asyncio.to_thread(Client(rig.path).get, "/v1/status") == {"version": "1"}
    assert rig.warnings == []


async def test_it_goes_with_the_daemon(rig: Rig) -> None:
    await rig.control.close()
    assert not await asyncio.to_thread(os.path.lexists, rig.path)


async def test_what_a_dead_daemon_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    warnings: list[str] = []
    control = ControlSocket(FakeHost(), warnings.append, lambda *_: None)
    control.open(str(path))
    try:
        assert await asyncio.to_thread(Client(str(path)).get, "/v1/status") == {"version": "1"}
        assert warnings == []
    finally:
        await control.close()


async def test_a_start_that_failed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without descriptors nothing can be imported; who waits is served when there are some again."""
    monkeypatch.setattr("keepalive_py.control.listening.AGAIN", 0.05)
    attempts = 0

    async def import_server() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("keepalive_py.control.listening.load_server", import_server)
    path, warnings = str(tmp_path / "control.sock"), list[str]()
    control = ControlSocket(FakeHost(), warnings.append, lambda *_: None)
    control.open(path)
    try:
        assert await asyncio.to_thread(Client(path).get, "/v1/status") == {"version": "1"}
        assert warnings == ["The control API cannot be served now: Too many open files"] * 2
    finally:
        await control.close()


async def test_one_that_somebody_took_away_is_made_anew(rig: Rig) -> None:
    client = Client(rig.path)
    assert await asyncio.to_thread(client.get, "/v1/status") == {"version": "1"}
    await rig.control.renew()
    assert rig.warnings == []
    os.unlink(rig.path)
    os.rmdir(os.path.dirname(rig.path))
    for _ in range(2):
        await rig.control.renew()
    assert rig.warnings == [f"Control socket {rig.path} was taken away: it is made anew"]
    assert await asyncio.to_thread(client.get, "/v1/status") == {"version": "1"}


async def test_a_living_daemons_stays(rig: Rig) -> None:
    """The second one goes on without, and does not take it away when it ends."""
    warnings: list[str] = []
    second = ControlSocket(FakeHost(), warnings.append, lambda *_: None)
    second.open(rig.path)
    await second.close()
    assert warnings == [
        f"Control socket {rig.path} cannot be had: another daemon uses it; going on without it"
    ]
    assert await asyncio.to_thread(Client(rig.path).get, "/v1/status") == {"version": "1"}


async def test_a_file_in_its_place_stays(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("precious")
    warnings: list[str] = []
    control = ControlSocket(FakeHost(), warnings.append, lambda *_: None)
    control.open(str(path))
    await control.close()
    assert len(warnings) == 1
    assert path.read_text() == "precious"


async def test_a_path_that_is_too_long_is_a_warning(tmp_path: Path) -> None:
    warnings: list[str] = []
    control = ControlSocket(FakeHost(), warnings.append, lambda *_: None)
    control.open(str(tmp_path / ("x" * 200)))
    await control.close()
    assert len(warnings) == 1
    assert "cannot be had" in warnings[0]


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(NotAnswered, match=r"is keepalive-py running\?"):
        Client(str(tmp_path / "none")).get("/v1/status")


def test_a_daemon_that_nobody_asks_does_not_import_aiohttp() -> None:
    program = "import sys, keepalive_py.cli.daemon; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


async def test_without_descriptors_clients_wait_and_little_is_said(rig: Rig) -> None:
    """Each failure of accept() is told to the loop, which once led to thousands a second."""
    assert (await rig.ask("GET", "/v1/status")).status == 200
    told: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["message"]))
    clients = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    next_one = os.dup(0)
    os.close(next_one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, hard))
    try:
        for client in clients:
            client.setblocking(False)
            client.connect(rig.path)
        await asyncio.sleep(2.5)
        assert 1 <= len(told) <= 4, len(told)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        loop.set_exception_handler(None)
    for client in clients:
        await loop.sock_sendall(client, b"GET /v1/live HTTP/1.0\r\n\r\n")
        assert (await asyncio.wait_for(loop.sock_recv(client, 4096), 10)).startswith(b"HTTP/1.0 200")
        client.close()
