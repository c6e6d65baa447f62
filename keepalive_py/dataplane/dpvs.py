"""DPVS, through the HTTP API of its agent.

Steps on one service go out in their order, neighbours that add or delete real servers as one
request; several services at a time. Where a request for several servers is refused, each server
is tried alone, so that a refusal names its step. DPVS's answer to such a request is that about
its last server; what became of the others, the next reading of the table shows.

Adding is updating there: what exists already is no error. The agent keeps a picture of its own of
the table; what is read is DPVS's table itself (`healthcheck=true` asks for it).

An agent that does not answer raises KernelRefused, which the table's writer survives: it tries
again later, and reads everything first.

Standards: tools/dpvs-agent/dpvs-agent-api.yaml of iqiyi/dpvs.
"""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

import aiohttp

from keepalive_py.config.dpvs import DpvsAgent
from keepalive_py.config.model import Forwarding, LvsSyncDaemon, LvsTimeouts
from keepalive_py.dataplane import settle
from keepalive_py.dataplane.port import Counters, Refusal, ServiceCounters
from keepalive_py.errors import KernelRefused, WireError
from keepalive_py.net import Address
from keepalive_py.plan.steps import AddService, DeleteService, EditService, Step
from keepalive_py.plan.table import OPTION_NAMES, ServiceEntry, ServiceKey, Table
from keepalive_py.wire import dpvs as wire
from keepalive_py.wire.dpvs import Json, Request
from keepalive_py.wire.ipvs import Foreign, Inexpressible, OutOfRange

AT_ONCE: Final = 8  # requests under way
WHOLE_TABLE: Final = {"healthcheck": "true", "stats": "true"}
NOT_THERE: Final = 404
MOST_SAID: Final = 200  # characters of an answer that are shown

# What an answer's status is as an error number, and what it says to an operator.
STATUSES: Final = {
    404: (errno.ESRCH, "DPVS has no such service"),
    422: (errno.EINVAL, "the agent does not take a value of the request"),
    460: (errno.EINVAL, "the agent does not take the service's address"),
    461: (errno.EINVAL, "DPVS refused it; the agent's log says why"),
    500: (errno.EIO, "DPVS refused it; the agent's log says why"),
}


