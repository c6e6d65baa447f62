"""Events turned into what the operator's own tools hear: FIFO lines, scripts, mails."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
from collections.abc import Callable, Iterable

from keepalive_py.config.kinds import Script
from keepalive_py.config.model import GlobalDefs, NotifyFifo
from keepalive_py.health import wording
from keepalive_py.health.events import Event
from keepalive_py.notify.fifo import Fifo, FifoRefused
from keepalive_py.notify.mail import Mailer, MailMessage
from keepalive_py.notify.scripts import Launch, LaunchFailed, NotifyScripts, Running
from keepalive_py.notify.security import Account

Warn = Callable[[str], None]
AccountOf = Callable[[str, str | None], Account]
Clock = Callable[[], float]


class Notifier:
    """One for the life of the daemon; `configure` gives it the settings, again at a reload.

    `launch` starts a process, `account` finds a FIFO's owner (LookupError: none), `wall` is the
    time of day for mails.
    """

    def __init__(self, launch: Launch, account: AccountOf, warn: Warn, wall: Clock) -> None:
        self.launch = launch
        self.account = account
        self.warn = warn
        self.wall = wall
        self.settings = GlobalDefs()
        self.router_id = ""
        self.scripts = NotifyScripts(launch, warn)
        self.mailer = Mailer(self.settings.mail, warn)
        self.fifos: dict[NotifyFifo, Fifo] = {}
        self.readers: dict[NotifyFifo, Running] = {}

    def configure(self, settings: GlobalDefs, *, router_id: str) -> None:
        """FIFOs that are configured as before stay open, and their reader goes on, unless somebody
        removed or replaced them: no other reader would find them."""
        self.settings = settings
        self.router_id = router_id
        self.mailer.settings = settings.mail
        wanted = wanted_fifos(settings, self.warn)
        for known, fifo in list(self.fifos.items()):
            if known not in wanted or not fifo.is_there():
                self.close_fifo(known)
        for each in wanted:
            if each not in self.fifos:
                self.open_fifo(each)

    @property
    def lines_lost(self) -> int:
        return sum(fifo.lost for fifo in self.fifos.values())

    def tell(self, events: Iterable[Event]) -> None:
        for event in events:
            self.write(event)
            script = wording.script(event)
            if script is not None:
                self.scripts.run(script)
            if self.mailer.configured:
                self.mail(event)

    def write(self, event: Event) -> None:
        if self.fifos and (line := wording.fifo_line(event)) is not None:
            for fifo in self.fifos.values():
                fifo.write(f"{line}\n")

    def mail(self, event: Event) -> None:
        text = wording.mail(event, self.settings, self.router_id)
        if text is not None:
            self.mailer.send(MailMessage(text.subject, text.body, self.wall()))

    def open_fifo(self, wanted: NotifyFifo) -> None:
        try:
            owner = None if wanted.user is None else self.account(wanted.user, wanted.group)
            self.fifos[wanted] = Fifo(wanted.path, owner, self.warn)
        except LookupError:
            self.warn(f"Invalid user/group for fifo {wanted.path} - ignoring")
            return
        except FifoRefused as refused:
            self.warn(str(refused))
            return
        if wanted.script is not None:
            self.start_reader(wanted, with_path(wanted.script, wanted.path))

    def start_reader(self, fifo: NotifyFifo, script: Script) -> None:
        def ended() -> None:
            if self.readers.pop(fifo, None) is not None:
                self.warn(f"notify fifo script of {fifo.path} terminated")

        try:
            self.readers[fifo] = self.launch(script, ended)
        except LaunchFailed as failure:
            self.warn(f"Call of script {script.command} failed: {failure}")

    def close_fifo(self, known: NotifyFifo) -> None:
        reader = self.readers.pop(known, None)
        if reader is not None:
            reader.kill(signal.SIGTERM)
        self.fifos.pop(known).close()

    async def close(self, patience: float) -> None:
        """Give scripts and mails `patience` seconds, then end what is left."""
        await asyncio.gather(self.scripts.finish(patience), self.mailer.close(patience))
        for known in list(self.fifos):
            self.close_fifo(known)


def wanted_fifos(settings: GlobalDefs, warn: Warn) -> list[NotifyFifo]:
    both, own = settings.notify_fifo, settings.lvs_notify_fifo
    if both is not None and own is not None and both.path == own.path:
        warn(f"notify FIFO {own.path} has been specified for global and LVS FIFO - ignoring LVS FIFO")
        own = None
    return [fifo for fifo in (both, own) if fifo is not None]


def with_path(script: Script, path: str) -> Script:
    """The reader of a FIFO gets its path as last argument."""
    return dataclasses.replace(script, argv=(*script.argv, path))
