"""inotify(7) through ctypes, with one descriptor. The standard library does not have it."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final, NamedTuple

__all__ = ["CHANGES", "GONE", "IGNORED", "OVERFLOW", "Happened", "Inotify", "parse"]

# linux/inotify.h
CLOSE_WRITE: Final = 0x00000008
MOVED_FROM: Final = 0x00000040
MOVED_TO: Final = 0x00000080
CREATE: Final = 0x00000100
DELETE: Final = 0x00000200
DELETE_SELF: Final = 0x00000400
MOVE_SELF: Final = 0x00000800
OVERFLOW: Final = 0x00004000
IGNORED: Final = 0x00008000
ONLYDIR: Final = 0x01000000

CHANGES: Final = CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF | ONLYDIR
GONE: Final = DELETE_SELF | MOVE_SELF | IGNORED
HEADER: Final = struct.Struct("=iIII")  # watch, mask, cookie, length of the name
BUFFER: Final = 65536

_libc: Final = ctypes.CDLL(None, use_errno=True)


class Happened(NamedTuple):
    """`name` is in the watched directory; empty when the event is about the directory itself."""

    watch: int
    mask: int
    name: str


class Inotify:
    """Non-blocking. Every method raises OSError."""

    def __init__(self) -> None:
        self._fd = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def fileno(self) -> int:
        return self._fd

    def add(self, directory: str) -> int:
        """Watch a directory; the same one again gives the same number."""
        return _checked(_libc.inotify_add_watch(self._fd, os.fsencode(directory), CHANGES))

    def remove(self, watch: int) -> None:
        """A watch that is gone already is no error."""
        _libc.inotify_rm_watch(self._fd, watch)

    def read(self) -> list[Happened]:
        """What has happened, an empty list when nothing has."""
        try:
            return parse(os.read(self._fd, BUFFER))
        except BlockingIOError:
            return []

    def close(self) -> None:
        os.close(self._fd)


def parse(events: bytes) -> list[Happened]:
    found, offset = [], 0
    while offset < len(events):
        watch, mask, _cookie, length = HEADER.unpack_from(events, offset)
        offset += HEADER.size
        name = events[offset : offset + length].rstrip(b"\0")
        offset += length
        found.append(Happened(watch, mask, os.fsdecode(name)))
    return found


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
