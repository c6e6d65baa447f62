"""Tells when the configuration on disk is another one.

Events of the file system only say "look again": the directories of every file, of what its
symbolic links lead to, and of every pattern are watched, so that an editor's rename, a swapped
link (`..data` of a mounted ConfigMap) and a file that appears are seen. When it has been quiet
for a while, the files are compared with what they were, by identity, size, time and mode; a touch of
something else in the same directory, or a change that was undone, is no change. Where there are no events
(the kernel has no inotify instance or watch left for us) the files are looked at now and then.

See inotify(7), glob(7).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog import events
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from keepalive_py.config.source import WILDCARD
from keepalive_py.sources.files import FileSystem

QUIET = 0.5  # seconds without an event before the files are looked at
PATIENCE = 5.0  # seconds after which they are looked at although it is not quiet
POLL = 5.0  # seconds between looks where there are no events
# Not that files are opened and read: each program that starts does that in /etc, and so do we.
STIRRING: list[type[FileSystemEvent]] = [
    events.DirCreatedEvent,
    events.DirDeletedEvent,
    events.DirModifiedEvent,
    events.DirMovedEvent,
    events.FileClosedEvent,
    events.FileCreatedEvent,
    events.FileDeletedEvent,
    events.FileModifiedEvent,
    events.FileMovedEvent,
]
TICK = 20_000_000  # nanoseconds that a file system's clock may be behind

Identity = tuple[int, int, int, int, int]
Signature = dict[str, Identity | None]


class FileWatch:
    """Calls `changed` in the event loop. `follow` says what to watch; it may be called again.

    `trouble` gets a sentence when something cannot be watched; it is polled then.
    """

    def __init__(
        self,
        changed: Callable[[], None],
        trouble: Callable[[str], None],
        *,
        quiet: float = QUIET,
        poll: float = POLL,
    ) -> None:
        self._changed = changed
        self._trouble = trouble
        self._quiet = quiet
        self._poll = poll
        self._patterns: tuple[str, ...] = ()
        self._seen: Signature = {}
        self._marked: dict[str, Signature] = {}  # by pattern
        self._observer: BaseObserver | None = None
        self._wanted: set[str] = set()  # directories, there or not
        self._watched: dict[str, tuple[tuple[int, int], ObservedWatch | None]] = {}  # which it is
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._poll_timer: asyncio.TimerHandle | None = None
        self._latest = 0.0
        self._observe()

    def _observe(self) -> None:
        try:
            self._observer = Observer()
            self._observer.start()
        except (OSError, RuntimeError) as error:  # no inotify instance is left, or no thread
            self._observer = None
            self._poll_from_now(f"Files cannot be watched: {said(error)}")

    def follow(self, patterns: Iterable[str], read: int = 0) -> None:
        """Files and glob(7) patterns, as they are now, or were at the last `mark`: only later
        changes count. `read`: when reading them began, in nanoseconds of Unix time; what was not
        marked and changed since may have been read half."""
        self._patterns = tuple(dict.fromkeys(map(os.path.abspath, patterns)))
        self._seen = _signature(self._patterns)
        for pattern in self._patterns:
            if pattern in self._marked:
                self._seen |= self._marked[pattern]
            elif read:
                self._seen |= _changed_since(pattern, read)
        if self._marked or read:
            self._marked = {}
            self._settle()
        self._wanted = _directories(self._patterns, self._seen)
        self._watch_directories()

    def mark(self) -> None:
        """The files are about to be read: what changes from now on counts after `follow`."""
        self._marked = {pattern: _signature((pattern,)) for pattern in self._patterns}

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._poll_timer is not None:
            self._poll_timer.cancel()
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(5)

    def _watch_directories(self) -> None:
        """Those that are wanted and there, as they are now: one that was moved away or deleted and
        made again is another one."""
        if self._observer is None:
            return
        there = {each: which for each in self._wanted if (which := _which(each)) is not None}
        for path in [each for each, (which, _) in self._watched.items() if there.get(each) != which]:
            if (gone := self._watched.pop(path)[1]) is not None:
                self._observer.unschedule(gone)
        for path in sorted(there.keys() - self._watched.keys()):
            watch = None
            try:
                watch = self._observer.schedule(_Stir(self._stirred), path, event_filter=STIRRING)
                self._settle()  # for what came before the watch
            except (OSError, RuntimeError) as error:
                self._poll_from_now(f"Unable to watch {path}: {said(error)}")
            self._watched[path] = there[path], watch

    def _poll_from_now(self, why: str) -> None:
        self._trouble(f"{why}; the configuration is looked at every {self._poll:g} s")
        if self._poll_timer is None:
            self._poll_timer = self._loop.call_later(self._poll, self._look_now_and_then)

    def _look_now_and_then(self) -> None:
        self._poll_timer = self._loop.call_later(self._poll, self._look_now_and_then)
        if self._timer is None:  # else it is about to be looked at anyway
            self._look()

    def _stirred(self) -> None:
        """In watchdog's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: we are ending
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        """Look when it is quiet, but not later than PATIENCE after the first event."""
        now = self._loop.time()
        if self._timer is None:
            self._latest = now + PATIENCE
        else:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(now + self._quiet, self._latest), self._look)

    def _look(self) -> None:
        self._timer = None
        self._wanted |= _matching(self._patterns)
        self._watch_directories()
        found = _signature(self._patterns)
        if (
            all(found.get(path) == was for path, was in self._seen.items())
            and found.keys() <= self._seen.keys()
        ):
            return
        self._seen = found
        self._wanted = _directories(self._patterns, found)
        self._watch_directories()
        self._changed()


