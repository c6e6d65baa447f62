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

MODE = 0o600


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
            await asyncio.to_thread(lambda: replace_file(path, words()))
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


def replace_file(path: str, text: str) -> None:
    """All of it or nothing, readable by us alone. What stands in a directory that others may
    write to is replaced and not followed."""
    draft = f"{path}.{os.getpid()}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, MODE)
    try:
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
