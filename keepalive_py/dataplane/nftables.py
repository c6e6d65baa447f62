"""The nf_tables table that FULLNAT on a stock kernel lives in.

Every change is one transaction: the kernel takes all of it or nothing. As with IPVS, the
answers are in the socket's queue when send() returns, so nothing here waits; a large table is
read with yields.

See linux/netfilter/nf_tables.h; the messages are `wire.nftables`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from keepalive_py.dataplane.namespace import run_in
from keepalive_py.dataplane.netlink import BUFFER, PATIENCE, SO_RCVBUFFORCE, SO_SNDBUFFORCE
from keepalive_py.errors import FeatureMissing, KernelRefused
from keepalive_py.net import Address
from keepalive_py.plan.table import ServiceKey
from keepalive_py.wire import netlink
from keepalive_py.wire import nftables as wire

NETLINK_NETFILTER = 12
NFGENMSG = 4  # bytes before the attributes
NEEDS = "a kernel with nf_tables and its nat chain (CONFIG_NF_TABLES_INET, CONFIG_NFT_NAT, CONFIG_NFT_NUMGEN)"


@dataclass(slots=True)
class Contents:
    """What the table holds. `whole`: the rules are as we made them."""

    whole: bool = False
    services: dict[ServiceKey, str] = field(default_factory=dict)  # to the name of its pool
    pools: dict[str, tuple[Address, ...]] = field(default_factory=dict)


class SourceTable:
    """Reads and changes the table. `namespace` as in `dataplane.namespace.run_in`."""

    def __init__(self, namespace: str | None = None) -> None:
        self._socket = run_in(namespace, _open)
        self._buffer = memoryview(bytearray(1 << 16))
        self._sequence = 0
        for force, plain in ((SO_RCVBUFFORCE, socket.SO_RCVBUF), (SO_SNDBUFFORCE, socket.SO_SNDBUF)):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, force, BUFFER)
            except PermissionError:
                self._socket.setsockopt(socket.SOL_SOCKET, plain, BUFFER)

    def close(self) -> None:
        self._socket.close()

    # ------------------------------------------------------------ reading

    async def read(self) -> Contents:
        """Everything in the table; `whole` is False when it is missing or not as we made it."""
        found = Contents()
        rules = [wire.decode_rule(body) for body in self._dump(wire.dump_rules())]
        source = [looked for chain, looked in rules if chain == wire.SOURCE]
        found.whole = sorted(source) == sorted(wire.MAPS)
        if not found.whole:
            return found
        for name in wire.MAPS:
            for body in self._dump(wire.dump_elements(name)):
                for element in wire.decode_elements(body):
                    found.services[wire.decode_key(name, element.key)] = element.chain
                await asyncio.sleep(0)
        for chain, looked in rules:
            if wire.is_pool(chain):
                found.pools[chain] = wire.pool_addresses(self._elements(looked))
                await asyncio.sleep(0)
        return found

    def _elements(self, name: str) -> Iterator[wire.Element]:
        for body in self._dump(wire.dump_elements(name)):
            yield from wire.decode_elements(body)

    def _dump(self, request: bytes) -> list[bytes]:
        """The answers to a dump; none when the table does not exist."""
        sequence = self._next(1)
        self._socket.send(wire.number_messages([request], sequence)[0])
        bodies: list[bytes] = []
        for message in self._answers(sequence, sequence):
            if message.type == netlink.NLMSG_DONE:
                break
            if message.type == netlink.NLMSG_ERROR:
                number = netlink.outcome(message).errno
                if number not in (0, errno.ENOENT):
                    raise _refused("read the nf_tables table", number)
                break
            bodies.append(bytes(message.payload[NFGENMSG:]))
        return bodies

    # ------------------------------------------------------------ changing

    async def change(self, before: Contents, wanted: Mapping[ServiceKey, tuple[Address, ...]]) -> Contents:
        """Lead the services in `wanted` to pools of these addresses (none: to no pool at all),
        and drop pools that nothing leads to, and the table when no service is left; all of it in
        one transaction. The other services stay. Raises KernelRefused."""
        if not before.whole:
            if not any(wanted.values()):
                return before
            before = await self.read()
        if not before.whole:
            self._transact(wire.rebuild())
            before = Contents(whole=True)
        after = Contents(True, dict(before.services), dict(before.pools))
        self._transact(_moves(after, wanted))
        if not after.services:
            self.remove()
            return Contents()
        return after

    def remove(self) -> None:
        """The whole table, with everything in it."""
        with contextlib.suppress(_Missing):
            self._transact([wire.delete_table()])

    def _transact(self, messages: Sequence[bytes]) -> None:
        """All or nothing. Only the end of a transaction is waited for: the kernel answers
        each message, but errors come before the last answer."""
        if not messages:
            return
        first = self._next(len(messages))
        self._socket.send(wire.batch(wire.number_messages(messages, first), first))
        last = first + len(messages) - 1
        failed = 0
        for message in self._answers(first, last):
            failed = failed or netlink.outcome(message).errno
            if failed or message.sequence == last:
                break
        if failed:
            self._drain()
            raise _refused("change the nf_tables table", failed)

    def _answers(self, first: int, last: int) -> Iterator[netlink.Message]:
        while True:
            try:
                size = self._socket.recv_into(self._buffer)
            except OSError as error:
                if error.errno in (errno.ENOBUFS, errno.EAGAIN):
                    self._drain()
                    raise KernelRefused(
                        "read nf_tables' answers", error.errno, "read back and repeated"
                    ) from None
                raise
            for message in netlink.messages(self._buffer[:size]):
                if first <= message.sequence <= last:
                    yield message

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv_into(self._buffer, 0, socket.MSG_DONTWAIT)

    def _next(self, count: int) -> int:
        first = self._sequence + 1
        self._sequence += count
        return first


class _Missing(KernelRefused):
    """The table is not there."""


def _refused(what: str, number: int) -> KernelRefused:
    if number == errno.ENOENT:
        return _Missing(what, number, "the table was removed by someone else: read back and repeated")
    hints = {errno.EPERM: "needs CAP_NET_ADMIN", errno.EOPNOTSUPP: f"needs {NEEDS}"}
    return KernelRefused(what, number, hints.get(number, ""))


def _moves(after: Contents, wanted: Mapping[ServiceKey, tuple[Address, ...]]) -> list[bytes]:
    """One transaction: pools that are new, services that leave and come, pools nobody needs.
    `after` becomes what the table then holds."""
    made: list[bytes] = []
    leaving: dict[str, list[wire.Element]] = {}
    coming: dict[str, list[wire.Element]] = {}
    for key, addresses in wanted.items():
        name = wire.pool_name(addresses, key.family) if addresses else ""
        old = after.services.get(key, "")
        if old == name:
            continue
        if old:
            leaving.setdefault(wire.map_name(key), []).append(wire.service_element(key, old))
            del after.services[key]
        if not name:
            continue
        if name not in after.pools:
            made += wire.new_pool(addresses, key.family)
            after.pools[name] = addresses
        coming.setdefault(wire.map_name(key), []).append(wire.service_element(key, name))
        after.services[key] = name
    for target, items in leaving.items():
        made += wire.change_elements(wire.DELETE_ELEMENT, target, items)
    for target, items in coming.items():
        made += wire.change_elements(wire.NEW_ELEMENT, target, items)
    return made + _drop_unused(after)


def _drop_unused(after: Contents) -> list[bytes]:
    used = set(after.services.values())
    unused = [name for name in after.pools if name not in used]
    for name in unused:
        del after.pools[name]
    return [wire.delete_pool(name) for name in unused]


def _open() -> socket.socket:
    try:
        new = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    except OSError as error:
        raise FeatureMissing("nf_tables", NEEDS) from error
    new.bind((0, 0))
    new.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, PATIENCE)
    return new
