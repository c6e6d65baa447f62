"""Groups by firewall mark: IPVS and the table of nf_tables that marks its packets.

To its callers this is the dataplane inside with one more thing: a service by mark knows what
gets its mark (`ServiceEntry.marked`). Packets are led to a service when it and its destinations
are in place, and no longer before it goes.

The table is ours alone and is named by the configuration. One of that name that holds chains
of somebody else is never touched: then, as on a kernel without nf_tables, opening fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from keepalive_py.config.model import LvsSyncDaemon, LvsTimeouts
from keepalive_py.dataplane.nf_tables import NfTables
from keepalive_py.dataplane.port import Dataplane, Refusal, ServiceCounters
from keepalive_py.errors import KernelRefused
from keepalive_py.net import Family, Protocol
from keepalive_py.plan.marks import Coverage, MarkSettings
from keepalive_py.plan.steps import AddService, DeleteService, SetMarked, Step
from keepalive_py.plan.table import MarkedRange, ServiceKey, Table
from keepalive_py.wire import nft_marks as wire
from keepalive_py.wire import nftables as nft

NEEDS = "nf_tables with sets of concatenated ranges (CONFIG_NF_TABLES, Linux 5.6)"
TAMPERED = frozenset((errno.EEXIST, errno.ENOENT, errno.ENOTEMPTY, errno.EBUSY))

Ranges = dict[ServiceKey, tuple[MarkedRange, ...]]


@dataclass(slots=True)
class Contents:
    """What the tables hold. `maps`: the protocols of each table that is as we made it."""

    maps: dict[Family, set[Protocol]] = field(default_factory=dict)
    ranges: Ranges = field(default_factory=dict)


class MarkTable(NfTables):
    """Reads and changes the tables, one per family."""

    needs = NEEDS

    def __init__(self, settings: MarkSettings, namespace: str | None = None) -> None:
        super().__init__(namespace)
        self._settings = settings

    def read(self) -> Contents:
        """Everything in the tables. KernelRefused when one of them is somebody else's."""
        found = Contents()
        for family in Family:
            chains = [wire.decode_chain(body) for body in self._dump(wire.dump_chains(family))]
            names = [name for table, name in chains if table == self._settings.table]
            if any(name != wire.CHAIN for name in names):
                raise self._foreign()
            rules = [nft.decode_rule(body) for body in self._dump(wire.dump_rules(self._settings, family))]
            looked = [name for _, name in rules]
            if not names or len(set(looked)) < len(looked) or not set(looked) <= wire.PROTOCOLS.keys():
                continue
            found.maps[family] = {wire.PROTOCOLS[name] for name in looked}
            for name in looked:
                self._read_map(family, name, found.ranges)
        return found

    def _foreign(self) -> KernelRefused:
        name = self._settings.table
        hint = f"the nf_tables table {name} has chains of somebody else: name another with nftables_ipvs"
        return KernelRefused("mark the addresses of groups", errno.EEXIST, hint)

    def _read_map(self, family: Family, name: str, ranges: Ranges) -> None:
        found: dict[ServiceKey, list[MarkedRange]] = {}
        for body in self._dump(wire.dump_elements(self._settings, family, name)):
            for one in wire.decode_elements(body, family, wire.PROTOCOLS[name]):
                found.setdefault(ServiceKey(family, fwmark=one.mark), []).append(one.range)
        for key, several in found.items():
            ranges[key] = tuple(sorted((*ranges.get(key, ()), *several)))

    def change(self, before: Contents, wanted: Mapping[ServiceKey, tuple[MarkedRange, ...]]) -> Contents:
        """The tables with just `wanted`, in one transaction. Where somebody changed them under
        us they are made anew. Raises KernelRefused."""
        try:
            return self._changed(before, wanted)
        except KernelRefused as refused:
            if refused.errno not in TAMPERED:
                raise
            self.read()  # still ours?
            return self._changed(Contents(), wanted)

    def _changed(self, before: Contents, wanted: Mapping[ServiceKey, tuple[MarkedRange, ...]]) -> Contents:
        after = Contents(ranges={key: ranges for key, ranges in wanted.items() if ranges})
        messages: list[bytes] = []
        for family in Family:
            keys = [key for key in after.ranges if key.family is family]
            if not keys:
                messages += [wire.delete_table(self._settings, family)] if family in before.maps else []
                continue
            maps, ranges = before.maps.get(family), before.ranges
            if maps is None:
                messages += wire.new_table(self._settings, family)
                maps, ranges = set(), {}
            old, new = _differences(family, ranges, after.ranges)
            lacking = {one.range.protocol for one in new} - maps
            for protocol in sorted(lacking):
                messages += wire.new_map(self._settings, family, protocol)
            after.maps[family] = maps | lacking
            messages += wire.change_elements(nft.DELETE_ELEMENT, self._settings, old)
            messages += wire.change_elements(nft.NEW_ELEMENT, self._settings, new)
        self._transact(messages)
        return after


def _differences(
    family: Family, before: Ranges, after: Ranges
) -> tuple[list[wire.MarkElement], list[wire.MarkElement]]:
    """The elements that go, and those that come. Services that are the same cost next to nothing."""
    going: list[wire.MarkElement] = []
    coming: list[wire.MarkElement] = []
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key, ()), after.get(key, ())
        if key.family is family and old is not new and old != new:
            going += (wire.MarkElement(family, each, key.fwmark) for each in set(old).difference(new))
            coming += (wire.MarkElement(family, each, key.fwmark) for each in set(new).difference(old))
    return going, coming


