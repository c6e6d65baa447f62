"""What is remembered over a restart: small files in a directory that is ours alone.

`--state-directory DIR`, else what systemd's StateDirectory= names in $STATE_DIRECTORY
(systemd.exec(5)), else none: then nothing is remembered, as with keepalived.

Writes replace a file whole, so that a reader, or a boot after a power cut, finds the old or the
new one. Reads never raise: what is not there is not remembered, and neither is what is damaged, which
is said. A directory that cannot be used, or that others could write to, is one warning. All of it blocks
(a write waits for the disk): call it from a thread where the loop must not wait.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from keepalive_py.daemon import voice
from keepalive_py.daemon.options import Options
from keepalive_py.replacing import replace_file
from keepalive_py.sources.files import content_of

__all__ = ["StateDirectory", "state_directory"]

OURS_ALONE: Final = 0o700


def state_directory(options: Options, environment: Mapping[str, str] = os.environ) -> StateDirectory:
    """The one that the command line asks for, or systemd, or the one that forgets everything."""
    return StateDirectory(options.state_directory or environment.get("STATE_DIRECTORY", "").split(":")[0])


class StateDirectory:
    """`path` may be "": nothing is kept then, and nothing is said. Names are relative and may
    have directories in them, which are made when they are needed."""

    def __init__(self, path: str, warn: Callable[[str], None] = voice.warn) -> None:
        self.path = os.path.abspath(path) if path else ""
        self.warn = warn
        self._said = False
        self._damaged: set[str] = set()  # and told to be
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self.path)

    def write_json(self, name: str, value: Any) -> bool:
        """Whether it is on the disk now."""
        return self.write(name, json.dumps(value, indent=1).encode() + b"\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """{} when there is no such file, or nobody can read it as an object, which is said."""
        content = self.read(name)
        if content is None:
            return {}
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            if name not in self._damaged:
                self._damaged.add(name)
                self.warn(f"{self.path}/{name} is damaged: nothing of it is remembered")
            return {}
        return found

    def write(self, name: str, content: bytes) -> bool:
        """All of it or nothing, readable by us alone. Whether it is on the disk now."""
        if not self.path:
            return False
        with self._lock:
            try:
                replace_file(self._made_room(name), content, durable=True)
            except OSError as error:
                self._say(f"{error.filename or self.path}: {error.strerror}")
                return False
        return True

    def read(self, name: str) -> bytes | None:
        if not self.path:
            return None
        try:
            self._refuse_foreign(self.path)
            return content_of(self._place(name))
        except FileNotFoundError:
            return None
        except OSError as error:
            self._say(f"{error.filename or self.path}: {error.strerror}")
            return None

    def names(self, directory: str = "") -> list[str]:
        """The files in a directory below, sorted; drafts of writes that were cut off are not."""
        if not self.path:
            return []
        try:
            found = os.listdir(self._place(directory) if directory else self.path)
        except OSError:
            return []
        return sorted(name for name in found if not name.startswith("."))

    def remove(self, name: str) -> None:
        if self.path:
            with self._lock, contextlib.suppress(OSError):
                os.unlink(self._place(name))

    def _place(self, name: str) -> str:
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"{name!r} leads out of the state directory")
        return f"{self.path}/{name}"

    def _made_room(self, name: str) -> str:
        place = self._place(name)
        make_directory(self.path)
        self._refuse_foreign(self.path)
        if "/" in name:
            make_directory(os.path.dirname(place))
        return place

    def _refuse_foreign(self, path: str) -> None:
        """What others can write to is not ours to believe: what is kept here decides what is run
        as root."""
        found = os.stat(path)
        if found.st_uid not in (0, os.geteuid()):
            raise PermissionError(0, "it belongs to somebody else", path)
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(0, "others may write to it", path)

    def _say(self, why: str) -> None:
        if not self._said:
            self._said = True
            self.warn(f"The state directory cannot be used, so things will not be remembered: {why}")


def make_directory(path: str) -> None:
    """With what leads to it. The umask of a daemon would leave one that nobody can enter."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        make_directory(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
        os.chmod(path, OURS_ALONE)
