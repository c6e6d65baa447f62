"""What is one for the whole kernel: connection timeouts and the synchronisation daemons."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from keepalive_py.config.model import GlobalDefs, LvsSyncDaemon, LvsTimeouts
from keepalive_py.daemon import voice
from keepalive_py.dataplane.port import Dataplane
from keepalive_py.errors import KeepaliveError


class KernelSettings:
    """Remembers the timeouts that it found, to put them back."""

    def __init__(self, dataplane: Dataplane) -> None:
        self.dataplane = dataplane
        self.found: LvsTimeouts | None = None

    async def apply(self, before: GlobalDefs | None, after: GlobalDefs) -> None:
        """From one configuration to the next; `before` is None at a start. A refusal is a log
        line and no more: traffic is balanced without either."""
        if after.lvs_timeouts is not None:
            await self.set_timeouts(after.lvs_timeouts)
        old = None if before is None else before.lvs_sync_daemon
        if old != after.lvs_sync_daemon:
            await self.stop_sync_daemons(old)
            await self.start_sync_daemons(after.lvs_sync_daemon)

    async def restore(self, last: GlobalDefs) -> None:
        if self.found is not None:
            with refusals_said():
                await self.dataplane.set_timeouts(self.found)
        await self.stop_sync_daemons(last.lvs_sync_daemon)

    async def set_timeouts(self, wanted: LvsTimeouts) -> None:
        with refusals_said():
            if self.found is None:
                self.found = await self.dataplane.timeouts()
            await self.dataplane.set_timeouts(wanted)

    async def start_sync_daemons(self, daemon: LvsSyncDaemon | None) -> None:
        """Both, master and backup. With `inst` the VRRP instance decides, and it is not here."""
        if daemon is None:
            return
        if daemon.instance is not None:
            voice.warn(f"lvs_sync_daemon follows VRRP instance {daemon.instance}: keepalived must run it")
            return
        for master in (True, False):
            with refusals_said():
                await self.dataplane.start_sync_daemon(daemon, master=master)

    async def stop_sync_daemons(self, daemon: LvsSyncDaemon | None) -> None:
        if daemon is None or daemon.instance is not None:
            return
        for master in (True, False):
            with refusals_said():
                await self.dataplane.stop_sync_daemon(daemon, master=master)


@contextlib.contextmanager
def refusals_said() -> Iterator[None]:
    try:
        yield
    except (KeepaliveError, OSError) as error:
        voice.warn(f"IPVS: {error}")
