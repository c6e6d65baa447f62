"""The unix socket: there from the daemon's start, served from the first connection on.

Whoever connects while aiohttp is still being imported waits in the socket's backlog.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib
import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keepalive_py.control.host import Host
from keepalive_py.turns import short_turns

if TYPE_CHECKING:
    from keepalive_py.control.server import Server

BACKLOG: Final = 128
SERVER: Final = "keepalive_py.control.server"
AGAIN: Final = 5.0  # seconds after which a start that failed is tried again, if somebody waits

Say = Callable[[str], None]
Complain = Callable[[str, Exception], None]


class InUse(OSError):
    """Somebody answers there."""


class ControlSocket:
    """Open once, close once. What cannot be opened is said and does without."""

    def __init__(self, host: Host, warn: Say, complain: Complain) -> None:
        self.host = host
        self.warn = warn
        self.complain = complain
        self.path: str | None = None
        self.channel: socket.socket | None = None
        self.server: Server | None = None
        self._identity: tuple[int, int] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._reading = False
        self._again: asyncio.TimerHandle | None = None

    def open(self, path: str) -> None:
        try:
            self.channel = listen(path)
            status = os.stat(path)
        except OSError as error:
            self.warn(f"Control socket {path} cannot be had: {error.strerror or error}; going on without it")
            return
        self.path, self._identity = path, (status.st_dev, status.st_ino)
        self.await_client()

    async def renew(self) -> None:
        """Where somebody took the file away, nobody finds us: it is made anew."""
        if self.path is None or is_there(self.path):
            return
        self.warn(f"Control socket {self.path} was taken away: it is made anew")
        await self.close()
        self.server = self._starting = self._again = None
        self.open(self.path)

    def await_client(self) -> None:
        self._reading = True
        asyncio.get_running_loop().add_reader(self.channel, self.first_connection)  # type: ignore[arg-type]

    def first_connection(self) -> None:
        loop = asyncio.get_running_loop()
        self.stop_reading()
        self._starting = loop.create_task(self.start(), name="control server")

    def stop_reading(self) -> None:
        if self._reading and self.channel is not None:
            asyncio.get_running_loop().remove_reader(self.channel)
        self._reading = False

    async def start(self) -> None:
        assert self.channel is not None
        try:
            await load_server()
            from keepalive_py.control.server import serve_unix

            self.server = await serve_unix(self.channel, self.host, self.complain)
        except OSError as error:  # no descriptors, as a rule
            self.warn(f"The control API cannot be served now: {error.strerror or error}")
        except Exception as error:  # the boundary: without an API the daemon still balances
            self.complain("the control server", error)
        if self.server is None:
            self._again = asyncio.get_running_loop().call_later(AGAIN, self.await_client)

    async def close(self) -> None:
        self.stop_reading()
        if self._again is not None:
            self._again.cancel()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self.server is not None:
            await self.server.close()
        if self.channel is not None:
            self.channel.close()
        self.unlink()

    def unlink(self) -> None:
        """Only what is still ours: a successor may have put its own there."""
        if self.path is None:
            return
        with contextlib.suppress(OSError):
            status = os.stat(self.path, follow_symlinks=False)
            if (status.st_dev, status.st_ino) == self._identity:
                os.unlink(self.path)


def is_there(path: str) -> bool:
    return os.path.lexists(path)


async def load_server() -> None:
    await load(SERVER)


async def load(module: str) -> None:
    """In a thread and in short turns: aiohttp takes a while to import."""
    if module in sys.modules:
        return
    with short_turns():
        await asyncio.to_thread(importlib.import_module, module)


def listen(path: str) -> socket.socket:
    """A listening socket at `path` that only its owner can connect to, in a directory that is made
    if it is not there. Raises OSError; InUse when another daemon answers there."""
    make_directory(Path(path).parent)
    remove_dead(path)
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    before = os.umask(0o177)  # from its first moment on, nobody else may connect
    try:
        channel.bind(path)
        channel.listen(BACKLOG)
    except BaseException:
        channel.close()
        raise
    finally:
        os.umask(before)
    return channel


def make_directory(directory: Path) -> None:
    """Where only we may look, whatever the umask says. Raises OSError."""
    if directory.is_dir():
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        directory.mkdir()
        directory.chmod(0o700)


def remove_dead(path: str) -> None:
    """A socket that a dead daemon left behind goes; anything else stays. Raises OSError."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise OSError(errno.EEXIST, "there is something else, and no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            pass
        except BlockingIOError:
            raise InUse(errno.EADDRINUSE, "another daemon uses it, and is busy") from None
        else:
            raise InUse(errno.EADDRINUSE, "another daemon uses it")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
