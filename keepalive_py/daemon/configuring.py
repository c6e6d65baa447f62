"""What configuration runs, where it came from, which others were refused or wait, and going back.

`Life` does the reloads. This keeps their story: the last good configurations (`generations`), the
last refusal with its diagnostics, a reload that is held back (`--max-removals`), an operator's
wish to go back, and the answers for those who wait for a reload.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from keepalive_py.config.diff import Change, diff
from keepalive_py.config.model import Config
from keepalive_py.config.render import as_json
from keepalive_py.daemon import voice
from keepalive_py.daemon.admission import Held, blast_radius, refusal, unfit
from keepalive_py.daemon.generations import Generation, Generations, Pin
from keepalive_py.daemon.loading import Ready, load
from keepalive_py.daemon.memory import reading
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.ownership import keys_of, owned_before, remember_owned
from keepalive_py.daemon.state_directory import StateDirectory, state_directory
from keepalive_py.daemon.writer import TableWriter
from keepalive_py.errors import KeepaliveError
from keepalive_py.plan.marks import NO_MARKS, Marks
from keepalive_py.plan.steps import AddService, EditService, Step
from keepalive_py.plan.table import ServiceKey

__all__ = ["Configuring", "Refusal", "at_start"]

Json = dict[str, Any]

MOST_SAID: Final = 20  # changes of a reload named in the log
MOST_SHOWN: Final = 1000  # changes and diagnostics in an answer
PATIENCE: Final = 25.0  # seconds that somebody waits for a reload


@dataclass(frozen=True, slots=True)
class Refusal:
    """A configuration that does not run. `held`: it only waits to be confirmed."""

    at: float
    why: str
    digest: str
    diagnostics: tuple[Json, ...]
    held: Held | None = None

    def as_json(self) -> Json:
        return {
            "at": round(self.at, 3),
            "why": self.why,
            "digest": self.digest,
            "diagnostics": list(self.diagnostics),
        }


def at_start(options: Options) -> Ready:
    """The configuration to start with: that of the files; or an older one when an operator went
    back to it and the files are still those he left, or, with `--last-good`, when the files are
    broken."""
    ready = load(options)
    generations = kept_by(options)
    pin = generations.pin()
    if pin is not None and pin.digest == ready.capture.digest:
        why = f"an operator went back to generation {pin.generation}, and the files did not change since"
        found = older(options, generations, pin.generation, ready, why)
        return ready if found is None else replace(found, pinned=True)
    newest = generations.newest() if options.last_good else None
    if newest is None or newest.digest == ready.capture.digest:
        return ready
    good = older(options, generations, newest.number, ready, "")
    if good is None:
        return ready
    why = unfit(options, good, ready) or str(blast_radius(options, good, ready) or "")
    return replace(good, why=why) if why else ready


def kept_by(options: Options) -> Generations:
    return Generations(state_directory(options), options.config_history)


def older(options: Options, generations: Generations, number: int, ready: Ready, why: str) -> Ready | None:
    """Generation `number` in place of `ready`; None when it is gone."""
    capture = generations.texts(number)
    if capture is None:
        return None
    found = load(options, capture)
    if found.config is None:
        return None
    watched = tuple(dict.fromkeys((*ready.watched, *found.watched)))
    return replace(found, generation=number, instead_of=ready, why=why, watched=watched, begun=ready.begun)


class Configuring:
    """`wake` asks for a reload. Everything is called on the event loop, and waits for the disk in
    a thread."""

    def __init__(self, options: Options, ready: Ready, wake: Callable[[], None]) -> None:
        self.options = options
        self.wake = wake
        self.directory: StateDirectory = state_directory(options)
        self.generations = Generations(self.directory, options.config_history)
        self.running = ready
        self.since = time.time()
        self.kept: Generation | None = None
        self.refusal: Refusal | None = None
        self.plan: tuple[str, ...] = ()
        self.verified: bool | None = None  # None: it was not looked at
        self.marks: Callable[[], Marks] = lambda: NO_MARKS  # of groups that are served by mark
        self._back_to = 0  # the generation that the next reload is to read
        self._radius: Held | None = None
        self._digest = ""
        self._confirmed = ""  # the digest that may remove what it wants
        self._known_refusals: set[tuple[Step, int]] = set()
        self._waiting: list[asyncio.Future[None]] = []
        self._served: list[asyncio.Future[None]] = []
        if ready.instead_of is not None and not ready.pinned:  # else nobody tried it
            self.refuse(ready.instead_of, ready.why)

    # A start.

    def owned_before(self) -> list[ServiceKey]:
        """What the last run had in the table: ours to remove."""
        return owned_before(self.directory) if self.directory else []

    async def started(self) -> None:
        await self.remember(self.running)

    # A reload, in the order of what happens.

    def begin(self) -> None:
        """Those who wait now are answered by the reload that begins."""
        self._served, self._waiting = self._waiting, []

    def load(self) -> Ready:
        """In a thread. What the next configuration is, and how much it would remove."""
        ready = self._load()
        self._radius = None if ready.generation else blast_radius(self.options, self.running, ready)
        self._digest = ready.capture.digest
        return ready

    def _load(self) -> Ready:
        number, self._back_to = self._back_to, 0
        files = load(self.options)
        if not number:
            return files
        why = f"an operator went back to generation {number}"
        found = older(self.options, self.generations, number, files, why)
        if found is None:
            return replace(files, config=None, why=f"generation {number} is gone or damaged")
        return replace(found, pinned=True)

    def held(self) -> Held | None:
        """Whether what was loaded takes away too much. Going back is a person's word already."""
        return None if self._digest == self._confirmed else self._radius

    def refuse(self, ready: Ready, why: str, held: Held | None = None) -> None:
        told = ready.errors or list(ready.diagnostics)
        shown = tuple(as_json(each) for each in told[:MOST_SHOWN])
        self.refusal = Refusal(time.time(), why, ready.capture.digest, shown, held)

    async def prepare(self, ready: Ready, writer: TableWriter) -> None:
        """Say what will change, and remember whose services these are, before anything does."""
        self.verified = None
        self._known_refusals = set(writer.news.known)
        before, after = self.running.config, ready.config
        assert before is not None
        assert after is not None
        with reading():
            changes = await asyncio.to_thread(diff, before, after)
        self.plan = told(changes)
        if self.directory:
            await asyncio.to_thread(self._remember_owned, before, after)

    async def objections(self, writer: TableWriter) -> str:
        """With `--roll-back`: the first thing that the kernel holds otherwise than the new
        configuration wants, which was not so before; "" when there is nothing."""
        if not self.options.roll_back:
            return ""
        fresh = writer.news.known - self._known_refusals
        if fresh:
            step, number = min(fresh, key=cause_first)
            return f"{step}: {os.strerror(number)}"
        try:
            drift = await writer.differences()
        except (KeepaliveError, OSError) as error:
            voice.warn(f"IPVS table cannot be read back: {error}")
            return ""
        self.verified = not drift
        if drift:
            writer.read_again()
            voice.warn(f"IPVS table is not as it was written, it is read again: {drift[0]}")
        return ""

    async def accept(self, ready: Ready) -> None:
        """It runs, and the table is as it says."""
        self.running, self.since, self.refusal = ready, time.time(), None
        self._confirmed = ""
        await self.remember(ready)

    async def remember(self, ready: Ready) -> None:
        if self.directory:
            with voice.apart("the last good configurations"):
                self.kept = await asyncio.to_thread(self._keep, ready)

    def end(self) -> None:
        for each in self._served:
            if not each.done():
                each.set_result(None)
        self._served = []

    def _remember_owned(self, *configs: Config) -> None:
        remember_owned(self.directory, keys_of(*configs, marks=self.marks()))

    def _keep(self, ready: Ready) -> Generation | None:
        config = ready.config
        assert config is not None
        self._remember_owned(config)
        files = ready.instead_of
        pin = Pin(ready.generation, files.capture.digest) if ready.pinned and files is not None else None
        self.generations.set_pin(pin)
        servers = sum(len(vs.real_servers) for vs in config.virtual_servers)
        origin = f"generation {ready.generation}" if ready.generation else "files"
        services = len(config.virtual_servers)
        return self.generations.add(ready.capture, self.since, services, servers, origin)

    def stopped(self, *, keep_table: bool) -> None:
        """The table is empty of us, unless it was to stay."""
        if self.directory and not keep_table:
            remember_owned(self.directory, ())

    # What others ask.

    def status(self) -> Json:
        ready, refusal = self.running, self.refusal
        held = refusal.held if refusal is not None else None
        return {
            "file": self.options.template or self.options.config_file,
            "files": list(ready.files),
            "digest": ready.capture.digest,
            "since": round(self.since, 3),
            "generation": self.kept.number if self.kept is not None else None,
            "origin": f"generation {ready.generation}" if ready.generation else "files",
            "instead_of_files": ready.why or None,
            "verified": self.verified,
            "refused": None if refusal is None else refusal.as_json(),
            "held": None if held is None else held_as_json(held),
            "last_plan": list(self.plan[:MOST_SHOWN]),
        }

    def summary(self) -> Json:
        """The status in short."""
        refusal = self.refusal
        return {
            "digest": self.running.capture.digest,
            "since": round(self.since, 3),
            "generation": self.kept.number if self.kept is not None else None,
            "instead_of_files": self.running.why or None,
            "refused": None if refusal is None else refusal.why,
            "held": refusal is not None and refusal.held is not None,
        }

    async def history(self) -> list[Json]:
        found = await asyncio.to_thread(self.generations.all)
        return [each.as_json() for each in found]

    async def texts(self, number: int) -> Json | None:
        generation = await asyncio.to_thread(self.generations.find, number)
        capture = await asyncio.to_thread(self.generations.texts, number)
        if generation is None or capture is None:
            return None
        return {**generation.as_json(), **capture.as_json()}

    async def preview(self) -> Json:
        with reading():
            return await asyncio.to_thread(self._preview)

    def _preview(self) -> Json:
        ready, before = load(self.options), self.running
        held = blast_radius(self.options, before, ready)
        shown: Json = {
            "digest": ready.capture.digest,
            "diagnostics": [as_json(each) for each in ready.diagnostics[:MOST_SHOWN]],
            "refused": refusal(self.options, before, ready) or None,
            "held": None if held is None else held_as_json(held),
            "changes": [],
        }
        if ready.config is not None and before.config is not None:
            shown["changes"] = [str(each) for each in diff(before.config, ready.config)[:MOST_SHOWN]]
        return shown

    async def apply(self, *, confirm: bool) -> Json:
        """A reload, and what came of it. `confirm`: what is held back now may pass."""
        held = self.refusal.held if self.refusal is not None else None
        if confirm and held is not None:
            self._confirmed = held.digest
        return await self._reloaded()

    async def go_back(self, number: int) -> Json:
        """A reload with generation `number` in place of the files."""
        self._back_to = number
        return await self._reloaded()

    async def _reloaded(self) -> Json:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self.wake()
        finished, _ = await asyncio.wait((done,), timeout=PATIENCE)
        return {"finished": bool(finished), **self.status()}


def cause_first(refusal: tuple[Step, int]) -> tuple[bool, str]:
    """A service that is refused has all of its servers refused too."""
    step = refusal[0]
    return not isinstance(step, (AddService, EditService)), str(step)


def told(changes: list[Change]) -> tuple[str, ...]:
    """The plan of a reload, in the log and as lines."""
    lines = tuple(map(str, changes))
    if lines:
        voice.say(f"Reload: {len(lines)} change(s)")
    for line in lines[:MOST_SAID]:
        voice.say(f"  {line}")
    if len(lines) > MOST_SAID:
        voice.say(f"  and {len(lines) - MOST_SAID} more")
    return lines


def held_as_json(held: Held) -> Json:
    found = held.removals
    return {
        "digest": held.digest,
        "limit_percent": held.limit,
        "share_percent": round(found.share, 1),
        "services": {"removed": found.services, "of": found.of_services},
        "servers": {"removed": found.servers, "of": found.of_servers},
    }
