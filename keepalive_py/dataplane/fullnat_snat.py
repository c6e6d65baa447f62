"""FULLNAT on a stock kernel: IPVS NAT towards the real server, and source NAT to a local
address by nf_tables on the way out.

To its callers this is IPVS that knows FULLNAT. Services with local addresses get NAT
destinations in the kernel and an entry in our nf_tables table; read back, the two are one
again. The source address is in place before a destination can get traffic, and leaves
after the last one. Services without local addresses never touch nf_tables.

What the kernel needs for it is checked when the first local address comes:

- `net.ipv4.vs.conntrack` = 1, so that conntrack, and with it nf_tables, sees IPVS's
  connections; ours to set, and to set back when the last FULLNAT service is gone;
- `net.ipv4.ip_forward` (for IPv6 `net.ipv6.conf.all.forwarding`) = 1: makes a router of the
  node, so it is asked for and never set. Services of the other family do not wait for it.

One-packet scheduling cannot work here: conntrack does not follow such datagrams.

On a kernel with the FULLNAT patches IPVS itself knows local addresses; then nothing of
this is done, and IPVS gets every step as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from keepalive_py.config.model import Forwarding, LvsSyncDaemon, LvsTimeouts
from keepalive_py.dataplane.ipvs import BREATH, IpvsDataplane
from keepalive_py.dataplane.namespace import run_in
from keepalive_py.dataplane.nf_tables import Ear
from keepalive_py.dataplane.nftables import Contents, SourceTable
from keepalive_py.dataplane.port import Refusal, ServiceCounters
from keepalive_py.dataplane.settle import service_of
from keepalive_py.errors import FeatureMissing, KernelRefused
from keepalive_py.net import Address, Family, family_of
from keepalive_py.plan.steps import AddLocalAddress, DeleteLocalAddress, DeleteService, Step
from keepalive_py.plan.table import Destination, ServiceEntry, ServiceKey, Table
from keepalive_py.wire.ipvs import TRANSLATED

SYSCTL = Path("/proc/sys")
CONNTRACK = "net/ipv4/vs/conntrack"
FORWARDING = {Family.INET: "net/ipv4/ip_forward", Family.INET6: "net/ipv6/conf/all/forwarding"}

OTHER_FAMILY = "a local address must be of the service's family"

PART = 256  # steps before other tasks get their turn

LocalStep = AddLocalAddress | DeleteLocalAddress
Pools = dict[ServiceKey, tuple[Address, ...]]


class FullnatSnatDataplane:
    """IPVS with FULLNAT. `namespace`: the network namespace (None: our own)."""

    name = "ipvs"
    serves_by_mark = False

    def __init__(self, *, namespace: str | None = None) -> None:
        self._namespace = namespace
        self._ipvs = IpvsDataplane(namespace=namespace, mainline=TRANSLATED)
        self._source: SourceTable | None = None
        self._contents = Contents()
        self._tracking_is_ours = False
        self._changed: Callable[[], None] | None = None
        self._ear: Ear | None = None
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        await self._ipvs.open()

    @property
    def in_kernel(self) -> bool:
        """Whether IPVS itself knows FULLNAT here."""
        return self._ipvs.flavour.local_addresses

    @property
    def service_options(self) -> frozenset[str]:
        return self._ipvs.service_options

    def watch(self, changed: Callable[[], None]) -> None:
        """Of IPVS the kernel tells nothing, of our rules everything. Without them the kernel may
        stop translating what is established, too, so it matters that they are back at once."""
        self._changed = changed

    def _listen(self, table: SourceTable) -> None:
        if self._changed is None:
            return
        try:
            self._ear = Ear(self._namespace, table)
        except (FeatureMissing, OSError):
            return  # the next reading sees what changed
        asyncio.get_running_loop().add_reader(self._ear, self._hear)

    def _hear(self) -> None:
        if self._ear is not None and self._changed is not None and self._ear.heard():
            self._changed()

    async def close(self) -> None:
        await self._ipvs.close()
        if self._ear is not None:
            asyncio.get_running_loop().remove_reader(self._ear)
            self._ear.close()
            self._ear = None
        if self._source is not None:
            self._source.close()
            self._source = None

    # ------------------------------------------------------------ the table

    async def read(self) -> Table:
        """IPVS's table; services with an entry in ours come back as FULLNAT."""
        async with self._lock:
            table = await self._ipvs.read()
            if self.in_kernel:
                return table
            self._contents = await self._read_source()
            if self._contents.services:
                self._track()  # what cannot be set is told with the next change
        for place, key in enumerate(self._contents.services):
            if key in table:
                table[key] = _as_fullnat(table[key], self._addresses(key))
            if place % BREATH == 0:
                await asyncio.sleep(0)
        return table

    async def _read_source(self) -> Contents:
        """Ours, or nothing where there is no nf_tables: then no service is FULLNAT."""
        try:
            return await self._opened().read()
        except (FeatureMissing, KernelRefused, OSError):
            return Contents()

    def _opened(self) -> SourceTable:
        if self._source is None:
            self._source = SourceTable(self._namespace)
            self._listen(self._source)
        return self._source

    def _addresses(self, key: ServiceKey) -> tuple[Address, ...]:
        return self._contents.pools.get(self._contents.services.get(key, ""), ())

    async def apply(self, steps: Sequence[Step]) -> list[Refusal]:
        if self.in_kernel:
            return await self._ipvs.apply(steps)
        refusals: list[Refusal] = []
        async with self._lock:
            for part in _parts(steps):
                refusals += await self._apply_part(part)
        return refusals

    async def _apply_part(self, steps: Sequence[Step]) -> list[Refusal]:
        """Source addresses that come, then IPVS, then source addresses that go."""
        local = [step for step in steps if isinstance(step, LocalStep)]
        leaving: Pools = {
            step.key: ()
            for step in steps
            if isinstance(step, DeleteService) and step.key in self._contents.services
        }
        refusals = await self._change_local(local)
        refusals += await self._ipvs.apply([step for step in steps if not isinstance(step, LocalStep)])
        await self._forget(leaving)
        return refusals

    async def _change_local(self, steps: Sequence[LocalStep]) -> list[Refusal]:
        refusals = list(self._unfit(steps))
        unfit = {id(refusal.step) for refusal in refusals}
        fit = [step for step in steps if id(step) not in unfit]
        if not fit:
            return refusals
        try:
            await self._change(self._pools_after(fit))
        except KernelRefused as refused:
            refusals += [Refusal(step, refused.errno, refused.hint) for step in fit]
        except (FeatureMissing, OSError) as missing:
            refusals += [Refusal(step, errno.EOPNOTSUPP, str(missing)) for step in fit]
        return refusals

    def _unfit(self, steps: Sequence[LocalStep]) -> Iterator[Refusal]:
        """Those that no table could help: of the other family, or of a kernel not set up for it."""
        asked = {step.key.family for step in steps if isinstance(step, AddLocalAddress)}
        lacking = self._lacking(asked)
        for step in steps:
            if family_of(step.address) is not step.key.family:
                yield Refusal(step, errno.EAFNOSUPPORT, OTHER_FAMILY)
            elif step.key.family in lacking and isinstance(step, AddLocalAddress):
                yield Refusal(step, *lacking[step.key.family])

    async def _change(self, pools: Pools) -> None:
        self._contents = await self._opened().change(self._contents, pools)
        self._stop_tracking()

    def _pools_after(self, steps: Iterable[LocalStep]) -> Pools:
        """Sorted, so that services with the same addresses share a pool however they got them."""
        pools: dict[ServiceKey, list[Address]] = {}
        for step in steps:
            pool = pools.get(step.key)
            if pool is None:
                pool = pools[step.key] = list(self._addresses(step.key))
            if step.address in pool:
                pool.remove(step.address)
            if isinstance(step, AddLocalAddress):
                pool.append(step.address)
        return {key: tuple(sorted(pool, key=int)) for key, pool in pools.items()}

    async def _forget(self, leaving: Pools) -> None:
        """Entries of services that are gone. A refusal is harmless: nothing matches them any
        more, and the next read sees what is left."""
        if not leaving:
            return
        try:
            await self._change(leaving)
        except (KernelRefused, OSError):
            self._contents = await self._read_source()

    # ------------------------------------------------------------ the kernel's settings

    def _lacking(self, families: Iterable[Family]) -> dict[Family, tuple[int, str]]:
        """What the kernel lacks for FULLNAT in each of them: errno and hint. What is ours to set
        is set."""
        asked = set(families)
        tracking = self._track() if asked else None
        if tracking is not None:
            return dict.fromkeys(asked, tracking)
        return {
            family: (errno.EHOSTUNREACH, f"FULLNAT needs it: set it by `sysctl -w {_dotted(name)}=1`")
            for family in asked
            if _sysctl(self._namespace, name := FORWARDING[family]) == "0"
        }

    def _track(self) -> tuple[int, str] | None:
        """Have IPVS's connections tracked, or say why that cannot be."""
        found = _sysctl(self._namespace, CONNTRACK)
        if not found:
            return errno.EOPNOTSUPP, "FULLNAT needs a kernel with CONFIG_IP_VS_NFCT"
        if found == "0":
            try:
                _set_sysctl(self._namespace, CONNTRACK, "1")
            except OSError as error:
                hint = f"FULLNAT needs it: set it by `sysctl -w {_dotted(CONNTRACK)}=1`"
                return error.errno or errno.EIO, hint
            self._tracking_is_ours = True
        return None

    def _stop_tracking(self) -> None:
        """With the last FULLNAT service the setting goes back to what it was."""
        if self._tracking_is_ours and not self._contents.services:
            self._tracking_is_ours = False
            with contextlib.suppress(OSError):
                _set_sysctl(self._namespace, CONNTRACK, "0")

    async def flush(self) -> None:
        async with self._lock:
            await self._ipvs.flush()
            if self._contents.services or self._contents.whole:
                self._opened().remove()
                self._contents = Contents()
            self._stop_tracking()

    # ------------------------------------------------------------ the rest is IPVS's

    async def counters(self) -> dict[ServiceKey, ServiceCounters]:
        return await self._ipvs.counters()

    async def timeouts(self) -> LvsTimeouts:
        return await self._ipvs.timeouts()

    async def set_timeouts(self, timeouts: LvsTimeouts) -> None:
        await self._ipvs.set_timeouts(timeouts)

    async def start_sync_daemon(self, daemon: LvsSyncDaemon, *, master: bool) -> None:
        await self._ipvs.start_sync_daemon(daemon, master=master)

    async def stop_sync_daemon(self, daemon: LvsSyncDaemon, *, master: bool) -> None:
        await self._ipvs.stop_sync_daemon(daemon, master=master)


