"""An IPVS table in this process: for embedding, for `--dry-run`, and as a mock in tests.

It refuses what Linux 6.12 refuses, with the same error number; the contract suite holds
both to that. Beyond the kernel it knows FULLNAT and local addresses, and tests can script
refusals (`refuse_next`), set counters, and see every step that was tried (`history`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import errno
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from keepalive_py.config.model import Forwarding, LvsSyncDaemon, LvsTimeouts, TunnelType
from keepalive_py.dataplane import settle
from keepalive_py.dataplane.hints import INT_MAX
from keepalive_py.dataplane.port import Counters, Refusal, ServiceCounters
from keepalive_py.errors import KernelRefused
from keepalive_py.net import Address, Endpoint, Family
from keepalive_py.plan.steps import (
    AddDestination,
    AddLocalAddress,
    AddService,
    DeleteDestination,
    DeleteLocalAddress,
    DeleteService,
    EditDestination,
    EditService,
    SetMarked,
    Step,
)
from keepalive_py.plan.table import (
    OPTION_NAMES,
    Destination,
    MarkedRange,
    Service,
    ServiceEntry,
    ServiceKey,
    Table,
)
from keepalive_py.wire.netlink import Outcome

SCHEDULERS = frozenset(
    ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos", "none")
)
ENGINES = frozenset(("sip",))
SCHEDULER_LENGTH, ENGINE_LENGTH = 15, 16  # the kernel's netlink policy
TIMEOUTS = LvsTimeouts(tcp=900, tcpfin=120, udp=300)
CHUNK = 512
NONE = Counters()
HISTORY = 50_000  # steps that are kept at least
UINT32 = 0xFFFFFFFF
OK = 0


@dataclass(slots=True)
class _Entry:
    """A service as this table holds it."""

    service: Service
    counters: Counters = Counters()
    destinations: dict[Endpoint, Destination] = field(default_factory=dict)
    destination_counters: dict[Endpoint, Counters] = field(default_factory=dict)
    local_addresses: list[Address] = field(default_factory=list)
    marked: tuple[MarkedRange, ...] = ()


@dataclass(slots=True)
class _Script:
    errno: int
    matches: Callable[[Step], bool]
    times: int


class MemoryDataplane:
    """`schedulers`, `engines`: what this "kernel" was built with."""

    name = "memory"
    service_options = OPTION_NAMES
    serves_by_mark = True

    def __init__(
        self, *, schedulers: Collection[str] = SCHEDULERS, engines: Collection[str] = ENGINES
    ) -> None:
        self.history: list[Step] = []
        self._schedulers = schedulers
        self._engines = engines
        self._entries: dict[ServiceKey, _Entry] = {}
        self._timeouts = TIMEOUTS
        self._daemons: dict[bool, LvsSyncDaemon] = {}
        self._scripts: list[_Script] = []

    # ------------------------------------------------------------ for tests

    def refuse_next(self, errno: int, matching: str | Callable[[Step], bool] = "", times: int = 1) -> None:
        """Refuse the next `times` steps that match: by a part of their text, or by a function."""
        text = matching if isinstance(matching, str) else ""
        matches = (lambda step: text in str(step)) if isinstance(matching, str) else matching
        self._scripts.append(_Script(errno, matches, times))

    def set_counters(self, key: ServiceKey, counters: Counters, endpoint: Endpoint | None = None) -> None:
        """The counters of a service, or of one of its destinations. KeyError when there is none."""
        entry = self._entries[key]
        if endpoint is None:
            entry.counters = counters
        else:
            entry.destination_counters[entry.destinations[endpoint].endpoint] = counters

    # ------------------------------------------------------------ the interface

    async def open(self) -> None:
        """Nothing to do."""

    def watch(self, changed: Callable[[], None]) -> None:
        """Nobody tells."""

    async def close(self) -> None:
        """The table stays, as the kernel's does."""

    async def read(self) -> Table:
        return {
            key: ServiceEntry(
                entry.service,
                dict(entry.destinations),
                tuple(entry.local_addresses),
                marked=entry.marked,
            )
            for key, entry in self._entries.items()
        }

    async def apply(self, steps: Sequence[Step]) -> list[Refusal]:
        refusals = []
        for count, step in enumerate(steps, 1):
            self._remember(step)
            refusals.append(self._scripted(step) or settle.attempt(step, self._run))
            if count % CHUNK == 0:
                await asyncio.sleep(0)
        return [refusal for refusal in refusals if refusal is not None]

    async def flush(self) -> None:
        self._entries.clear()

    async def counters(self) -> dict[ServiceKey, ServiceCounters]:
        found, made = dict[ServiceKey, ServiceCounters](), 0
        for key, entry in list(self._entries.items()):
            known = entry.destination_counters
            found[key] = ServiceCounters(
                entry.counters, {each: known.get(each, NONE) for each in entry.destinations}
            )
            made += len(entry.destinations)
            if made >= CHUNK:
                made = 0
                await asyncio.sleep(0)
        return found

    async def timeouts(self) -> LvsTimeouts:
        return self._timeouts

    async def set_timeouts(self, timeouts: LvsTimeouts) -> None:
        given = {name: seconds for name, seconds in dataclasses.asdict(timeouts).items() if seconds}
        self._timeouts = dataclasses.replace(self._timeouts, **given)

    async def sync_daemons(self) -> list[tuple[LvsSyncDaemon, bool]]:
        return [(daemon, master) for master, daemon in self._daemons.items()]

    async def start_sync_daemon(self, daemon: LvsSyncDaemon, *, master: bool) -> None:
        if self._has_mixed_families():
            raise KernelRefused("start the sync daemon", errno.EINVAL)
        self._daemons[master] = daemon

    async def stop_sync_daemon(self, daemon: LvsSyncDaemon, *, master: bool) -> None:
        self._daemons.pop(master, None)

    def _has_mixed_families(self) -> bool:
        return any(
            endpoint.family is not key.family
            for key, entry in self._entries.items()
            for endpoint in entry.destinations
        )

    # ------------------------------------------------------------ one step

    def _remember(self, step: Step) -> None:
        """A daemon may run on this for months."""
        self.history.append(step)
        if len(self.history) > 2 * HISTORY:
            del self.history[:-HISTORY]

    def _scripted(self, step: Step) -> Refusal | None:
        for script in self._scripts:
            if script.matches(step):
                script.times -= 1
                if not script.times:
                    self._scripts.remove(script)
                return settle.refusal(step, Outcome(script.errno, ""))
        return None

    def _run(self, step: Step) -> Outcome:
        match step:
            case AddService(service):
                return Outcome(self._add_service(service), "")
            case EditService(service):
                return Outcome(self._edit_service(service), "")
        entry = self._entries.get(step.key)
        if entry is None:
            return Outcome(errno.ESRCH, "")
        return Outcome(self._run_within(entry, step), "")

    def _run_within(self, entry: _Entry, step: Step) -> int:
        """A step on a service that is there."""
        match step:
            case DeleteService(key):
                del self._entries[key]
                return OK
            case AddDestination(_, destination):
                return self._add_destination(entry, destination)
            case EditDestination(_, destination):
                return self._edit_destination(entry, destination)
            case DeleteDestination(_, endpoint):
                return _remove(entry, endpoint)
            case AddLocalAddress(key, address):
                return _add_local_address(entry, key.family, address)
            case DeleteLocalAddress(_, address):
                return _remove_local_address(entry, address)
            case SetMarked(_, ranges):
                entry.marked = ranges
                return OK
        raise TypeError(step)

    # ------------------------------------------------------------ services

    def _add_service(self, service: Service) -> int:
        if _does_not_fit(service):
            return errno.EINVAL
        if service.key in self._entries:
            return errno.EEXIST
        number = self._check_service(service)
        if number == OK:
            self._entries[service.key] = _Entry(service)
        return number

    def _edit_service(self, service: Service) -> int:
        if _does_not_fit(service):
            return errno.EINVAL
        if service.key not in self._entries:
            return errno.ESRCH
        number = self._check_service(service)
        if number == OK:
            self._entries[service.key].service = service
        return number

    def _check_service(self, service: Service) -> int:
        if service.scheduler not in self._schedulers:
            return errno.ENOENT
        if service.persistence_engine and service.persistence_engine not in self._engines:
            return errno.ENOENT
        if service.key.family is Family.INET6 and not 1 <= service.netmask <= 128:
            return errno.EINVAL
        return OK

    # ------------------------------------------------------------ destinations

    def _add_destination(self, entry: _Entry, destination: Destination) -> int:
        number = self._check_destination(entry.service.key.family, destination)
        if number != OK:
            return number
        if destination.endpoint in entry.destinations:
            return errno.EEXIST
        if not _can_be_destination(destination.endpoint.address):
            return errno.EINVAL
        entry.destinations[destination.endpoint] = destination
        return OK

    def _edit_destination(self, entry: _Entry, destination: Destination) -> int:
        number = self._check_destination(entry.service.key.family, destination)
        if number != OK:
            return number
        if destination.endpoint not in entry.destinations:
            return errno.ENOENT
        entry.destinations[destination.endpoint] = destination
        return OK

    def _check_destination(self, family: Family, destination: Destination) -> int:
        """In the order in which the kernel looks."""
        if not -INT_MAX - 1 <= destination.weight <= INT_MAX or destination.u_threshold > UINT32:
            return errno.EINVAL
        if destination.endpoint.family is not family and (
            self._daemons or destination.forwarding is not Forwarding.TUN
        ):
            return errno.EINVAL
        if destination.weight < 0 or destination.l_threshold > destination.u_threshold:
            return errno.ERANGE
        if destination.u_threshold > INT_MAX:
            return errno.EINVAL
        if destination.tunnel.type is TunnelType.GUE and not destination.tunnel.port:
            return errno.EINVAL
        return OK


