"""The file system as a source of configuration text."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from keepalive_py.config.source import SourceProblem, matching_paths

__all__ = ["FileSystem"]

_EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


class FileSystem:
    """A `Source` over real files; relative paths start at the process's directory."""

    def read(self, path: str) -> bytes | SourceProblem:
        try:
            return self._read(os.fsencode(path))
        except (FileNotFoundError, NotADirectoryError):
            return SourceProblem.MISSING
        except (OSError, ValueError):  # ValueError: a NUL in the name
            return SourceProblem.UNREADABLE

    def _read(self, path: bytes) -> bytes | SourceProblem:
        # Judged before it is opened, because opening a FIFO or a device can block or act.
        problem = _problem(os.stat(path).st_mode)
        if problem:
            return problem
        with open(path, "rb") as file:
            return file.read()

    def glob(self, pattern: str) -> list[str]:
        return matching_paths(pattern, self._names_in, os.path.lexists)

    def _names_in(self, directory: str) -> Iterable[str]:
        try:
            return os.listdir(directory)
        except (OSError, ValueError):
            return ()


def _problem(mode: int) -> SourceProblem | None:
    if stat.S_ISDIR(mode):
        return SourceProblem.DIRECTORY
    if not stat.S_ISREG(mode):
        return SourceProblem.NOT_REGULAR
    return SourceProblem.EXECUTABLE if mode & _EXECUTABLE else None
