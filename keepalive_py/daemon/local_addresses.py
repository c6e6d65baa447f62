"""FULLNAT's local addresses on this host: bound on the interfaces that their lines name.

The list is the table's own (`plan.desired.local_addresses`), and so is the one that checks leave
from. An address is bound before the first service or check needs it. One that is not wanted any
more stays while a session has it, since its real server sends the answers there; when the table
goes, it goes at once. Only what we bound is ever taken off, and what somebody took away comes back.

Ownership is that of `announcer`: the kernel's mark on an address, and a file in the state
directory. With another dataplane than the kernel's own nothing is bound: DPVS does it itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterator
from ipaddress import ip_address
from typing import Any, Final

from keepalive_py.announcer.loopback import Loopback, Outcome
from keepalive_py.announcer.ownership import Ownership
from keepalive_py.announcer.rtnetlink import Listener, Rtnetlink
from keepalive_py.config.model import Config
from keepalive_py.daemon import voice
from keepalive_py.daemon.pressure import PressureWatch
from keepalive_py.errors import KeepaliveError
from keepalive_py.net import Address
from keepalive_py.plan.desired import local_addresses
from keepalive_py.sessions import kernel as sessions
from keepalive_py.wire import rtnetlink as wire

FILE: Final = "local_addresses.json"
IN_KERNEL: Final = "ipvs"  # the dataplane's name
RELEASE: Final = 5.0  # s between two looks for sessions of addresses that are to go
SETTLE: Final = 0.2  # s that changes may gather before they are looked at


def wanted_of(config: Config) -> dict[Address, str]:
    """Every local address of a FULLNAT service that is to be bound, and where."""
    return {
        address: interface
        for vs in config.virtual_servers
        for address, interface in local_addresses(vs, config).items()
        if interface
    }


def in_use() -> set[Address]:
    """The local addresses that a session has. Blocks; raises KeepaliveError, OSError."""
    return {ip_address(packed) for packed in {one.local for one in sessions.read()} if packed}


class LocalAddresses:
    """Follows one configuration after the other; idle while none has an address to bind.
    `directory`: where ownership is remembered, or ""."""

    def __init__(
        self, dataplane: str, directory: str, *, in_use: Callable[[], set[Address]] = in_use
    ) -> None:
        self.active = dataplane == IN_KERNEL
        self.ownership = Ownership(directory, FILE)
        self.in_use = in_use
        self.work: Work | None = None
        self.pressure = PressureWatch(self.active)
        self.said: set[str] = set()

    def prepare(self, config: Config) -> None:
        """Before anything needs them: bind those of `config`. Others stay, until `release`."""
        wanted = wanted_of(config) if self.active else {}
        with self.trouble():
            if self.work is None:
                self.ownership.load()
                if not (self.active and (wanted or self.ownership.places)):
                    return
                self.work = Work(self, Rtnetlink(), Listener(wire.ADDRESS_GROUPS))
            self.said.clear()
            self.work.wanted = wanted
            self.work.place()

    def release(self, config: Config) -> None:
        """The table is as `config` says: from now on, what has no session may go."""
        self.pressure.follow(config)
        if self.work is not None:
            self.work.arm(RELEASE)

    def close(self, *, keep_table: bool) -> None:
        """The table is gone, or stays (`keep_table`) and with it what it needs."""
        self.pressure.close()
        if self.work is None:
            return
        with self.trouble():
            if not keep_table:
                self.work.wanted = {}
                self.work.place(used=())
        self.work.close()
        self.work = None

    def as_json(self) -> dict[str, Any]:
        """What is bound, what is to go when its sessions have ended, and what is nearly full."""
        work = self.work
        bound, leaving = (work.wanted, work.leaving) if work is not None else ({}, {})
        return {
            "bound": {str(address): name for address, name in bound.items()},
            "leaving": {str(address): name for address, name in leaving.items()},
            **self.pressure.as_json(),
        }

    def complain(self, text: str) -> None:
        """Once, until the configuration changes."""
        if text not in self.said:
            self.said.add(text)
            voice.warn(text)

    @contextlib.contextmanager
    def trouble(self) -> Iterator[None]:
        try:
            yield
        except (KeepaliveError, OSError) as error:
            self.complain(f"local addresses: {error}")


class Work:
    """Addresses at work. Raises KeepaliveError, OSError where nothing else is said."""

    def __init__(self, owner: LocalAddresses, kernel: Rtnetlink, listener: Listener) -> None:
        self.owner = owner
        self.kernel = kernel
        self.listener = listener
        self.loopback = Loopback[str](kernel, owner.ownership, {}, mark=wire.LOCAL)
        self.wanted: dict[Address, str] = {}
        self.leaving: dict[Address, str] = {}
        self.timer: asyncio.TimerHandle | None = None
        self.releasing: asyncio.Task[None] | None = None
        self.loop = asyncio.get_running_loop()
        self.loop.add_reader(listener, self.heard)
        self.due: asyncio.TimerHandle | None = None

    def place(self, used: Collection[Address] | None = None) -> None:
        """Bind what is wanted; take off what is ours, not wanted and not `used` (None: nobody
        looked)."""
        names = {*self.wanted.values(), *self.owner.ownership.interfaces()}
        links = self.kernel.links()
        for name in sorted(names - links.keys()):
            self.owner.complain(f"local addresses: there is no interface {name}")
        self.loopback.interfaces = {name: name for name in names if name in links}
        self.leaving = {
            address: name
            for address, name in self.loopback.found().items()
            if name is not None and address not in self.wanted and (used is None or address in used)
        }
        self.tell(self.loopback.place({**self.leaving, **self.wanted}))

    def tell(self, outcome: Outcome) -> None:
        repaired = set(outcome.repaired)
        for address in outcome.moved:
            name = self.wanted.get(address)
            if name is None:
                voice.log.info(f"Local address {address} taken off")
            elif address in repaired:
                voice.warn(f"Local address {address} was taken off {name} by somebody else: put back")
            else:
                voice.log.info(f"Local address {address} put on {name}")
        for address, name in outcome.foreign:
            self.owner.complain(f"Local address {address} is on {name} and not put there by us: it stays")
        for text in outcome.refused:
            self.owner.complain(f"local addresses: {text}")

    # Changes by others.

    def heard(self) -> None:
        self.listener.drain()
        if self.due is None:
            self.due = self.loop.call_later(SETTLE, self.look)

    def look(self) -> None:
        self.due = None
        with self.owner.trouble():
            self.place()

    # What may go.

    def arm(self, seconds: float) -> None:
        if self.timer is None and self.leaving:
            self.timer = self.loop.call_later(seconds, self.begin_release)

    def begin_release(self) -> None:
        self.timer = None
        self.releasing = self.loop.create_task(self.release(), name="local addresses")

    async def release(self) -> None:
        """In a thread, as there may be a hundred thousand sessions."""
        with self.owner.trouble():
            used = await asyncio.to_thread(self.owner.in_use)
            self.place(used)
        self.arm(RELEASE)

    def close(self) -> None:
        for timer in (self.timer, self.due):
            if timer is not None:
                timer.cancel()
        if self.releasing is not None:
            self.releasing.cancel()
        self.loop.remove_reader(self.listener)
        self.listener.close()
        self.kernel.close()
