"""Files that are replaced whole: who reads one finds the old or the new content, never half of it."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Final

__all__ = ["replace_file"]

OURS_ALONE: Final = 0o600
FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def replace_file(
    path: str,
    content: bytes,
    *,
    mode: int = OURS_ALONE,
    owner: tuple[int, int] | None = None,
    durable: bool = False,
) -> None:
    """`content` under `path`, with this mode whatever the umask, and this owner and group.

    `durable`: there also after a power cut, for which the disk is waited for. A link at `path` is
    replaced and not followed: others may write to the directory. Raises OSError, and leaves the
    old file and no draft then.
    """
    directory, name = os.path.split(path)
    draft = os.path.join(directory, f".{name}.{threading.get_native_id()}")
    with contextlib.suppress(FileNotFoundError):  # of one that was killed while it wrote
        os.unlink(draft)
    descriptor = os.open(draft, FLAGS, OURS_ALONE)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            if owner is not None:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)  # last: a new owner takes bits away
            if durable:
                os.fsync(descriptor)
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
    if durable:
        _sync_directory(directory or ".")


def _sync_directory(path: str) -> None:
    """The new name, not only the content."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # not every file system can
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
