"""FILE_CHECK: verdicts out of the numbers in watched files."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from keepalive_py.checkers.file import FileCheck, file_verdict
from keepalive_py.config.model import CheckConfig, RealServer, TrackFile
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

    def prepare(self, files: Mapping[str, TrackFile]) -> None:
        """Before there are checks: these files are made if they are to be, read and watched, even
        those that no check follows."""
        self.watch.apply(files)

    def known(self, rs: RealServer, check: CheckConfig) -> Verdict | None:
        """What the file says of a check that is only being made."""
        if not isinstance(check, FileCheck):
            return None
        value = self.watch.value(check.track_file)
        return None if value is None else file_verdict(check, value, rs.weight)

    def follow(self, checkers: Iterable[CheckerState]) -> None:
        """These checks, and no others. What is known is reported at once, since the weight of a
        check may have changed."""
        followers: dict[str, list[CheckerState]] = defaultdict(list)
        for checker in checkers:
            if isinstance(checker.config, FileCheck):
                followers[checker.config.track_file].append(checker)
        self.followers = dict(followers)
        for name in self.followers:
            value = self.watch.value(name)
            if value is not None:
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
