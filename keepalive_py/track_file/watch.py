"""All track_files of a configuration, on an asyncio loop."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from keepalive_py.checkers.file import LONGEST_LINE, value_of
from keepalive_py.config.track_file import TrackFile
from keepalive_py.track_file.inotify import GONE, OVERFLOW, Happened, Inotify
from keepalive_py.track_file.places import Place, places

__all__ = ["Loop", "Report", "Trouble", "Watch"]

POLL: Final = 1.0  # seconds between reads of a file whose changes nobody reports
SETTLING: Final = 5  # times a path may change while it is being looked up
MODE: Final = 0o644
OUR_OWN: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
# File systems whose files change without an event.
PSEUDO: Final = frozenset(
    {"bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "efivarfs"}
    | {"proc", "pstore", "securityfs", "selinuxfs", "sysfs", "tracefs"}
)
MOUNTS: Final = "/proc/self/mountinfo"

Report = Callable[[str, int], None]
Trouble = Callable[[str, str], None]


class Loop(Protocol):
    """The part of an asyncio loop that the watch needs."""

    def add_reader(self, fd: Any, callback: Callable[..., Any], /) -> Any: ...
    def remove_reader(self, fd: Any, /) -> Any: ...
    def call_later(self, delay: float, callback: Callable[..., Any], /) -> Any: ...


class Followed:
    """One track_file. `value` is None until it was read."""

    __slots__ = ("file", "places", "value")

    def __init__(self, file: TrackFile) -> None:
        self.file = file
        self.value: int | None = None
        self.places: frozenset[Place] = frozenset()


class Watch:
    """`report(name, value)` is told of each file's first number and every change of it;
    `trouble(name, text)` of what the operator should know."""

    def __init__(self, report: Report, trouble: Trouble, *, mounts: str = MOUNTS) -> None:
        self._report = report
        self._trouble = trouble
        self._mounts = mounts
        self._files: dict[str, Followed] = {}
        self._directories: dict[str, int] = {}  # watched, by path
        self._inotify: Inotify | None = None
        self._loop: Loop | None = None
        self._polled: set[str] = set()
        self._timer: Any = None

    # What the daemon calls.

    def attach(self, loop: Loop) -> None:
        """Run in `loop` from now on; call it before `apply`."""
        self._loop = loop

    def apply(self, files: Mapping[str, TrackFile]) -> None:
        """These files, and no others. A file that is new is created if it should be, and read."""
        for name in [name for name in self._files if name not in files]:
            del self._files[name]
            self._polled.discard(name)
        for name, file in files.items():
            known = self._files.get(name)
            if known is None or known.file.path != file.path:
                self._follow(name, file)
            else:
                known.file = file
        self._forget_directories()

    def value(self, name: str) -> int | None:
        """The number in a file: for checks that a reload adds."""
        known = self._files.get(name)
        return None if known is None else known.value

    def close(self) -> None:
        self.apply({})
        if self._timer is not None:
            self._timer.cancel()
        if self._inotify is not None:
            if self._loop is not None:
                self._loop.remove_reader(self._inotify)
            self._inotify.close()
        self._inotify = self._loop = self._timer = None

    # Files.

    def _follow(self, name: str, file: TrackFile) -> None:
        self._files[name] = followed = Followed(file)
        self._polled.discard(name)
        if file.init_value is not None:
            self._create(name, file, file.init_value)
        kind = _file_system(file.path, self._mounts)
        if kind in PSEUDO:
            self._poll(name, f"{file.path} is on {kind}, which reports no changes")
        self._look_again(name, followed)

    def _create(self, name: str, file: TrackFile, value: int) -> None:
        try:
            _write(file.path, f"{value}\n", overwrite=file.init_overwrite)
        except FileExistsError:
            return
        except OSError as error:
            self._trouble(name, f"{file.path} cannot be written: {os.strerror(error.errno or 0)}")

    def _look_again(self, name: str, followed: Followed) -> None:
        """Find out where the path leads now, watch that, and read."""
        for _ in range(SETTLING):
            found = places(followed.file.path)
            if found == followed.places:
                break
            followed.places = found
            self._watch_directories(name, found)
        try:
            value = value_of(_start_of(followed.file.path))
        except OSError as error:
            self._poll(name, f"{followed.file.path} cannot be read now: {os.strerror(error.errno or 0)}")
            return
        if value != followed.value:
            followed.value = value
            self._report(name, value)

    # Directories.

    def _watch_directories(self, name: str, found: Iterable[Place]) -> None:
        for directory in {directory for directory, _ in found} - self._directories.keys():
            try:
                self._directories[directory] = self._opened().add(directory)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    self._poll(name, f"{directory} cannot be watched: {os.strerror(error.errno or 0)}")

    def _forget_directories(self) -> None:
        """No longer watch what nobody follows."""
        wanted = {directory for followed in self._files.values() for directory, _ in followed.places}
        idle = [directory for directory in self._directories if directory not in wanted]
        kept = {watch for directory, watch in self._directories.items() if directory in wanted}
        for directory in idle:
            watch = self._directories.pop(directory)
            if watch not in kept and self._inotify is not None:
                self._inotify.remove(watch)

    def _opened(self) -> Inotify:
        if self._inotify is None:
            self._inotify = Inotify()
            if self._loop is not None:
                self._loop.add_reader(self._inotify, self.changed)
        return self._inotify

    def changed(self) -> None:
        """The kernel has news."""
        if self._inotify is None:
            return
        affected: dict[str, Followed] = {}
        for event in self._inotify.read():
            affected |= self._affected(event)
        for name, followed in affected.items():
            if self._files.get(name) is followed:
                self._look_again(name, followed)
        if affected:
            self._forget_directories()

    def _affected(self, event: Happened) -> dict[str, Followed]:
        if event.mask & OVERFLOW:
            return dict(self._files)
        directories = {path for path, watch in self._directories.items() if watch == event.watch}
        gone = bool(event.mask & GONE)
        affected = {
            name: followed
            for name, followed in self._files.items()
            if _concerns(followed, directories, None if gone else event.name)
        }
        if gone:
            self._lose(directories, event.watch, affected.values())
        return affected

    def _lose(self, directories: set[str], watch: int, affected: Iterable[Followed]) -> None:
        """A directory was deleted or moved away: what had its path must be looked up again."""
        for directory in directories:
            del self._directories[directory]
        for followed in affected:
            followed.places = frozenset()
        assert self._inotify is not None
        self._inotify.remove(watch)

    # Where there are no events.

    def _poll(self, name: str, why: str) -> None:
        if name in self._polled:
            return
        self._polled.add(name)
        self._trouble(name, f"{why}: it is read once a second")
        if self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(POLL, self._read_polled)

    def _read_polled(self) -> None:
        self._timer = None
        for name in sorted(self._polled):
            self._look_again(name, self._files[name])
        if self._polled and self._loop is not None:
            self._timer = self._loop.call_later(POLL, self._read_polled)


def _concerns(followed: Followed, directories: set[str], name: str | None) -> bool:
    return any(
        directory in directories and (name is None or name == entry) for directory, entry in followed.places
    )


def _write(path: str, text: str, *, overwrite: bool) -> None:
    """Never through a symbolic link, which somebody else may have put there."""
    how = os.O_TRUNC | os.O_NOFOLLOW if overwrite else os.O_EXCL
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, MODE)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _start_of(path: str) -> bytes:
    """Enough of a file for its number; nothing when it cannot be read. Never waits for a FIFO. Raises
    OSError when that is our own trouble, and says nothing of the file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in OUR_OWN:
            raise
        return b""
    try:
        return os.read(fd, LONGEST_LINE)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _file_system(path: str, mounts: str) -> str:
    """The type of the file system that `path` is on; "" when nobody knows. proc(5), mountinfo."""
    try:
        device = os.stat(path).st_dev
        with open(mounts, encoding="utf-8", errors="replace") as stream:
            lines = [line.split() for line in stream]
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    return next((words[words.index("-") + 1] for words in lines if words[2] == wanted), "")
