"""FILE_CHECK: verdicts out of the numbers in watched files."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from keepalive_py.checkers.file import FileCheck, file_verdict
from keepalive_py.config.track_file import TrackFile
from keepalive_py.daemon import voice
from keepalive_py.health.checker_state import CheckerState
from keepalive_py.health.verdict import Verdict
from keepalive_py.track_file import Watch

OnVerdict = Callable[[CheckerState, Verdict], None]


class FileChecks:
    """Which checks follow which file. `on_verdict` takes what a number means for a check."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_verdict: OnVerdict) -> None:
        self.on_verdict = on_verdict
        self.followers: dict[str, list[CheckerState]] = {}
        self.watch = Watch(self.changed, trouble)
        self.watch.attach(loop)

    def follow(self, checkers: Iterable[CheckerState], files: Mapping[str, TrackFile]) -> None:
        """These checks, and no others; only files that a check follows are watched. A number
        that is known already is reported at once, since its weight may have changed."""
        followers: dict[str, list[CheckerState]] = defaultdict(list)
        for checker in checkers:
            if isinstance(checker.config, FileCheck):
                followers[checker.config.track_file].append(checker)
        self.followers = dict(followers)
        known = {name: self.watch.value(name) for name in self.followers}
        self.watch.apply({name: files[name] for name in self.followers if name in files})
        for name, value in known.items():
            if value is not None and value == self.watch.value(name):
                self.changed(name, value)

    def changed(self, name: str, value: int) -> None:
        for checker in self.followers.get(name, ()):
            check, server = checker.config, checker.server
            if isinstance(check, FileCheck) and server is not None:
                self.on_verdict(checker, file_verdict(check, value, server.rs.weight))

    def close(self) -> None:
        self.followers = {}
        self.watch.close()


def trouble(name: str, text: str) -> None:
    voice.warn(f"track_file {name}: {text}")