class Answer(NamedTuple):
    status: int
    text: str

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class DpvsDataplane:
    """`agent`: where it listens, and the device of local addresses that name none."""

    name = "dpvs"
    serves_by_mark = False
    service_options = OPTION_NAMES

    def __init__(self, agent: DpvsAgent | None = None) -> None:
        self._agent = agent or DpvsAgent()
        self._session: aiohttp.ClientSession | None = None
        self._lock = asyncio.Lock()
        # The agent does not tell which PROXY protocol a service has.
        self._proxy_protocols: dict[ServiceKey, str] = {}

    async def open(self) -> None:
        url = self._agent.agent
        path = url.removeprefix("unix:")
        connector: aiohttp.BaseConnector = aiohttp.TCPConnector(limit=AT_ONCE)
        if path != url:
            url, connector = "http://dpvs-agent", aiohttp.UnixConnector(path, limit=AT_ONCE)
        self._session = aiohttp.ClientSession(
            url,
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self._agent.timeout),
            trust_env=False,
        )

    def watch(self, changed: Callable[[], None]) -> None:
        """Nobody tells."""

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    # ------------------------------------------------------------ the table

    async def read(self) -> Table:
        async with self._lock:
            table = {key: entry for key, entry, _ in await self._entries()}

            async def ask(key: ServiceKey) -> None:
                local = await self._local_addresses(key)
                table[key] = replace(table[key], local_addresses=tuple(local), interfaces=local)

            asked = [key for key, entry in table.items() if _may_have_local(entry)]
            await _together(partial(ask, key) for key in asked)
        return table

    async def _entries(self) -> list[tuple[ServiceKey, ServiceEntry, Json]]:
        """Every service that can be ours, without local addresses, and the answer it was in."""
        found = []
        for each in wire.items(await self._ask(wire.SERVICES)):
            try:
                service = wire.read_service(each)
                servers = {one.endpoint: one for one in wire.read_servers(each)}
            except Foreign:
                continue
            asked = self._proxy_protocols.get(service.key)
            if asked and "ProxyProto" not in each:
                service = replace(service, options=replace(service.options, proxy_protocol=asked))
            found.append((service.key, ServiceEntry(service, servers), each))
        return found

    async def _local_addresses(self, key: ServiceKey) -> dict[Address, str]:
        """None of a service that went meanwhile."""
        return wire.read_local(await self._ask(f"{wire.SERVICES}/{wire.name_of(key)}/laddr"))

    async def _ask(self, path: str) -> object:
        answer = await self._send("GET", path, query=WHOLE_TABLE if path == wire.SERVICES else None)
        if answer.status == NOT_THERE:
            return None
        if answer.status != 200:  # 204: the agent is there, but DPVS does not answer it
            raise KernelRefused(f"read {path} of DPVS", errno.EIO, _said(answer) or "is DPVS running?")
        try:
            return json.loads(answer.text)
        except ValueError:
            raise WireError(f"DPVS's agent: {path} is not JSON") from None

    async def apply(self, steps: Sequence[Step]) -> list[Refusal]:
        by_service: dict[ServiceKey, list[Step]] = {}
        for step in steps:
            by_service.setdefault(settle.service_of(step), []).append(step)
        refusals: list[Refusal] = []

        async def run(some: list[Step]) -> None:
            refusals.extend(await self._run(some))

        async with self._lock:
            await _together(partial(run, some) for some in by_service.values())
        places = {id(step): place for place, step in enumerate(steps)}
        return sorted(refusals, key=lambda refusal: places[id(refusal.step)])

    async def _run(self, steps: Iterable[Step]) -> list[Refusal]:
        """Of the steps on one service, one after the other."""
        requests, refusals = [], []
        for step in steps:
            try:
                requests.append(wire.request(step, self._agent.device))
            except Inexpressible as error:
                number = errno.EINVAL if isinstance(error, OutOfRange) else errno.EOPNOTSUPP
                refusals.append(Refusal(step, number, str(error)))
        for request in wire.merged(requests):
            refusals += await self._request(request)
        return refusals

    async def _request(self, request: Request) -> list[Refusal]:
        answer = await self._send(request.method, request.path, request.body)
        if not answer.good and len(request.steps) > 1:
            alone = [wire.request(step, self._agent.device) for step in request.steps]
            return [refusal for each in alone for refusal in await self._request(each)]
        for step in request.steps:
            if answer.good and isinstance(step, AddService | EditService):
                self._proxy_protocols[step.service.key] = step.service.options.proxy_protocol
        refused = (_refusal(step, answer) for step in request.steps)
        return [refusal for refusal in refused if refusal is not None]

    async def flush(self) -> None:
        refusals = await self.apply([DeleteService(key) for key in await self.read()])
        if refusals:
            raise KernelRefused("flush DPVS", refusals[0].errno, refusals[0].hint)

    async def _send(
        self, method: str, path: str, body: Json | None = None, query: dict[str, str] | None = None
    ) -> Answer:
        """KernelRefused when there is no answer."""
        assert self._session is not None, "open() comes first"
        try:
            async with self._session.request(method, path, json=body, params=query) as answer:
                return Answer(answer.status, await answer.text(errors="replace"))
        except TimeoutError:
            raise self._gone(errno.ETIMEDOUT, f"no answer within {self._agent.timeout:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            cause = getattr(error, "os_error", error)
            raise self._gone(getattr(cause, "errno", None) or errno.ECONNRESET, str(error)) from None

    def _gone(self, number: int, why: str) -> KernelRefused:
        return KernelRefused(f"ask DPVS's agent at {self._agent.agent}", number, why)

    # ------------------------------------------------------------ the rest

    async def counters(self) -> dict[ServiceKey, ServiceCounters]:
        """Connections are those of DPVS's total; it does not tell active from inactive ones."""
        async with self._lock:
            entries = await self._entries()
        return {key: _counters(found) for key, _, found in entries}

    async def timeouts(self) -> LvsTimeouts:
        """Unknown: DPVS has them for each service (`est_timeout`)."""
        return LvsTimeouts()

    async def set_timeouts(self, timeouts: LvsTimeouts) -> None:
        if timeouts != LvsTimeouts():
            raise KernelRefused("set timeouts", errno.EOPNOTSUPP, "use est_timeout of a virtual_server")

    async def start_sync_daemon(self, daemon: LvsSyncDaemon, *, master: bool) -> None:
        raise KernelRefused("start a sync daemon", errno.EOPNOTSUPP, "DPVS does not synchronise sessions")

    async def stop_sync_daemon(self, daemon: LvsSyncDaemon, *, master: bool) -> None:
        """There is none."""


async def _together(calls: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """All of them, some at a time. The first exception ends it."""
    waiting = iter(calls)

    async def work() -> None:
        for call in waiting:
            await call()

    workers = [asyncio.create_task(work()) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def _may_have_local(entry: ServiceEntry) -> bool:
    methods = {one.forwarding for one in entry.destinations.values()}
    return not methods or Forwarding.FNAT in methods


def _refusal(step: Step, answer: Answer) -> Refusal | None:
    if answer.good:
        return None
    number, hint = STATUSES.get(answer.status, (errno.EPROTO, f"the agent answered {answer.status}"))
    if settle.is_as_wanted(step, number):
        return None
    said = _said(answer)
    return Refusal(step, number, f"{hint}: {said}" if said else hint)


def _said(answer: Answer) -> str:
    return " ".join(answer.text.split())[:MOST_SAID].strip('"')


def _counters(found: Json) -> ServiceCounters:
    servers = {}
    for server, each in zip(wire.read_servers(found), wire.items(found.get("RSs")), strict=True):
        servers[server.endpoint] = _traffic(each.get("Stats"))
    return ServiceCounters(_traffic(found.get("Stats")), servers)


def _traffic(stats: Json | None) -> Counters:
    numbers = stats or {}
    return Counters(
        connections=int(numbers.get("Conns", 0)),
        packets_in=int(numbers.get("InPkts", 0)),
        packets_out=int(numbers.get("OutPkts", 0)),
        bytes_in=int(numbers.get("InBytes", 0)),
        bytes_out=int(numbers.get("OutBytes", 0)),
    )
