"""The file system as a source of configuration text."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from typing import ClassVar, Final

from keepalive_py.config.source import LARGEST, SourceProblem, matching_paths

__all__ = ["FileSystem", "content_of"]

PIECE: Final = 1 << 20  # bytes of one read(2)

_EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


class FileSystem:
    """A `Source` over real files; relative paths start at the process's directory."""

    # What a command read of its standard input or a pipe, by name: that can be done only once.
    piped: ClassVar[dict[str, bytes | SourceProblem]] = {}

    def read(self, path: str) -> bytes | SourceProblem:
        if path in self.piped:
            return self.piped[path]
        try:
            return self._read(os.fsencode(path))
        except (FileNotFoundError, NotADirectoryError):
            return SourceProblem.MISSING
        except (OSError, ValueError):  # ValueError: a NUL in the name
            return SourceProblem.UNREADABLE

    def _read(self, path: bytes) -> bytes | SourceProblem:
        problem = _problem(os.stat(path).st_mode)
        if problem:
            return problem
        try:
            return content_of(path)
        except OSError as error:
            if error.errno == errno.EFBIG:
                return SourceProblem.TOO_LARGE
            raise

    def glob(self, pattern: str) -> list[str]:
        return matching_paths(pattern, self._names_in, os.path.lexists)

    def _names_in(self, directory: str) -> Iterable[str]:
        try:
            return os.listdir(directory)
        except (OSError, ValueError):
            return ()


def content_of(path: str | bytes, most: int = LARGEST) -> bytes:
    """What a regular file holds; it never waits for somebody to write. Raises OSError, EFBIG for
    more than `most` bytes."""
    # Judged before it is opened, because opening a device can act; some files of /proc claim to be
    # regular and wait all the same.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, SourceProblem.NOT_REGULAR.value, os.fsdecode(path))
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        pieces, size = [], 0
        while piece := os.read(descriptor, PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), os.fsdecode(path))
    finally:
        os.close(descriptor)
    return b"".join(pieces)


def _problem(mode: int) -> SourceProblem | None:
    if stat.S_ISDIR(mode):
        return SourceProblem.DIRECTORY
    if not stat.S_ISREG(mode):
        return SourceProblem.NOT_REGULAR
    return SourceProblem.EXECUTABLE if mode & _EXECUTABLE else None