def _does_not_fit(service: Service) -> bool:
    """Numbers and names that have no room in a message."""
    key = service.key
    return (
        (key.endpoint is None and not key.fwmark)
        or len(service.scheduler) > SCHEDULER_LENGTH
        or len(service.persistence_engine or "") > ENGINE_LENGTH
        or not 0 <= service.persistence_timeout <= UINT32
        or not 0 <= service.netmask <= UINT32
    )


def _can_be_destination(address: Address) -> bool:
    """What the kernel calls unicast. An address that is the machine's own may be more."""
    if isinstance(address, IPv4Address):
        return not (address.is_multicast or address.is_unspecified or int(address) == UINT32)
    return not (
        address.is_multicast or address.is_unspecified or address.is_link_local or address.ipv4_mapped
    )


def _remove(entry: _Entry, endpoint: Endpoint) -> int:
    if entry.destinations.pop(endpoint, None) is None:
        return errno.ENOENT
    entry.destination_counters.pop(endpoint, None)
    return OK


def _add_local_address(entry: _Entry, family: Family, address: Address) -> int:
    if Endpoint(address, 0).family is not family:
        return errno.EINVAL
    if address in entry.local_addresses:
        return errno.EEXIST
    entry.local_addresses.append(address)
    return OK


def _remove_local_address(entry: _Entry, address: Address) -> int:
    if address not in entry.local_addresses:
        return errno.ENOENT
    entry.local_addresses.remove(address)
    return OK
