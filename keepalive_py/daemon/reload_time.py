"""reload_time_file: a file that says when to reload. keepalived.conf(5).

`HH:MM:SS`, `YY-MM-DD HH:MM:SS` or `YYYY-MM-DD HH:MM:SS`, with a `Z` for UTC. Without a date it is
the next time that the clock shows this. After the reload the file is deleted, unless
reload_repeat is set and there is no date: then it holds for every day.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from keepalive_py.daemon import voice
from keepalive_py.sources.files import content_of

POLL = 5.0  # seconds between looks at the file and the clock
FORM = re.compile(r"(?:(\d{2}|\d{4})-(\d{1,2})-(\d{1,2})\s+)?(\d{1,2}):(\d{2}):(\d{2})\s*(Z?)")
LONGEST = 64  # bytes that a time can take
LARGEST = 4096  # bytes of a file that may hold one


@dataclass(frozen=True, slots=True)
class ReloadTime:
    """`at` is wall-clock seconds; `dated`: on that day only."""

    at: float
    dated: bool


def parse(text: str, now: float) -> ReloadTime | None:
    """None: not a time, or one in the past."""
    found = FORM.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, zulu = found.groups()
    try:
        today = datetime.fromtimestamp(now, UTC if zulu else None)
        wanted = today.replace(hour=int(hour), minute=int(minute), second=int(second), microsecond=0)
        if year is not None:
            full = int(year) + (2000 if len(year) == 2 else 0)
            wanted = wanted.replace(year=full, month=int(month), day=int(day))
        elif wanted.timestamp() <= now:
            wanted += timedelta(days=1)
    except (ValueError, OverflowError):
        return None
    at = wanted.timestamp()
    return ReloadTime(at, year is not None) if at > now else None


class ReloadTimeFile:
    """Looks at the file now and then; `reload` is called when its time has come."""

    def __init__(self, reload: Callable[[], None], clock: Callable[[], float] = time.time) -> None:
        self.reload = reload
        self.clock = clock
        self.path: str | None = None
        self.repeat = False
        self.seen: tuple[int, int] | None = None  # inode and time of change of what was read
        self.due: ReloadTime | None = None
        self.looked: float | None = None  # when we last did

    def configure(self, path: str | None, *, repeat: bool) -> None:
        if path != self.path:
            self.seen = self.due = self.looked = None
        self.path, self.repeat = path, repeat

    async def run(self) -> None:
        while True:
            with voice.apart("reload_time_file"):
                self.look()
            await asyncio.sleep(POLL)

    def look(self) -> None:
        if self.path is None:
            return
        self.read(self.path)
        self.looked = self.clock()
        if self.due is not None and self.due.at <= self.clock():
            dated, self.due = self.due.dated, None
            if self.repeat and not dated:
                self.seen = None  # read again: the same time tomorrow
            else:
                with contextlib.suppress(OSError):
                    os.unlink(self.path)
            self.reload()

    def read(self, path: str) -> None:
        """Read the file if it is another than before."""
        try:
            status = os.stat(path)
            if self.seen == (status.st_ino, status.st_mtime_ns):
                return
            text = content_of(path, LARGEST)[:LONGEST].decode("ascii", "replace")
        except OSError:
            self.seen = self.due = None
            return
        self.seen = (status.st_ino, status.st_mtime_ns)
        self.due = parse(text, self._written(status.st_mtime))
        if self.due is None:
            voice.warn(f"Reload time {text.strip()} is not one to come - ignoring")
        else:
            voice.say(f"Reload scheduled for {time.ctime(self.due.at)}")

    def _written(self, changed: float) -> float:
        """When the file was written, if that was after our last look: a time that has come between
        the two is still one to come. What lay there before us may be old."""
        now = self.clock()
        return now if self.looked is None else min(now, max(changed, self.looked))