class _Stir(FileSystemEventHandler):
    def __init__(self, stirred: Callable[[], None]) -> None:
        self._tell = stirred

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._tell()


def said(error: OSError | RuntimeError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _signature(patterns: Iterable[str]) -> Signature:
    """Every file that exists or was named, and what it is; None: not there."""
    files: Signature = {}
    source = FileSystem()
    for pattern in patterns:
        for path in source.glob(pattern) or [pattern]:
            files[path] = _identity(path)
    return files


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode


def _changed_since(pattern: str, moment: int) -> Signature:
    """The files that changed, as not there: the next look finds a change."""
    return {path: None for path in _signature((pattern,)) if _changed_at(path) > moment - TICK}


def _changed_at(path: str) -> int:
    """Nanoseconds of Unix time. A rename into place counts, which keeps the time of the content."""
    try:
        return os.stat(path).st_ctime_ns
    except OSError:
        return 0


def _which(directory: str) -> tuple[int, int] | None:
    """None: there is no such directory."""
    try:
        found = os.stat(directory)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None


def _directories(patterns: Iterable[str], files: Iterable[str]) -> set[str]:
    """Where an event can mean a change: of each path every link on the way, and the target. With the
    directory around each, where it is seen to go and to come, and those that are not there yet."""
    wanted = _matching(patterns)
    for path in (*patterns, *files):
        wanted |= _along(Path(path))
    for directory in list(wanted):
        above = Path(directory).parent
        wanted.add(str(above))
        while not os.path.isdir(above):
            above = above.parent
            wanted.add(str(above))
    return wanted


def _matching(patterns: Iterable[str]) -> set[str]:
    """The directories that are there of those that a pattern leaves open, as `*` in conf.d/*/lb.conf."""
    source = FileSystem()
    deep = (each for each in patterns if WILDCARD.search(os.path.dirname(each)))
    above = {str(directory) for each in deep for directory in Path(each).parents}
    return {path for each in above if WILDCARD.search(each) for path in source.glob(each)}


def _along(path: Path) -> set[str]:
    found = {str(path.parent)}
    with contextlib.suppress(OSError, RuntimeError):
        found.add(str(path.resolve().parent))
    for part in (path, *path.parents):
        if part.is_symlink():
            found.add(str(part.parent))
    return found
