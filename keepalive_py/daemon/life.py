"""The daemon's life on the event loop: start, signals, reload, stop.

| signal | what happens |
|---|---|
| HUP | reload; one that comes during a reload makes one more |
| TERM, INT | stop |
| USR1 | dump configuration and state |
| USR2 | dump the statistics |
| RTMIN+2 | dump both as JSON |
| RTMAX-1 | a word: it is for VRRP's statistics, and would end us if nobody took it |
| RTMIN+10 | go on as the program that is on the disk now |
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from keepalive_py.checkers import REGISTRY
from keepalive_py.config.model import Config
from keepalive_py.config.writer import write
from keepalive_py.control.room import ControlRoom
from keepalive_py.daemon import dump, logs, upgrade, voice
from keepalive_py.daemon.admission import Held, refusal
from keepalive_py.daemon.auto_priority import AutoPriority
from keepalive_py.daemon.boundary_scripts import run_boundary_script
from keepalive_py.daemon.children import Credentialed, NotifyLauncher
from keepalive_py.daemon.configuring import Configuring
from keepalive_py.daemon.controlled import Controlled
from keepalive_py.daemon.dump_files import DumpFiles, as_bytes
from keepalive_py.daemon.ending import ended
from keepalive_py.daemon.loading import Ready
from keepalive_py.daemon.memory import growing, reading
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.paths import Paths
from keepalive_py.daemon.process import go_realtime
from keepalive_py.daemon.reload_time import ReloadTimeFile
from keepalive_py.daemon.state_directory import state_directory
from keepalive_py.daemon.supervisor import Supervisor
from keepalive_py.daemon.systemd import ServiceNotifier
from keepalive_py.dataplane import agent_of, choose
from keepalive_py.errors import KeepaliveError
from keepalive_py.notify.notifier import Notifier
from keepalive_py.notify.security import account
from keepalive_py.plan.marks import MarkSettings
from keepalive_py.probing import Engine
from keepalive_py.replacing import replace_file
from keepalive_py.sources.watch import FileWatch

EXIT_OK, EXIT_FATAL, EXIT_PERMISSION = 0, 1, 4
NOT_ALLOWED = {errno.EPERM, errno.EACCES}
NO_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
SIGNAL_JSON = signal.SIGRTMIN + 2
SIGNAL_CLEAR = signal.SIGRTMAX - 1


class Life:
    """One run of the daemon, from a configuration that was read to the exit status."""

    def __init__(self, options: Options, ready: Ready, paths: Paths, systemd: ServiceNotifier) -> None:
        assert ready.config is not None
        self.options = options
        self.ready = ready
        self.config = ready.config
        self.paths = paths
        self.systemd = systemd
        self.stopping = asyncio.Event()
        self.reload_wanted = asyncio.Event()
        self.upgrade_wanted = asyncio.Event()
        self.upgrading = False
        self.credentials = Credentialed(ready.policy)
        self.reload_time = ReloadTimeFile(self.reload_wanted.set)
        self.priority = AutoPriority(go_realtime, voice.say)
        self.supervisor: Supervisor | None = None
        self.watch: FileWatch | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self.dumps: set[asyncio.Future[None]] = set()
        self.born = time.time()
        self.began = time.monotonic()  # seconds; clocks are set
        self.configuring = Configuring(options, ready, self.reload_wanted.set)
        controlled = Controlled(self)
        self.control = ControlRoom(controlled, voice.warn, voice.mistake)
        controlled.webhooks = self.control.webhooks.state

    async def run(self) -> int:
        """Until a signal ends it. The exit status."""
        self.handle_signals()
        try:
            supervisor = self.supervisor = await self.made()
            await self.boundary_script("startup")
            self.configuring.marks = lambda: supervisor.marks
            supervisor.writer.owned.update(dict.fromkeys(self.configuring.owned_before()))
            with growing():
                await supervisor.start()
        except (KeepaliveError, OSError) as error:
            voice.log.error(f"IPVS: Can't initialize ipvs: {error}")
            number = getattr(error, "errno", None) or 1
            self.systemd.failed(number)
            return EXIT_PERMISSION if number in NOT_ALLOWED else EXIT_FATAL
        self.running(supervisor)
        with voice.apart("the last good configurations"):
            await self.configuring.started()
        with voice.apart("the control API"):
            self.control.open(self.paths.control)
            await self.control.follow(self.config.extensions, supervisor.journal)
        if self.options.watch:
            with voice.apart("the watch"):
                self.watch = FileWatch(self.reload_wanted.set, voice.warn)
                self.watch.follow(self.ready.watched, self.ready.begun)
        self.tasks = [
            self.task(self.reloading(), "reload"),
            self.task(self.awaiting_upgrade(), "upgrade"),
            self.task(self.reload_time.run(), "reload time"),
            self.task(self.watchdog(), "watchdog"),
            self.task(self.priority.run(), "priority"),
        ]
        voice.say("Startup complete")
        await self.stopping.wait()
        await self.stop(supervisor)
        if self.upgrading:
            self.systemd.give_back()
            return upgrade.EXIT_UPGRADE
        return EXIT_OK

    async def made(self) -> Supervisor:
        """The rooms, put together. Raises KeepaliveError, OSError when there is no dataplane."""
        config, defs = self.config, self.config.global_defs
        voice.log.debug("Initializing ipvs")
        dataplane = await choose(
            self.options.dataplane,
            namespace=defs.net_namespace_ipvs,
            warn=voice.warn,
            agent=agent_of(config),
            marks=MarkSettings.of(defs),
        )
        engine = Engine(registry=REGISTRY, trouble=voice.trouble, resolve=self.credentials)
        engine.attach(asyncio.get_running_loop())
        launcher = NotifyLauncher(engine, self.credentials)
        return Supervisor(
            config,
            dataplane,
            engine,
            Notifier(launcher.launch, account, voice.warn, time.time),
            router_id=router_id(config),
            reconcile_interval=self.options.reconcile_interval,
            state=state_directory(self.options),
        )

    def running(self, supervisor: Supervisor) -> None:
        """After a start or a reload."""
        defs = supervisor.config.global_defs
        self.reload_time.configure(defs.reload_time_file, repeat=defs.reload_repeat)
        self.priority.configure(defs)
        with voice.apart("config_save_dir"):
            save_copy(supervisor.config)
        if self.options.dump_config:
            with voice.apart("the dump of the configuration"):
                for line in dump.parent_data(supervisor.config, {}).splitlines():
                    voice.say(line)
        if not supervisor.config.virtual_servers:
            voice.warn("There is no virtual server in the configuration: nothing to do")
        instead = f"; generation {self.ready.generation}, not the files" if self.ready.instead_of else ""
        self.systemd.ready(summary(supervisor.config) + instead)

    async def boundary_script(self, title: str) -> None:
        defs = self.config.global_defs
        script = defs.startup_script if title == "startup" else defs.shutdown_script
        patience = defs.startup_script_timeout if title == "startup" else defs.shutdown_script_timeout
        if self.supervisor is not None:
            await run_boundary_script(self.supervisor.engine, title, script, patience)

    # Signals.

    def handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(mistake_in_loop)
        for number, handler in self.signal_handlers().items():
            loop.add_signal_handler(number, handler)

    def signal_handlers(self) -> dict[int, Callable[[], None]]:
        return {
            signal.SIGHUP: self.reload_wanted.set,
            signal.SIGTERM: self.stopping.set,
            signal.SIGINT: self.interrupted,
            signal.SIGUSR1: lambda: self.dump(DumpFiles.data),
            signal.SIGUSR2: lambda: self.dump(DumpFiles.statistics),
            SIGNAL_JSON: lambda: self.dump(DumpFiles.as_json),
            SIGNAL_CLEAR: lambda: voice.say("There are no VRRP statistics to clear"),
            upgrade.SIGNAL: self.upgrade_wanted.set,
        }

    def interrupted(self) -> None:
        if not self.options.ignore_sigint:
            self.stopping.set()

    def dump(self, what: Callable[[DumpFiles], Awaitable[None]]) -> None:
        if self.supervisor is not None:
            files = DumpFiles(self.supervisor, self.paths, self.born)
            work = asyncio.ensure_future(what(files))
            self.dumps.add(work)
            work.add_done_callback(self.dumps.discard)

    # Reload.

    async def reloading(self) -> None:
        while True:
            await self.reload_wanted.wait()
            self.reload_wanted.clear()
            self.configuring.begin()
            self.systemd.reloading()
            voice.say("Reloading ...")
            try:
                await self.reload()
            except Exception as error:  # a mistake of ours must not end the balancer
                voice.mistake("reload", error)
                self.configuring.refuse(Ready(None, ()), "internal error, the log has it")
                self.systemd.ready("reload failed: internal error")
            finally:
                self.configuring.end()

    async def reload(self) -> None:
        """Read everything anew; a configuration with something new wrong with it changes nothing."""
        with voice.apart("the watch"):
            if self.watch is not None:
                self.watch.mark()
        ready = await self.read_again()
        supervisor = self.supervisor
        assert supervisor is not None
        with voice.apart("the watch"):
            if self.watch is not None:
                # Those of the running one too: a broken file may name less than it will.
                self.watch.follow((*ready.watched, *self.ready.watched), ready.begun)
        why = self.refusal(ready)
        if why:
            voice.complain(ready.errors)
            self.refused(ready, why)
            return
        held = self.configuring.held()
        if held is not None:
            self.refused(ready, f"{held}: `keepalive-ctl config apply --confirm` lets it pass", held)
            return
        voice.complain(ready.diagnostics)
        for remark in ready.remarks:
            voice.warn(remark)
        before = self.ready
        await self.configuring.prepare(ready, supervisor.writer)
        await self.go_on_with(ready, supervisor)
        why = await self.configuring.objections(supervisor.writer)
        if why:
            await self.go_on_with(before, supervisor)
            self.refused(ready, f"the kernel refused a step, all of it is undone: {why}")
            await self.configuring.remember(before)
            return
        await self.configuring.accept(ready)
        voice.say("Reload complete")
        supervisor.journal.say("reload_complete", f"Reloaded: {summary(self.config)}")

    async def go_on_with(self, ready: Ready, supervisor: Supervisor) -> None:
        assert ready.config is not None
        self.ready, self.config = ready, ready.config
        self.credentials.replace(ready.policy)
        reopen_log_files()
        supervisor.router_id = router_id(self.config)
        await supervisor.reload(self.config)
        self.running(supervisor)
        with voice.apart("the control API"):
            await self.control.follow(self.config.extensions, supervisor.journal)

    def refused(self, ready: Ready, why: str, held: Held | None = None) -> None:
        voice.log.error(f"Reload refused, the running configuration stays: {why}", kind="reload_refused")
        self.configuring.refuse(ready, why, held)
        self.systemd.ready(f"reload refused: {why}")
        if self.supervisor is not None:
            self.supervisor.journal.say("reload_refused", f"Reload refused: {why}", reason="configuration")

    async def read_again(self) -> Ready:
        """In a thread, so that probes go on; the flag file says that we read."""
        flag = self.flag_file()
        if flag is not None:
            with contextlib.suppress(OSError):
                flag.touch()
        try:
            with reading():
                return await asyncio.to_thread(self.configuring.load)
        finally:
            if flag is not None:
                with contextlib.suppress(OSError):
                    flag.unlink()

    def flag_file(self) -> Path | None:
        name = self.config.global_defs.reload_file
        return None if name is None else Path(name or self.paths.reload_flag)

    def refusal(self, ready: Ready) -> str:
        """Why this configuration cannot follow the running one; "" when it can."""
        log = self.config.global_defs.reload_check_config
        if log is not None and ready.config is not None and ready.exit_status_of_test:
            write_complaints(log, ready)
        return refusal(self.options, self.ready, ready)

    # Upgrade.

    async def awaiting_upgrade(self) -> None:
        while True:
            await self.upgrade_wanted.wait()
            self.upgrade_wanted.clear()
            voice.say("Upgrading ...")
            try:
                why = await self.upgrade_obstacle()
            except Exception as error:  # a mistake of ours must not end the balancer
                voice.mistake("upgrade", error)
                continue
            if not why:
                self.upgrading = True
                self.stopping.set()
                return
            voice.log.error(f"Upgrade refused, the running daemon stays: {why}", kind="upgrade_refused")

    async def upgrade_obstacle(self) -> str:
        """Why the new program would not run what is on the disk as we would; "" if it would."""
        return self.refusal(await self.read_again()) or await upgrade.obstacle()

    # The rest.

    async def watchdog(self) -> None:
        """Tell systemd that the loop turns and the table has its writer."""
        interval = self.systemd.watchdog_interval
        while interval:
            if self.supervisor is not None and self.supervisor.writing:
                self.systemd.alive()
            await asyncio.sleep(interval)

    async def stop(self, supervisor: Supervisor) -> None:
        keep_table = self.options.keep_table or self.upgrading
        if self.upgrading:
            self.systemd.reloading()
        else:
            self.systemd.stopping()
        voice.say("Stopping")
        with voice.apart("the watch"):
            if self.watch is not None:
                self.watch.close()
        with voice.apart("the control API"):
            await self.control.close()
        await ended(self.tasks)
        await supervisor.stop(keep_table=keep_table)
        with voice.apart("the webhooks"):
            await self.control.last_words()
        with voice.apart("the services that are ours"):
            self.configuring.stopped(keep_table=keep_table)
        with voice.apart("the shutdown script"):
            await self.boundary_script("shutdown")
        await asyncio.gather(*self.dumps, return_exceptions=True)
        await supervisor.close()

    def task(self, work: object, name: str) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work, name=name)  # type: ignore[arg-type]


def mistake_in_loop(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Asyncio's last resort: something went wrong in a callback or a task nobody waits for."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in NO_RESOURCES:  # a listener accepts again in a second
        voice.seldom(f"{context.get('message')}: {error.strerror}")
        return
    if isinstance(error, Exception):
        voice.mistake("the event loop", error)
    else:
        voice.mistake(str(context.get("message")), None)


def router_id(config: Config) -> str:
    return config.global_defs.router_id or os.uname().nodename


def summary(config: Config) -> str:
    count = sum(len(vs.real_servers) for vs in config.virtual_servers)
    return f"{len(config.virtual_servers)} virtual servers, {count} real servers"


def save_copy(config: Config) -> None:
    """config_save_dir: what we understood, under the time at which we did."""
    directory = config.global_defs.config_save_dir
    if directory is None:
        return
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        path = f"{directory}/keepalived.conf.{time.strftime('%Y%m%d-%H%M%S')}"
        replace_file(path, as_bytes(write(config)))
    except OSError as error:
        voice.warn(f"Unable to save a copy of the configuration in {directory}: {error.strerror}")


def write_complaints(path: str, ready: Ready) -> None:
    text = "".join(f"{voice.diagnostic_line(each)}\n" for each in ready.diagnostics)
    try:
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except OSError as error:
        voice.warn(f"Unable to write {path}: {error.strerror}")


def reopen_log_files() -> None:
    try:
        logs.OUTPUTS.reopen()
    except OSError as error:
        voice.warn(f"Unable to reopen {error.filename}: {error.strerror}")


def running_on() -> str:
    system = os.uname()
    return f"Running on {system.sysname} {system.release} with Python {sys.version.split()[0]}"
