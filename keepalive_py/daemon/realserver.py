"""`keepalive-py --role realserver`: the daemon of a real server, which keeps its modules and nothing else.

HUP reloads, TERM and INT stop. It checks no server and touches no table; of the configuration it
reads the `toa` block.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Final

from keepalive_py.daemon import voice
from keepalive_py.daemon.agent import Agent
from keepalive_py.daemon.loading import Ready, load, new_errors
from keepalive_py.daemon.modules import Modules, block_of
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.state_directory import state_directory
from keepalive_py.daemon.systemd import ServiceNotifier
from keepalive_py.sources.watch import FileWatch

__all__ = ["RealServer"]

EXIT_OK: Final = 0


class RealServer:
    """One run, from a configuration that was read to the exit status."""

    def __init__(self, options: Options, ready: Ready, systemd: ServiceNotifier) -> None:
        self.options = options
        self.ready = ready
        self.systemd = systemd
        self.stopping = asyncio.Event()
        self.reload_wanted = asyncio.Event()
        self.modules = Modules(state_directory(options), self.say_how_it_is)
        self.agent = Agent(self.modules)
        self.watch: FileWatch | None = None

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload_wanted.set)
        if self.options.watch:
            self.watch = FileWatch(self.reload_wanted.set, voice.warn)
        await self.follow(self.ready)
        await self.modules.looked()
        self.systemd.ready()
        self.say_how_it_is()
        voice.say("Startup complete")
        tasks = [loop.create_task(self.reloading()), loop.create_task(self.alive())]
        await self.stopping.wait()
        self.systemd.stopping()
        voice.say("Stopping")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.watch is not None:
            self.watch.close()
        await self.agent.close()
        await self.modules.close()
        return EXIT_OK

    async def follow(self, ready: Ready) -> None:
        assert ready.config is not None
        self.ready = ready
        block = block_of(ready.config)
        if block is None:
            voice.warn("There is no toa block in the configuration: nothing to do")
        elif not block.listen:
            voice.warn("toa names no address to listen on: nobody can ask how the modules are")
        if self.watch is not None:
            self.watch.follow(ready.watched, ready.begun)
        self.modules.follow(ready.config)
        await self.agent.listen(() if block is None else block.listen)

    async def reloading(self) -> None:
        while True:
            await self.reload_wanted.wait()
            self.reload_wanted.clear()
            self.systemd.reloading()
            voice.say("Reloading ...")
            try:
                await self.reload()
            except Exception as error:  # a mistake of ours must not end it
                voice.mistake("reload", error)
            self.systemd.ready()

    async def reload(self) -> None:
        if self.watch is not None:
            self.watch.mark()
        ready = await asyncio.to_thread(load, self.options)
        voice.complain(ready.diagnostics)
        if ready.config is None or new_errors(self.ready.diagnostics, ready.diagnostics):
            voice.log.error("Reload refused, the running configuration stays", kind="reload_refused")
            return
        await self.follow(ready)
        await self.modules.looked()
        voice.say("Reload complete")

    async def alive(self) -> None:
        interval = self.systemd.watchdog_interval
        while interval:
            self.systemd.alive()
            await asyncio.sleep(interval)

    def say_how_it_is(self) -> None:
        states = self.modules.states.values()
        self.systemd.status("; ".join(f"{state.name}: {state.word()}" for state in states))
