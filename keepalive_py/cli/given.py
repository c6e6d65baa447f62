"""Files that a command is given, of which standard input (`-`) and pipes, such as <(…) of a shell, can
be read only once."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO, Final

from keepalive_py.config.source import LARGEST, SourceProblem
from keepalive_py.sources import template as templates
from keepalive_py.sources.files import FileSystem

SHIPPED: Final = Path(templates.__file__).parent / "templates"


def text_of(file: str) -> str:
    """Raises OSError."""
    if file == "-":
        if sys.stdin is None:
            raise OSError(errno.EBADF, "it is closed")
        return within_bounds(sys.stdin.buffer)
    with open(file, "rb") as stream:
        return within_bounds(stream)


def within_bounds(stream: BinaryIO) -> str:
    """Raises OSError: what is larger than any configuration (a device, an image) is none."""
    content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise OSError(errno.EFBIG, f"it is {SourceProblem.TOO_LARGE.value}")
    return content.decode("utf-8", "surrogateescape")


def take_in(file: str) -> None:
    """So that the language layer finds it, and the lines that diagnostics show."""
    if file == "-" or is_pipe(file):
        try:
            FileSystem.piped[file] = text_of(file).encode("utf-8", "surrogateescape")
        except OSError as error:
            large = error.errno == errno.EFBIG
            FileSystem.piped[file] = SourceProblem.TOO_LARGE if large else SourceProblem.UNREADABLE


def is_pipe(file: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(file).st_mode)
    except (OSError, ValueError):
        return False


def found(name: str) -> str:
    """A file of that name, else one that comes with the program."""
    shipped = SHIPPED / name
    return str(shipped) if not os.path.exists(name) and "/" not in name and shipped.exists() else name
