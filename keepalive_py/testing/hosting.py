"""The daemon's own life, without a process of its own: no signals, no fork, no kernel."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keepalive_py.checkers import REGISTRY
from keepalive_py.config.bgp_announcer import STATE_DIRECTORY, BgpAnnouncer
from keepalive_py.config.kinds import Script
from keepalive_py.config.model import Config
from keepalive_py.daemon import voice
from keepalive_py.daemon.announcing import Announcing
from keepalive_py.daemon.life import Life, router_id
from keepalive_py.daemon.loading import Ready, read
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.paths import paths
from keepalive_py.daemon.state_directory import state_directory
from keepalive_py.daemon.supervisor import Supervisor
from keepalive_py.daemon.systemd import ServiceNotifier
from keepalive_py.dataplane.memory import MemoryDataplane
from keepalive_py.health.events import Event
from keepalive_py.notify.notifier import Notifier
from keepalive_py.notify.scripts import Running
from keepalive_py.notify.security import account
from keepalive_py.probing import Engine
from keepalive_py.testing.clock import VirtualClock
from keepalive_py.testing.network import MemoryNetwork
from keepalive_py.testing.verdicts import ScriptedProbes, Verdicts

__all__ = ["HostedLife", "Stage", "loaded"]


@dataclasses.dataclass
class Stage:
    """What a hosted daemon lives on. `clock` None: real time; `verdicts` None: real sockets."""

    directory: Path
    dataplane: MemoryDataplane = dataclasses.field(default_factory=MemoryDataplane)
    network: MemoryNetwork = dataclasses.field(default_factory=MemoryNetwork)
    clock: VirtualClock | None = None
    verdicts: Verdicts | None = None
    scripts: list[str] = dataclasses.field(default_factory=list)
    tell: Callable[[Sequence[Event]], None] = lambda events: None


def loaded(options: Options) -> Ready:
    """Scripts are not judged: those of checks run as the test does, others not at all."""
    found = read(options)
    return Ready(found.config, found.diagnostics, files=found.files, watched=found.watched)


class HostedLife(Life):
    """From `begin` to `end`; signals are calls."""

    def __init__(self, options: Options, stage: Stage, ready: Ready) -> None:
        self.stage = stage
        super().__init__(options, self.at_home(ready), paths(options, ready.settings), ServiceNotifier({}))

    def at_home(self, ready: Ready) -> Ready:
        """The announcer's files go to the test's directory, and its links are there."""
        config = ready.config
        return ready if config is None else dataclasses.replace(ready, config=self.housed(config))

    def housed(self, config: Config) -> Config:
        blocks = config.extensions.get("bgp_announcer", ())
        if not blocks:
            return config
        found: list[Any] = [self.announcer_housed(block) for block in blocks]
        return dataclasses.replace(config, extensions={**config.extensions, "bgp_announcer": tuple(found)})

    def announcer_housed(self, block: Any) -> Any:
        if not isinstance(block, BgpAnnouncer):
            return block
        for uplink in block.uplinks:
            if uplink.interface not in self.stage.network.links():
                self.stage.network.set_link(uplink.interface, kind="")
        if block.state_directory != STATE_DIRECTORY:
            return block
        return dataclasses.replace(block, state_directory=str(self.stage.directory / "announcer"))

    def reread(self, path: Path, text: str | None = None) -> None:
        """From now on this file is the configuration, with this text in it."""
        if text is not None:
            path.write_text(text)
        self.options = dataclasses.replace(self.options, config_file=str(path))

    async def begin(self) -> Supervisor:
        supervisor = self.supervisor = await self.made()
        await supervisor.start()
        self.running(supervisor)
        if self.options.control is not None and self.paths.control is not None:
            self.control.open(self.paths.control)
        return supervisor

    async def end(self) -> None:
        assert self.supervisor is not None
        await self.stop(self.supervisor)

    async def made(self) -> Supervisor:
        stage, loop = self.stage, asyncio.get_running_loop()
        engine = Engine(
            registry=REGISTRY,
            trouble=voice.trouble,
            clock=loop.time,
            share=stage.verdicts is None,
        )
        engine.attach(loop)
        notifier = Notifier(self.launch, account, voice.warn, time.time)
        return WatchedSupervisor(
            stage,
            self.config,
            engine,
            notifier,
            router_id=router_id(self.config),
            reconcile_interval=self.options.reconcile_interval,
            state=state_directory(self.options, {}),
        )

    async def read_again(self) -> Ready:
        return self.at_home(loaded(self.options))

    def launch(self, script: Script, ended: Callable[[], None]) -> Running:
        """Notify scripts are noted and not run."""
        self.stage.scripts.append(script.command)
        asyncio.get_running_loop().call_soon(ended)
        return Noted()


class WatchedSupervisor(Supervisor):
    """On the memory dataplane, with everything that happens told."""

    def __init__(self, stage: Stage, config: Config, engine: Engine, notifier: Notifier, **more: Any) -> None:
        super().__init__(config, stage.dataplane, engine, notifier, **more)
        self.stage = stage
        self.announcing = Announcing(self, lambda: stage.network, stage.network.listener)
        if stage.verdicts is not None:
            self.probes = ScriptedProbes(engine, REGISTRY, self.verdict, stage.verdicts)

    def happened(self, events: Sequence[Event]) -> None:
        self.stage.tell(events)
        super().happened(events)


class Noted:
    """A script that was not run."""

    def kill(self, number: signal.Signals) -> None:
        """There is nothing to end."""