class MarkingDataplane:
    """`inner` with services by mark that know what gets their mark."""

    serves_by_mark = True

    def __init__(self, inner: Dataplane, settings: MarkSettings, *, namespace: str | None = None) -> None:
        self.inner = inner
        self.name = inner.name
        self._settings = settings
        self._namespace = namespace
        self._table: MarkTable | None = None
        self._contents = Contents()
        self._hulls: dict[ServiceKey, tuple[tuple[MarkedRange, ...], int, int]] = {}
        self._lock = asyncio.Lock()

    @property
    def service_options(self) -> Collection[str]:
        return self.inner.service_options

    async def open(self) -> None:
        """`inner` is open already. Raises FeatureMissing or KernelRefused when nothing can be
        marked."""
        self._table = MarkTable(self._settings, self._namespace)
        try:
            self._contents = self._table.read()
        except BaseException:
            self._close_table()
            raise

    async def close(self) -> None:
        self._close_table()
        await self.inner.close()

    def _close_table(self) -> None:
        if self._table is not None:
            self._table.close()
            self._table = None

    @property
    def _opened(self) -> MarkTable:
        if self._table is None:
            raise KernelRefused("use nf_tables", errno.EBADF, "the dataplane is not open")
        return self._table

    # ------------------------------------------------------------ the table

    def watch(self, changed: Callable[[], None]) -> None:
        self.inner.watch(changed)

    async def read(self) -> Table:
        """Where the marks cannot be read they are taken to be as we left them: that is no reason
        not to look after IPVS."""
        async with self._lock:
            table = await self.inner.read()
            with contextlib.suppress(KernelRefused, OSError):
                self._contents = self._opened.read()
        for key, ranges in self._contents.ranges.items():
            if key in table:
                table[key] = replace(table[key], marked=ranges)
        return table

    async def apply(self, steps: Sequence[Step]) -> list[Refusal]:
        """Marks that go, then the dataplane inside, then marks that come or change."""
        marking = [step for step in steps if isinstance(step, SetMarked)]
        leaving = [step for step in steps if isinstance(step, DeleteService)]
        async with self._lock:
            self._withdraw(leaving)
            refusals = await self.inner.apply([step for step in steps if not isinstance(step, SetMarked)])
            absent = {each.step.service.key for each in refusals if isinstance(each.step, AddService)}
            refusals += [Refusal(step, errno.ESRCH) for step in marking if step.key in absent]
            refusals += self._mark([step for step in marking if step.key not in absent])
        return refusals

    def _withdraw(self, leaving: Sequence[DeleteService]) -> None:
        """A refusal is no reason to keep a service that is to go; the next read sees what is left."""
        gone = {step.key for step in leaving if step.key in self._contents.ranges}
        if not gone:
            return
        kept = {key: ranges for key, ranges in self._contents.ranges.items() if key not in gone}
        try:
            self._contents = self._opened.change(self._contents, kept)
        except (KernelRefused, OSError):
            self._contents = Contents()

    def _mark(self, steps: Sequence[SetMarked]) -> list[Refusal]:
        if not steps:
            return []
        try:
            self._contents = self._set({step.key: step.ranges for step in steps})
        except KernelRefused as refused:
            return [Refusal(step, refused.errno, refused.hint) for step in steps]
        except OSError as error:
            return [Refusal(step, error.errno or errno.EIO) for step in steps]
        return []

    def _set(self, ranges: Ranges) -> Contents:
        """What comes to one service leaves the others that had it: of ranges that overlap the
        kernel refuses some and takes others, and then no one knows which of them counts."""
        after = {**self._contents.ranges, **ranges}
        for family in Family:
            coming = Coverage(
                each for key, several in ranges.items() if key.family is family for each in several
            )
            for key, several in self._contents.ranges.items():
                if key.family is family and key not in ranges and coming.reaches(*self._hull(key, several)):
                    after[key] = tuple(each for each in several if not coming.overlaps(each))
        return self._opened.change(self._contents, after)

    def _hull(self, key: ServiceKey, several: tuple[MarkedRange, ...]) -> tuple[int, int]:
        """The lowest and the highest address of a service, remembered while it has the same."""
        known = self._hulls.get(key)
        if known is None or known[0] is not several:
            lowest = min((int(each.first) for each in several), default=0)
            highest = max((int(each.last) for each in several), default=-1)
            known = self._hulls[key] = several, lowest, highest
        return known[1:]

    async def flush(self) -> None:
        async with self._lock:
            self._contents = self._opened.change(self._opened.read(), {})
            await self.inner.flush()

    # ------------------------------------------------------------ the rest is that of `inner`

    async def counters(self) -> dict[ServiceKey, ServiceCounters]:
        return await self.inner.counters()

    async def timeouts(self) -> LvsTimeouts:
        return await self.inner.timeouts()

    async def set_timeouts(self, timeouts: LvsTimeouts) -> None:
        await self.inner.set_timeouts(timeouts)

    async def start_sync_daemon(self, daemon: LvsSyncDaemon, *, master: bool) -> None:
        await self.inner.start_sync_daemon(daemon, master=master)

    async def stop_sync_daemon(self, daemon: LvsSyncDaemon, *, master: bool) -> None:
        await self.inner.stop_sync_daemon(daemon, master=master)
