"""The kernel modules of a `toa` block, watched: loaded when they are missing, proven again and again.

Everything that looks or loads blocks, and runs in a thread. What is known is replaced whole, so
that readers on the loop always see one state. A module that cannot be loaded is tried again, ever more
rarely; each trouble is said once. At the end all modules stay as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from keepalive_py.config.model import Config
from keepalive_py.config.toa import Toa
from keepalive_py.daemon import voice
from keepalive_py.daemon.state_directory import StateDirectory
from keepalive_py.dataplane.namespace import run_in_new
from keepalive_py.health.fitness import Standing
from keepalive_py.toa import kernel
from keepalive_py.toa.flavours import Wanted, wanted
from keepalive_py.toa.loading import Loader
from keepalive_py.toa.memory import LoadedByUs
from keepalive_py.toa.refusals import ModuleRefused
from keepalive_py.toa.state import ModuleState, health_of, look
from keepalive_py.toa.statistics import warnings
from keepalive_py.toa.verify import InNamespace, verify

__all__ = ["Modules", "block_of"]

T = TypeVar("T")
LONGEST_PAUSE: Final = 3600.0  # seconds between two attempts to load


async def in_thread(function: Callable[[], T]) -> T:
    """In a thread that nobody waits for at the end: DKMS may compile for minutes."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def deliver(give: Callable[[], None]) -> None:
        if not answer.done():
            give()

    def work() -> None:
        try:
            result = function()
            give = functools.partial(answer.set_result, result)
        except Exception as error:
            give = functools.partial(answer.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(deliver, give)

    threading.Thread(target=work, name="modules", daemon=True).start()
    return await answer


def block_of(config: Config) -> Toa | None:
    for block in config.extensions.get("toa", ()):
        if isinstance(block, Toa):
            return block
    return None


class Modules:
    """Follows one configuration after the other; idle while they have no block. `changed` is
    called when a standing moved."""

    def __init__(
        self,
        state: StateDirectory,
        changed: Callable[[], None],
        *,
        in_namespace: InNamespace = run_in_new,
        loader: Loader | None = None,
    ) -> None:
        self.block: Toa | None = None
        self.states: Mapping[str, ModuleState] = {}
        self._changed = changed
        self._in_namespace = in_namespace
        self._loader = loader or Loader(LoadedByUs(state, kernel.boot_id()))
        self._attempts: dict[str, tuple[int, float]] = {}  # failures, and when the next try is due
        self._verified: dict[str, tuple[object, float]] = {}  # what was verified, and when
        self._told: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()
        self._wake = asyncio.Event()

    # Life.

    def follow(self, config: Config) -> None:
        """From now on this one."""
        block = block_of(config)
        if block == self.block:
            return
        self.block = block
        self._attempts.clear()
        self._verified.clear()
        self._looked.clear()
        if block is None:
            self.states = {}
            self._changed()
        elif self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._working(), name="modules")
        self._wake.set()

    async def looked(self) -> None:
        """Until the modules of this block have been looked at, loaded and verified once."""
        if self.block is not None:
            await self._looked.wait()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # What is known.

    def standing(self, name: str) -> Standing | None:
        """None: this is no module of the block's."""
        block = self.block
        if block is None or all(module.name != name for module in block.modules):
            return None
        state = self.states.get(name)
        return Standing.UNKNOWN if state is None else state.standing

    def health(self) -> Standing:
        """Of all that are required."""
        if self.block is not None and len(self.states) < len(self.block.modules):
            return Standing.UNKNOWN
        return health_of(self.states.values())

    def rows(self) -> list[dict[str, Any]]:
        return [state.as_row() for state in self.states.values()]

    # Work.

    async def _working(self) -> None:
        while True:
            self._wake.clear()
            block = self.block
            if block is not None:
                try:
                    states = await in_thread(functools.partial(self._turn, block, time.monotonic()))
                    if block is self.block:
                        self._take(states)
                except Exception as error:  # the boundary: what is known stays
                    voice.mistake("the modules", error)
                if block is self.block:
                    self._looked.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), block.check_interval if block is not None else None)

    def _take(self, states: Mapping[str, ModuleState]) -> None:
        before, self.states = self.states, states
        for name, state in states.items():
            was = before.get(name)
            if was is None or was.word() != state.word():
                self._tell(state)
            for text in (state.trouble, *state.warnings):
                self._complain(name, text)
        if {name: each.standing for name, each in before.items()} != {
            name: each.standing for name, each in states.items()
        }:
            self._changed()

    def _tell(self, state: ModuleState) -> None:
        well = state.standing is not Standing.NO or state.wanted.config.optional
        level = voice.log.info if well else voice.log.error
        details = "; ".join(str(each) for each in state.results or () if each.detail and each.decides)
        text = f"Module {state.name}: {state.word()}" + (f" ({details})" if details else "")
        level(text, kind="module", module=state.name, standing=state.standing.value)

    def _complain(self, name: str, text: str) -> None:
        """Once, until it is another one."""
        if text and self._told.get(name) != text:
            self._told[name] = text
            voice.warn(text if text.startswith("module ") else f"module {name}: {text}")

    # In a thread.

    def _turn(self, block: Toa, now: float) -> dict[str, ModuleState]:
        return {module.name: self._look_at(wanted(module), block, now) for module in block.modules}

    def _look_at(self, module: Wanted, block: Toa, now: float) -> ModuleState:
        before = self.states.get(module.name)
        state = look(module, self._loader.ours)
        if state.loaded is None and not block.watch_only:
            state = self._loaded(module, state, now)
        if before is not None:
            state = dataclasses.replace(state, warnings=tuple(warnings(before.counters, state.counters)))
        proven = self._proven(state, before, block.verify_interval, now)
        if proven.loaded is not None and proven.standing is Standing.NO:
            again = look(module, self._loader.ours)
            if again.loaded is None:  # taken out while it was tried: that is no verdict on it
                return self._proven(again, None, block.verify_interval, now)
        return proven

    def _loaded(self, module: Wanted, state: ModuleState, now: float) -> ModuleState:
        failures, due = self._attempts.get(module.name, (0, 0.0))
        if now < due:
            before = self.states.get(module.name)
            return dataclasses.replace(state, trouble=before.trouble if before is not None else "")
        try:
            self._loader.load(module.config)
        except ModuleRefused as refused:
            pause = min(LONGEST_PAUSE, 10.0 * 2**failures)
            self._attempts[module.name] = (failures + 1, now + pause)
            return dataclasses.replace(look(module, self._loader.ours), trouble=str(refused))
        self._attempts.pop(module.name, None)
        return look(module, self._loader.ours)

    def _proven(
        self, state: ModuleState, before: ModuleState | None, interval: float, now: float
    ) -> ModuleState:
        """With results of now, or those of the last time if nothing changed since."""
        if not state.wanted.layouts:
            return state
        loaded = state.loaded
        subject = (
            None if loaded is None else (loaded.srcversion, loaded.version, tuple(loaded.parameters.items()))
        )
        last, when = self._verified.get(state.name, (NEVER, 0.0))
        fresh = before is not None and last == subject and (not interval or now < when + interval)
        if before is not None and fresh and before.results is not None:
            return dataclasses.replace(state, results=before.results)
        results = verify(state.wanted.layouts, self._in_namespace, loaded=loaded is not None)
        self._verified[state.name] = (subject, now)
        return dataclasses.replace(state, results=tuple(results))


NEVER: Final = object()
