"""The daemon's life on the event loop: start, signals, reload, stop.

| signal | what happens |
|---|---|
| HUP | reload; one that comes during a reload makes one more |
| TERM, INT | stop |
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from keepalive_py.checkers import REGISTRY
from keepalive_py.config.model import Config
from keepalive_py.daemon import logs, voice
from keepalive_py.daemon.children import Credentialed, NotifyLauncher
from keepalive_py.daemon.loading import Ready, load, new_errors
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.paths import Paths
from keepalive_py.daemon.supervisor import Supervisor
from keepalive_py.daemon.systemd import ServiceNotifier
from keepalive_py.dataplane import choose
from keepalive_py.errors import KeepaliveError
from keepalive_py.notify.notifier import Notifier
from keepalive_py.notify.security import account
from keepalive_py.probing import Engine

EXIT_OK, EXIT_FATAL = 0, 1

# Settings that only a restart can change, and what they are called (keepalived.conf(5)).
FIXED = {
    "net_namespace": "network namespace",
    "net_namespace_ipvs": "IPVS network namespace",
    "instance": "instance name",
    "nftables_ipvs": "IPVS nftables table name",
    "tmp_config_directory": "tmp_config_directory",
}


class Life:
    """One run of the daemon, from a configuration that was read to the exit status."""

    def __init__(self, options: Options, ready: Ready, paths: Paths, systemd: ServiceNotifier) -> None:
        assert ready.config is not None
        self.options = options
        self.ready = ready
        self.paths = paths
        self.systemd = systemd
        self.stopping = asyncio.Event()
        self.reload_wanted = asyncio.Event()
        self.credentials = Credentialed(ready.policy)
        self.supervisor: Supervisor | None = None
        self.tasks: list[asyncio.Task[None]] = []

    async def run(self) -> int:
        """Until a signal ends it. The exit status."""
        self.handle_signals()
        try:
            supervisor = self.supervisor = await self.made()
            await supervisor.start()
        except (KeepaliveError, OSError) as error:
            voice.log.error(f"IPVS: Can't initialize ipvs: {error}")
            self.systemd.failed(getattr(error, "errno", None) or 1)
            return EXIT_FATAL
        settle_memory()
        voice.say("Startup complete")
        self.systemd.ready(summary(supervisor.config))
        self.tasks = [self.task(self.reloading(), "reload"), self.task(self.watchdog(), "watchdog")]
        await self.stopping.wait()
        await self.stop(supervisor)
        return EXIT_OK

    async def made(self) -> Supervisor:
        config = self.ready.config
        assert config is not None
        defs = config.global_defs
        dataplane = await choose(self.options.dataplane, namespace=defs.net_namespace_ipvs, warn=voice.warn)
        engine = Engine(registry=REGISTRY, trouble=voice.trouble, resolve=self.credentials)
        engine.attach(asyncio.get_running_loop())
        launcher = NotifyLauncher(engine, self.credentials)
        notifier = Notifier(launcher.launch, account, voice.warn, time.time)
        return Supervisor(
            config,
            dataplane,
            engine,
            notifier,
            router_id=router_id(config),
            reconcile_interval=self.options.reconcile_interval,
        )

    # Signals.

    def handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        handlers: dict[int, Callable[[], None]] = {
            signal.SIGHUP: self.reload_wanted.set,
            signal.SIGTERM: self.stopping.set,
            signal.SIGINT: self.interrupted,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)

    def interrupted(self) -> None:
        if not self.options.ignore_sigint:
            self.stopping.set()

    # Reload.

    async def reloading(self) -> None:
        while True:
            await self.reload_wanted.wait()
            self.reload_wanted.clear()
            self.systemd.reloading()
            voice.say("Reloading ...")
            await self.reload()
            self.systemd.ready(summary(self.supervisor.config) if self.supervisor else "")

    async def reload(self) -> None:
        """Read everything anew; a configuration with something new wrong with it changes nothing."""
        ready = await self.read_again()
        why = self.refusal(ready)
        if why:
            voice.complain(ready.errors)
            voice.log.error(f"Reload refused, the running configuration stays: {why}")
            return
        supervisor, config = self.supervisor, ready.config
        assert supervisor is not None
        assert config is not None
        voice.complain(ready.diagnostics)
        for remark in ready.remarks:
            voice.warn(remark)
        self.ready = ready
        self.credentials.replace(ready.policy)
        logs.OUTPUTS.reopen()
        supervisor.router_id = router_id(config)
        await supervisor.reload(config)
        settle_memory()
        voice.say("Reload complete")

    async def read_again(self) -> Ready:
        """In a thread, so that probes go on; the flag file says that we read."""
        flag = self.flag_file()
        if flag is not None:
            with contextlib.suppress(OSError):
                flag.touch()
        try:
            return await asyncio.to_thread(load, self.options)
        finally:
            if flag is not None:
                with contextlib.suppress(OSError):
                    flag.unlink()

    def flag_file(self) -> Path | None:
        assert self.ready.config is not None
        name = self.ready.config.global_defs.reload_file
        return None if name is None else Path(name or self.paths.reload_flag)

    def refusal(self, ready: Ready) -> str:
        """Why this configuration cannot follow the running one; "" when it can."""
        if ready.config is None:
            return "there is no configuration to run"
        if self.options.strict and ready.errors:
            return f"{len(ready.errors)} error(s)"
        fresh = new_errors(self.ready.diagnostics, ready.diagnostics)
        if fresh:
            return f"{len(fresh)} new error(s), the first: {voice.diagnostic_line(fresh[0])}"
        running = self.ready.config
        assert running is not None
        for name, title in FIXED.items():
            if getattr(running.global_defs, name) != getattr(ready.config.global_defs, name):
                return f"Cannot change {title} at a reload - please restart keepalive-py"
        return ""

    # The rest.

    async def watchdog(self) -> None:
        """Tell systemd that the loop turns."""
        interval = self.systemd.watchdog_interval
        while interval:
            self.systemd.alive()
            await asyncio.sleep(interval)

    async def stop(self, supervisor: Supervisor) -> None:
        self.systemd.stopping()
        voice.say("Stopping")
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await supervisor.stop(keep_table=self.options.keep_table)

    def task(self, work: object, name: str) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work, name=name)  # type: ignore[arg-type]


def router_id(config: Config) -> str:
    return config.global_defs.router_id or os.uname().nodename


def summary(config: Config) -> str:
    count = sum(len(vs.real_servers) for vs in config.virtual_servers)
    return f"{len(config.virtual_servers)} virtual servers, {count} real servers"


def settle_memory() -> None:
    """What is loaded stays for long: keep the collector from walking it again and again."""
    gc.collect()
    gc.freeze()


def running_on() -> str:
    system = os.uname()
    return f"Running on {system.sysname} {system.release} with Python {sys.version.split()[0]}"
