"""The files that signals ask for: data (USR1), statistics (USR2), JSON (RTMIN+2).

Written in a thread, since ten thousand servers take a while to put into words: each virtual
server is as it is when its turn comes.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable

from keepalive_py.daemon import dump, voice
from keepalive_py.daemon.paths import Paths
from keepalive_py.daemon.snapshot import Json, Moment, Source, numbers, snapshot, statistics_text
from keepalive_py.replacing import replace_file


class DumpFiles:
    """`started` is the time of day at which the daemon did."""

    def __init__(self, source: Source, paths: Paths, started: float) -> None:
        self.source = source
        self.paths = paths
        self.started = started

    async def data(self) -> None:
        pid = os.getpid()
        voice.say(f"Printing parent data for process({pid}) on signal")
        await self.write(self.paths.parent_data, self.parent_data)
        voice.say(f"Printing checker data for process({pid}) on signal")
        await self.write(self.paths.check_data, self.check_data)

    async def statistics(self) -> None:
        voice.say(f"Printing statistics for process({os.getpid()}) on signal")
        await self.write(self.paths.statistics, lambda: statistics_text(self.numbers()))

    async def as_json(self) -> None:
        voice.say(f"Printing JSON for process({os.getpid()}) on signal")
        await self.write(self.paths.check_json, self.json_text)

    async def write(self, path: str, words: Callable[[], str]) -> None:
        try:
            await asyncio.to_thread(lambda: replace_file(path, as_bytes(words())))
        except OSError as error:
            voice.warn(f"Can't open dump file {path} ({error.errno}: {error.strerror})")

    def parent_data(self) -> str:
        return dump.parent_data(self.source.config, dump.process_facts(self.started))

    def check_data(self) -> str:
        return dump.check_data(self.source.config, self.source.services)

    def json_text(self) -> str:
        return json.dumps(snapshot(self.moment), indent=2) + "\n"

    def numbers(self) -> Json:
        return numbers(self.moment)

    @property
    def moment(self) -> Moment:
        return Moment(self.source, self.started)


def as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
