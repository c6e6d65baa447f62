"""Warns while there is time that local addresses run out of ports, or conntrack of entries; and
of a setting of the kernel that FULLNAT needs and that somebody switched off.

Looked at twice a minute, in a thread, and only with FULLNAT services in the kernel. All sessions
are read only when some real server has so many that an address could be near its limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from keepalive_py.config.model import Config
from keepalive_py.daemon import voice
from keepalive_py.dataplane.fullnat_snat import CONNTRACK, FORWARDING, SYSCTL
from keepalive_py.errors import KeepaliveError
from keepalive_py.net import Address, family_of
from keepalive_py.plan.desired import local_addresses
from keepalive_py.sessions import kernel
from keepalive_py.sessions.pressure import (
    CALM,
    FULL,
    PORTS,
    WARN,
    Pressure,
    failures,
    is_crowded,
    of_sessions,
)

EVERY: Final = 30.0  # s
SETTINGS: Final = (CONNTRACK, *FORWARDING.values())


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen. `entries` of conntrack, of at most `limit` (0: no conntrack). `failures`
    since boot, as `sessions.pressure.failures`. `on`: what of SETTINGS is not 0."""

    addresses: tuple[Pressure, ...] = ()
    entries: int = 0
    limit: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    on: frozenset[str] = frozenset()

    @property
    def is_full(self) -> bool:
        return self.limit > 0 and self.entries >= FULL * self.limit


def look() -> Sight:
    """Blocks. Raises KeepaliveError, OSError."""
    crowded = is_crowded(kernel.services())
    addresses = of_sessions(kernel.read()) if crowded else []
    counted = failures(kernel.conntrack_statistics())
    on = frozenset(name for name in SETTINGS if (SYSCTL / name).exists() and _is_on(SYSCTL / name))
    return Sight(
        tuple(each for each in addresses if each.share >= CALM), *kernel.conntrack_entries(), counted, on
    )


def _is_on(setting: Path) -> bool:
    return setting.read_text().strip() != "0"


def needed(config: Config) -> frozenset[str]:
    """The settings that the FULLNAT services of `config` need."""
    addresses = {one for vs in config.virtual_servers for one in local_addresses(vs, config)}
    families = {family_of(address) for address in addresses}
    return frozenset((CONNTRACK, *(FORWARDING[each] for each in families))) if families else frozenset()


class PressureWatch:
    """`active`: local addresses are the kernel's."""

    def __init__(self, active: bool, look: Callable[[], Sight] = look) -> None:
        self.active = active
        self.look = look
        self.seen = Sight()
        self.full: set[Address] = set()
        self.table_full = False
        self.needed: frozenset[str] = frozenset()
        self.off: frozenset[str] = frozenset()
        self.dropped: int | None = None  # by conntrack, until the last look
        self.task: asyncio.Task[None] | None = None

    def follow(self, config: Config) -> None:
        self.needed = needed(config)
        wanted = self.active and bool(self.needed)
        if wanted and self.task is None:
            self.task = asyncio.get_running_loop().create_task(self.run(), name="local addresses' ports")
        elif not wanted:
            self.close()

    def close(self) -> None:
        if self.task is not None:
            self.task.cancel()
            self.task = None
        self.seen, self.dropped, self.off = Sight(), None, frozenset()

    async def run(self) -> None:
        said = ""
        while True:
            await asyncio.sleep(EVERY)
            try:
                self.take(await asyncio.to_thread(self.look))
                said = ""
            except (KeepaliveError, OSError) as error:
                if str(error) != said:
                    said = str(error)
                    voice.warn(f"local addresses: their sessions cannot be counted: {error}")
            except Exception as error:  # a mistake of ours: the next look is another one
                voice.mistake("local addresses' ports", error)

    def take(self, seen: Sight) -> None:
        """Say what is new about it."""
        self.tell_settings(before=self.seen.on, now=seen.on)
        self.seen = seen
        for each in seen.addresses:
            if each.share >= WARN and each.address not in self.full:
                self.full.add(each.address)
                voice.warn(
                    f"Local address {each.address} has {each.share:.0%} of its ports to {each.busiest}"
                    " in use: add addresses to its local_address_group"
                )
        for address in self.full - {each.address for each in seen.addresses}:
            self.full.discard(address)
            voice.log.info(f"Local address {address} has ports again")
        if seen.is_full and not self.table_full:
            voice.warn(
                f"conntrack has {seen.entries} of at most {seen.limit} entries: FULLNAT will have no new"
                " connections: raise net.netfilter.nf_conntrack_max"
            )
        self.table_full = seen.is_full
        self.tell_dropped(seen.failures.get("drop", 0))

    def tell_settings(self, before: frozenset[str], now: frozenset[str]) -> None:
        """Those that were on and are not; a kernel that does FULLNAT by itself may need none."""
        for name in sorted((before & self.needed) - now):
            setting = name.replace("/", ".")
            voice.warn(f"{setting} was switched off: FULLNAT has no new connections: `sysctl -w {setting}=1`")
        for name in sorted(self.off & now):
            voice.log.info(f"{name.replace('/', '.')} is on again")
        self.off = (self.off | (before & self.needed)) - now

    def tell_dropped(self, dropped: int) -> None:
        """Since the last look."""
        if self.dropped is not None and dropped > self.dropped:
            voice.warn(
                f"conntrack dropped {dropped - self.dropped} new connections in {EVERY:g} s: no local address"
                " had a port for them, or its table is full (keepalive-ctl local-addresses)"
            )
        self.dropped = dropped

    def as_json(self) -> dict[str, Any]:
        return {
            "full": [
                {
                    "address": str(each.address),
                    "sessions": each.sessions,
                    "busiest": each.busiest,
                    "busiest_sessions": each.busiest_sessions,
                    "ports": PORTS,
                    "share": round(each.share, 4),
                }
                for each in self.seen.addresses
                if each.share >= WARN
            ],
            "conntrack": {"entries": self.seen.entries, "limit": self.seen.limit, **self.seen.failures},
        }
