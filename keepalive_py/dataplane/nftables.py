"""The nf_tables table that FULLNAT on a stock kernel lives in.

Every change is one transaction: the kernel takes all of it or nothing. Nothing here waits (see
`nf_tables`, which has the socket); a large table is read with yields. The messages are
`wire.nftables`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from keepalive_py.dataplane.nf_tables import Missing, NfTables
from keepalive_py.net import Address
from keepalive_py.plan.table import ServiceKey
from keepalive_py.wire import nftables as wire

NEEDS = "a kernel with nf_tables and its nat chain (CONFIG_NF_TABLES_INET, CONFIG_NFT_NAT, CONFIG_NFT_NUMGEN)"


@dataclass(slots=True)
class Contents:
    """What the table holds. `whole`: the rules are as we made them."""

    whole: bool = False
    services: dict[ServiceKey, str] = field(default_factory=dict)  # to the name of its pool
    pools: dict[str, tuple[Address, ...]] = field(default_factory=dict)


class SourceTable(NfTables):
    """Reads and changes the table."""

    needs = NEEDS

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
        with contextlib.suppress(Missing):
            self._transact([wire.delete_table()])


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
