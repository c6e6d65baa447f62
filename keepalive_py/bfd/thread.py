"""A speaker in a thread of its own.

A neighbour with the default intervals gives us up after 50 ms of silence. The daemon's own loop
may be busy for longer than that: while it reads a large configuration, or plans a large table.
This thread must ask for the interpreter after every system call, several times for one packet, so
Python's usual turns of 5 ms would add up to most of the 50: while it lives, turns are short.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Final

from keepalive_py.bfd.speaker import Report, Speaker
from keepalive_py.config.bfd_instance import BfdInstance
from keepalive_py.health.verdict import Verdict
from keepalive_py.turns import short_turns

__all__ = ["SpeakerThread"]

GOODBYE: Final = 2.0  # seconds that the thread gets to end


class SpeakerThread:
    """What `Speaker` does, without blocking the loop `home`, in which `report` is called.

    The thread exists only while there are instances.
    """

    def __init__(
        self,
        report: Report,
        home: asyncio.AbstractEventLoop,
        *,
        speaker: Callable[[Report], Speaker] = Speaker,
    ) -> None:
        self._home = home
        self._report = report
        self._speaker = speaker(self._reported)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._turns = ExitStack()

    def apply(self, instances: Mapping[str, BfdInstance]) -> None:
        """These instances from now on, and no others."""
        if self._loop is None and instances:
            self._start()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._speaker.apply, dict(instances))

    def verdict(self, name: str) -> Verdict | None:
        """What was last reported of an instance."""
        return self._speaker.verdict(name)

    def close(self) -> None:
        """Every neighbour is told; returns when that is done, or after two seconds."""
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(GOODBYE)
        self._turns.close()
        self._loop = self._thread = None

    def _start(self) -> None:
        self._turns.enter_context(short_turns())
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._complain)
        self._thread = threading.Thread(target=self._live, args=(self._loop,), name="bfd", daemon=True)
        self._thread.start()

    def _live(self, loop: asyncio.AbstractEventLoop) -> None:
        self._speaker.attach(loop)
        loop.run_forever()
        loop.close()

    def _end(self) -> None:
        assert self._loop is not None
        self._speaker.close()
        self._loop.stop()

    def _reported(self, name: str, verdict: Verdict) -> None:
        self._home.call_soon_threadsafe(self._report, name, verdict)

    def _complain(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._home.call_soon_threadsafe(self._home.call_exception_handler, context)
