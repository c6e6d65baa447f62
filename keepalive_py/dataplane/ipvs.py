"""The kernel's IPVS, over generic netlink.

Steps travel in chunks: one send carries up to `CHUNK` messages, and only the last asks for
an acknowledgement. Where the kernel refuses something that a remedy exists for (see
`settle`), the rest of that service's steps in the chunk is repeated one by one, and chunks
are cut so that the outcome is the same as if every step had been settled before the next
was sent.

Services come back in the order of the kernel's hash table, that is in none. Destinations
come back in the order in which they were added: the kernel lists the latest first.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from keepalive_py.config.model import LvsSyncDaemon, LvsTimeouts
from keepalive_py.dataplane import modules, settle
from keepalive_py.dataplane.hints import COMMAND_HINTS, PRIVILEGE
from keepalive_py.dataplane.netlink import BUFFER, AnswersLost, GenericNetlink, Refused, Request
from keepalive_py.dataplane.port import Counters, Refusal, ServiceCounters
from keepalive_py.errors import FeatureMissing, KernelRefused
from keepalive_py.net import Endpoint, Family
from keepalive_py.plan.steps import (
    AddDestination,
    AddLocalAddress,
    AddService,
    DeleteDestination,
    DeleteLocalAddress,
    DeleteService,
    EditDestination,
    EditService,
    Step,
)
from keepalive_py.plan.table import Destination, Service, ServiceEntry, ServiceKey, Table
from keepalive_py.wire import ipvs as wire
from keepalive_py.wire.ipvs import Command, Flavour, Foreign, Inexpressible, OutOfRange
from keepalive_py.wire.netlink import Outcome

GENERIC_NETLINK, IPVS = IPVS_FEATURES = ("generic netlink", "IPVS")
MODULE = "ip_vs"
CHUNK = 512  # messages in one send; larger ones are not faster
BREATH = 64  # messages read or run one by one before other tasks get their turn
ATTEMPTS = 3  # of a dump whose answers were lost

T = TypeVar("T")
S = TypeVar("S")
D = TypeVar("D")


class IpvsDataplane:
    """`namespace`: the network namespace whose IPVS this is (None: our own, "": init's).
    `buffer`: bytes for the kernel's answers. `mainline`: how to speak to a kernel without the
    FULLNAT patches."""

    name = "ipvs"
    serves_by_mark = False

    def __init__(
        self,
        *,
        namespace: str | None = None,
        buffer: int = BUFFER,
        mainline: Flavour = wire.MAINLINE,
    ) -> None:
        self._namespace = namespace
        self._buffer = buffer
        self._mainline = mainline
        self._netlink: GenericNetlink | None = None
        self._lock = asyncio.Lock()
        self._breath = 0
        self.version: wire.Version | None = None
        self.flavour = mainline

    @property
    def service_options(self) -> frozenset[str]:
        return frozenset(("syn_proxy",)) if self.flavour.syn_proxy else frozenset()

    # ------------------------------------------------------------ opening

    async def open(self) -> None:
        """Raises FeatureMissing when there is no IPVS, KernelRefused when we may not use it."""
        try:
            self._netlink = GenericNetlink(self._namespace, buffer=self._buffer)
        except OSError as error:
            if error.errno in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT):
                raise FeatureMissing(GENERIC_NETLINK, "Linux with CONFIG_NET") from error
            raise KernelRefused("open a netlink socket", error.errno or errno.EIO) from error
        try:
            await self._find_family()
            self.version = self._ask_version()
            self.flavour = wire.flavour_of(self._kernel.commands, self._mainline)
        except BaseException:
            await self.close()
            raise

    def watch(self, changed: Callable[[], None]) -> None:
        """IPVS tells nobody."""

    async def close(self) -> None:
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None

    async def _find_family(self) -> None:
        if self._kernel.bind_family(wire.FAMILY_NAME):
            return
        if await modules.load(MODULE) and self._kernel.bind_family(wire.FAMILY_NAME):
            return
        if await modules.exists(MODULE):
            words = PRIVILEGE if os.geteuid() else "see the kernel's log for the reason"
            raise KernelRefused(f"load the kernel module {MODULE}", errno.EPERM, words)
        raise FeatureMissing(IPVS, f"a kernel with IPVS (CONFIG_IP_VS; module {MODULE})")

    def _ask_version(self) -> wire.Version:
        """The first command that needs privilege: say so now and not at the first step."""
        try:
            return wire.decode_version(self._kernel.ask(Command.GET_INFO))
        except Refused as refused:
            text = PRIVILEGE if refused.errno == errno.EPERM else refused.text
            raise KernelRefused("use IPVS", refused.errno, text) from None

    @property
    def _kernel(self) -> GenericNetlink:
        if self._netlink is None:
            raise KernelRefused("use IPVS", errno.EBADF, "the dataplane is not open")
        return self._netlink

    # ------------------------------------------------------------ applying

    async def apply(self, steps: Sequence[Step]) -> list[Refusal]:
        refusals: list[Refusal] = []
        async with self._lock:
            for chunk in _chunks(steps):
                refusals += await self._apply_chunk(chunk)
                await asyncio.sleep(0)
        return refusals

    async def _apply_chunk(self, steps: Sequence[Step]) -> list[Refusal]:
        try:
            outcomes = self._send(steps)
            again = _to_repeat(steps, outcomes)
        except AnswersLost:
            outcomes, again = {}, list(range(len(steps)))
        refused = {at: settle.refusal(steps[at], outcome) for at, outcome in outcomes.items()}
        for at in again:
            refused[at] = settle.attempt(steps[at], self._run)
            await self._breathe()
        return [refusal for _, refusal in sorted(refused.items()) if refusal is not None]

    def _send(self, steps: Sequence[Step]) -> dict[int, Outcome]:
        """The failures, by position. Raises AnswersLost."""
        requests, positions, outcomes = [], [], {}
        for at, step in enumerate(steps):
            try:
                requests.append(_request(step, self.flavour))
                positions.append(at)
            except Inexpressible as error:
                outcomes[at] = _inexpressible(error)
        failed = self._kernel.batch(requests)
        return outcomes | {positions[at]: outcome for at, outcome in failed.items()}

    def _run(self, step: Step) -> Outcome:
        try:
            return self._command(*_request(step, self.flavour))
        except Inexpressible as error:
            return _inexpressible(error)

    def _command(self, command: int, payload: bytes = b"") -> Outcome:
        try:
            return self._kernel.run(command, payload)
        except AnswersLost:
            return Outcome(errno.ENOBUFS, "")

    async def flush(self) -> None:
        async with self._lock:
            self._must("flush IPVS", Command.FLUSH)

    def _must(self, what: str, command: Command, payload: bytes = b"") -> None:
        """A command whose failure is the caller's. Raises KernelRefused."""
        number, text = self._command(command, payload)
        if number:
            raise KernelRefused(what, number, COMMAND_HINTS.get((command, number), text))

    # ------------------------------------------------------------ reading

    async def read(self) -> Table:
        entries = await self._dump_all(self._service, self._destination)
        table = {
            service.key: ServiceEntry(service, {each.endpoint: each for each in destinations})
            for service, destinations in entries
        }
        if self.flavour.local_addresses:
            for key, entry in table.items():
                local = tuple(one.address for one in await self.local_addresses(key))
                table[key] = replace(entry, local_addresses=local)
        return table

    def _service(self, payload: memoryview) -> tuple[ServiceKey, Service]:
        service = wire.decode_service(payload, self.flavour)
        return service.key, service

    def _destination(self, payload: memoryview, family: Family) -> Destination:
        return wire.decode_destination(payload, family, self.flavour)

    async def local_addresses(self, key: ServiceKey) -> list[wire.LocalAddress]:
        """A service's local addresses, with their use; only FULLNAT kernels have any."""

        def decode(payload: memoryview) -> wire.LocalAddress:
            return wire.decode_local_address(payload, key.family)

        async with self._lock:
            return await self._dump(Command.GET_LOCAL, wire.encode_key(key), decode)

    async def counters(self) -> dict[ServiceKey, ServiceCounters]:
        entries = await self._dump_all(_decode_service_counters, _decode_destination_counters)
        return {
            key: ServiceCounters(counters, dict(destinations)) for (key, counters), destinations in entries
        }

    async def _dump_all(
        self,
        of_service: Callable[[memoryview], tuple[ServiceKey, S]],
        of_destination: Callable[[memoryview, Family], D],
    ) -> list[tuple[S, list[D]]]:
        async with self._lock:
            await self._find_family_again()
            found = []
            for key, service in await self._dump(Command.GET_SERVICE, b"", of_service):

                def of_family(payload: memoryview, family: Family = key.family) -> D:
                    return of_destination(payload, family)

                latest_first = await self._dump(Command.GET_DEST, wire.encode_key(key), of_family)
                found.append((service, latest_first[::-1]))
            return found

    async def _find_family_again(self) -> None:
        """The module may have been unloaded and loaded since, which changes its number."""
        try:
            self._kernel.ask(Command.GET_INFO)
        except Refused as refused:
            if refused.errno != errno.ENOENT:
                raise _unreadable(refused) from None
            await self._find_family()

    async def _dump(self, command: Command, payload: bytes, decode: Callable[[memoryview], T]) -> list[T]:
        for _ in range(ATTEMPTS):
            try:
                return await self._dump_once(command, payload, decode)
            except AnswersLost:
                continue
            except Refused as refused:
                raise _unreadable(refused) from None
        raise KernelRefused("read IPVS", errno.ENOBUFS)

    async def _dump_once(
        self, command: Command, payload: bytes, decode: Callable[[memoryview], T]
    ) -> list[T]:
        found = []
        with contextlib.closing(self._kernel.dump(command, payload)) as answers:
            for answer in answers:
                # What we have no word for is not ours. If it stands where one of ours
                # should, adding that finds it there and makes it right.
                with contextlib.suppress(Foreign):
                    found.append(decode(answer))
                await self._breathe()
        return found

    async def _breathe(self) -> None:
        """Called once per message or step: every so often, let other tasks run."""
        self._breath = (self._breath + 1) % BREATH
        if self._breath == 0:
            await asyncio.sleep(0)

    # ------------------------------------------------------------ timeouts and daemons

    async def timeouts(self) -> LvsTimeouts:
        async with self._lock:
            try:
                return wire.decode_timeouts(self._kernel.ask(Command.GET_CONFIG))
            except Refused as refused:
                raise KernelRefused("read IPVS timeouts", refused.errno, refused.text) from None

    async def set_timeouts(self, timeouts: LvsTimeouts) -> None:
        async with self._lock:
            self._must("set IPVS timeouts", Command.SET_CONFIG, wire.encode_timeouts(timeouts))

    async def sync_daemons(self) -> list[tuple[LvsSyncDaemon, bool]]:
        """The running connection-synchronisation daemons, and whether each is the master."""
        async with self._lock:
            return await self._running_daemons()

    async def start_sync_daemon(self, daemon: LvsSyncDaemon, *, master: bool) -> None:
        """One that runs already with these settings is left alone, with others restarted.
        Raises KernelRefused."""
        async with self._lock:
            running = [other for other, role in await self._running_daemons() if role is master]
            if any(settle.same_daemon(daemon, other) for other in running):
                return
            for other in running:
                await self._stop_daemon(other, master)
            what = f"start the {_role(master)} sync daemon on {daemon.interface}"
            self._must(what, Command.NEW_DAEMON, wire.encode_daemon(daemon, master=master))

    async def stop_sync_daemon(self, daemon: LvsSyncDaemon, *, master: bool) -> None:
        """One that does not run needs no stop. Raises KernelRefused."""
        async with self._lock:
            await self._stop_daemon(daemon, master)

    async def _stop_daemon(self, daemon: LvsSyncDaemon, master: bool) -> None:
        number, text = self._command(Command.DEL_DAEMON, wire.encode_daemon(daemon, master=master))
        if number in (0, errno.ESRCH):
            return
        # A daemon that had not begun to run is stopped without an answer.
        if any(role is master for _, role in await self._running_daemons()):
            raise KernelRefused(f"stop the {_role(master)} sync daemon", number, text)

    async def _running_daemons(self) -> list[tuple[LvsSyncDaemon, bool]]:
        return await self._dump(Command.GET_DAEMON, b"", wire.decode_daemon)


def _role(master: bool) -> str:
    return "master" if master else "backup"


# ---------------------------------------------------------------- steps to messages


def _request(step: Step, flavour: Flavour) -> Request:
    """Raises Inexpressible."""
    command, encode = _ENCODERS[type(step)]
    if command in _OF_LOCAL_ADDRESSES and not flavour.local_addresses:
        raise Inexpressible(f"{flavour.name} kernels have no local addresses")
    return command, encode(step, flavour)


def _service(step: Any, flavour: Flavour) -> bytes:
    return wire.encode_service(step.service, flavour)


def _destination(step: Any, flavour: Flavour) -> bytes:
    return wire.encode_key(step.key) + wire.encode_destination(step.destination, flavour)


def _local_address(step: Any, _: Flavour) -> bytes:
    return wire.encode_key(step.key) + wire.encode_local_address(step.address)


_OF_LOCAL_ADDRESSES = {Command.NEW_LOCAL, Command.DEL_LOCAL}
_ENCODERS: Mapping[type, tuple[Command, Callable[[Any, Flavour], bytes]]] = {
    AddService: (Command.NEW_SERVICE, _service),
    EditService: (Command.SET_SERVICE, _service),
    DeleteService: (Command.DEL_SERVICE, lambda step, _: wire.encode_key(step.key)),
    AddDestination: (Command.NEW_DEST, _destination),
    EditDestination: (Command.SET_DEST, _destination),
    DeleteDestination: (
        Command.DEL_DEST,
        lambda step, _: wire.encode_key(step.key) + wire.encode_endpoint(step.endpoint),
    ),
    AddLocalAddress: (Command.NEW_LOCAL, _local_address),
    DeleteLocalAddress: (Command.DEL_LOCAL, _local_address),
}


_OF_SERVICES = {AddService, EditService, DeleteService}
_DELETES = {DeleteService, DeleteDestination, DeleteLocalAddress}


def _inexpressible(error: Inexpressible) -> Outcome:
    """What the kernel would answer: a number out of range is EINVAL, all else is unknown to it."""
    return Outcome(errno.EINVAL if isinstance(error, OutOfRange) else errno.EOPNOTSUPP, "")


def _unreadable(refused: Refused) -> KernelRefused:
    text = PRIVILEGE if refused.errno == errno.EPERM else refused.text
    return KernelRefused("read IPVS", refused.errno, text)


def _chunks(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    """At most CHUNK steps each, and within one no step on a service as a whole after that
    service or a server of it was added or edited: only then may a remedy come late."""
    start = 0
    changed: set[ServiceKey] = set()
    latest = None
    for at, step in enumerate(steps):
        kind = type(step)
        if at - start == CHUNK or (kind in _OF_SERVICES and settle.service_of(step) in changed):
            yield steps[start:at]
            start, latest = at, None
            changed.clear()
        if kind not in _DELETES:
            key = settle.service_of(step)
            if key is not latest:
                changed.add(key)
                latest = key
    if start < len(steps):
        yield steps[start:]


def _to_repeat(steps: Sequence[Step], outcomes: Mapping[int, Outcome]) -> list[int]:
    """Every step of the services of which one needs a remedy, from that one on."""
    since: dict[ServiceKey, int] = {}
    for at in sorted(outcomes):
        if settle.remedy(steps[at], outcomes[at].errno) is not None:
            since.setdefault(settle.service_of(steps[at]), at)
    if not since:
        return []
    return [at for at, step in enumerate(steps) if at >= since.get(settle.service_of(step), len(steps))]


# ---------------------------------------------------------------- messages to values


def _decode_service_counters(payload: memoryview) -> tuple[ServiceKey, tuple[ServiceKey, Counters]]:
    key = wire.decode_key(payload)
    return key, (key, Counters(*wire.decode_service_traffic(payload)))


def _decode_destination_counters(payload: memoryview, family: Family) -> tuple[Endpoint, Counters]:
    traffic, active, inactive, persistent = wire.decode_destination_traffic(payload)
    return wire.decode_endpoint(payload, family), Counters(*traffic, active, inactive, persistent)