def _parts(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    """Of about PART steps each; what is done to a service in one run stays together."""
    start = 0
    for at in range(PART, len(steps)):
        if at - start >= PART and service_of(steps[at]) != service_of(steps[at - 1]):
            yield steps[start:at]
            start = at
    if start < len(steps):
        yield steps[start:]


def _as_fullnat(entry: ServiceEntry, addresses: tuple[Address, ...]) -> ServiceEntry:
    destinations = {endpoint: _fullnat(destination) for endpoint, destination in entry.destinations.items()}
    return replace(entry, destinations=destinations, local_addresses=addresses)


def _fullnat(destination: Destination) -> Destination:
    if destination.forwarding is not Forwarding.NAT:
        return destination
    return Destination(
        destination.endpoint,
        Forwarding.FNAT,
        destination.weight,
        destination.u_threshold,
        destination.l_threshold,
        destination.tunnel,
    )


def _sysctl(namespace: str | None, name: str) -> str:
    """A kernel setting; empty when the kernel does not have it."""
    path = SYSCTL / name

    def read() -> str:
        return path.read_text().strip() if path.exists() else ""

    return run_in(namespace, read)


def _set_sysctl(namespace: str | None, name: str, value: str) -> None:
    """Raises OSError."""
    path = SYSCTL / name
    run_in(namespace, lambda: path.write_text(value))


def _dotted(name: str) -> str:
    return name.replace("/", ".")
