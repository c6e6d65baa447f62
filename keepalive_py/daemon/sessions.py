"""BFD_CHECK: verdicts out of BFD sessions."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from keepalive_py.bfd import SpeakerThread
from keepalive_py.checkers.bfd import BfdCheck
from keepalive_py.config.bfd_instance import BfdInstance
from keepalive_py.daemon import voice
from keepalive_py.health.checker_state import CheckerState
from keepalive_py.health.verdict import Unknown, Verdict

OnVerdict = Callable[[CheckerState, Verdict], None]


class BfdChecks:
    """Which checks follow which session. `on_verdict` takes what a session's state means."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_verdict: OnVerdict) -> None:
        self.on_verdict = on_verdict
        self.followers: dict[str, list[CheckerState]] = {}
        self.speaker = SpeakerThread(self.changed, loop)

    def follow(self, checkers: Iterable[CheckerState], instances: Mapping[str, BfdInstance]) -> None:
        """These checks, and no others. Only instances that a check follows are spoken for: the
        others are VRRP's. What is known of a session already is reported at once, since a check
        may be new."""
        followers: dict[str, list[CheckerState]] = defaultdict(list)
        for checker in checkers:
            if isinstance(checker.config, BfdCheck):
                followers[checker.config.name].append(checker)
        self.followers = dict(followers)
        self.speaker.apply({name: instances[name] for name in self.followers if name in instances})
        for name in self.followers:
            verdict = self.speaker.verdict(name)
            if verdict is not None:
                self.changed(name, verdict)

    def changed(self, name: str, verdict: Verdict) -> None:
        if isinstance(verdict, Unknown):
            voice.warn(f"bfd_instance {name}: {verdict.detail}")
        for checker in self.followers.get(name, ()):
            self.on_verdict(checker, verdict)

    def close(self) -> None:
        self.followers = {}
        self.speaker.close()
