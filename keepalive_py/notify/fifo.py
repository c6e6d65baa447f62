"""Notify FIFOs: a line for each change, for a reader that may come and go.

The FIFO is opened for reading and writing, so it never has nobody at the other end; it is
non-blocking, so a reader that sleeps costs lines and not time. Lost lines are counted.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable

from keepalive_py.notify.security import Account

MODE = 0o644  # less the umask

Warn = Callable[[str], None]


class FifoRefused(Exception):
    """The path is not a FIFO that we may use; the text says why."""


class Fifo:
    """One open notify FIFO. Raises FifoRefused when made."""

    def __init__(self, path: str, owner: Account | None, warn: Warn) -> None:
        self.path = path
        self.warn = warn
        self.lost = 0
        self.losing = False
        self.created = False
        self.descriptor = -1
        self.created = make(path)
        try:
            self.descriptor = opened(path, owner)
            if self.created and owner is not None:
                give_to(self.descriptor, path, owner)
        except FifoRefused:
            self.close()
            raise

    def write(self, line: str) -> None:
        """`line` ends with a line feed. Shorter than PIPE_BUF, so never half of it goes in."""
        try:
            os.write(self.descriptor, line.encode("utf-8", "surrogateescape"))
        except BlockingIOError:
            self.lost += 1
            if not self.losing:
                self.losing = True
                self.warn(f"notify fifo {self.path} is full: lines are lost until somebody reads it")
        except OSError as error:
            self.lost += 1
            self.warn(f"notify fifo {self.path}: {error.strerror}")
        else:
            self.losing = False

    def close(self) -> None:
        """Let go; a FIFO that we made goes away."""
        if self.created and (self.descriptor < 0 or self.is_there()):
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        self.created = False
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def is_there(self) -> bool:
        """Whether the path still leads to it. Nobody can open one that was removed or replaced."""
        try:
            return os.path.samestat(os.lstat(self.path), os.fstat(self.descriptor))
        except OSError:
            return False


def make(path: str) -> bool:
    """Make the FIFO if nothing is there; whether we did."""
    try:
        os.mkfifo(path, MODE)
    except FileExistsError:
        return False
    except OSError as error:
        raise FifoRefused(f"Unable to create notify fifo {path}: {error.strerror}") from None
    return True


def opened(path: str, owner: Account | None) -> int:
    flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY
    try:
        if not stat.S_ISFIFO(os.lstat(path).st_mode):  # opening a device could do something
            raise FifoRefused(f"notify fifo {path} is not a FIFO")
        descriptor = os.open(path, flags)
    except OSError as error:
        raise FifoRefused(f"Unable to open notify fifo {path} - errno {error.errno}") from None
    status = os.fstat(descriptor)
    if not stat.S_ISFIFO(status.st_mode) or status.st_uid not in trusted(owner):
        os.close(descriptor)
        raise FifoRefused(f"notify fifo {path} belongs to somebody else")
    return descriptor


def trusted(owner: Account | None) -> set[int]:
    return {os.geteuid()} | ({owner.uid} if owner is not None else set())


def give_to(descriptor: int, path: str, owner: Account) -> None:
    try:
        os.fchown(descriptor, owner.uid, owner.gid)
    except OSError:
        raise FifoRefused(f"Failed to set uid:gid for fifo {path}") from None
