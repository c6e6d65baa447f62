"""Pid files with keepalived's lock: an open-file-description write lock on the file, not
the pid in it, says that a daemon is running (so a stale file is no obstacle).

The lock belongs to the open descriptor and thus survives the fork into the background.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from pathlib import Path

# struct flock on 64-bit Linux: type, whence, start, length, pid (fcntl(2)).
WHOLE_FILE_WRITE_LOCK = struct.pack("@hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class AlreadyRunning(Exception):
    """Another process holds the lock of this pid file."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is locked by a running daemon")
        self.path = path


class PidFile:
    """A locked pid file. It stays until `remove()`, or the end of the process."""

    def __init__(self, path: str) -> None:
        """Lock `path`, making it and its directory when missing. Raises AlreadyRunning, OSError."""
        self.path = path
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.descriptor = lock(path)

    def write(self, pid: int) -> None:
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{pid}\n".encode(), 0)

    def remove(self) -> None:
        """Unlink and unlock. Unlinked first: nobody can lock a file that is about to vanish."""
        with contextlib.suppress(OSError):
            if is_same_file(self.descriptor, self.path):
                os.unlink(self.path)
        with contextlib.suppress(OSError):
            os.close(self.descriptor)


def lock(path: str) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, WHOLE_FILE_WRITE_LOCK)
        except OSError as error:
            os.close(descriptor)
            if error.errno in {errno.EAGAIN, errno.EACCES}:
                raise AlreadyRunning(path) from None
            raise
        if is_same_file(descriptor, path):
            with contextlib.suppress(OSError):  # a mode that cannot be set is no reason not to run
                os.fchmod(descriptor, 0o644)
            return descriptor
        os.close(descriptor)  # the daemon before us removed it between our open and our lock


def is_same_file(descriptor: int, path: str) -> bool:
    try:
        named = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    held = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)
