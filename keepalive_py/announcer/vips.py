"""Which virtual addresses are announced, and which services each stands for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from keepalive_py.config.bgp_announcer import AnnouncedVip, BgpAnnouncer, ServiceName
from keepalive_py.config.model import Config
from keepalive_py.net import Address
from keepalive_py.plan.desired import slots
from keepalive_py.plan.marks import NO_MARKS, Marks
from keepalive_py.plan.table import ServiceKey


@dataclass(frozen=True, slots=True)
class Target:
    """A service of an address: the place of its virtual server, and its key. `held_as`: the key
    that it has in the table, which is another where its group is served by mark."""

    place: int
    key: ServiceKey
    held_as: ServiceKey


@dataclass(frozen=True, slots=True)
class Vip:
    """`missing` are services that were asked for by name and are not configured."""

    address: Address
    at_least: int
    targets: tuple[Target, ...]
    missing: tuple[str, ...] = ()


def vips_of(config: Config, block: BgpAnnouncer, marks: Marks = NO_MARKS) -> dict[Address, Vip]:
    """In the order of the configuration; those of `vip` blocks last if nothing else names them."""
    by_address: dict[Address, list[Target]] = {}
    by_mark: dict[int, list[Target]] = {}
    for place, vs in enumerate(config.virtual_servers):
        marked = marks.of_group(vs.group, vs.protocol) if vs.group is not None else ()
        held_as = {key.family: key for key in marked}
        for slot in slots(vs, config):
            key = slot.service.key
            if key.endpoint is None:
                by_mark.setdefault(key.fwmark, []).append(Target(place, key, key))
            else:
                target = Target(place, key, held_as.get(key.family, key))
                by_address.setdefault(key.endpoint.address, []).append(target)
    exceptions = {vip.address: vip for vip in block.vips}
    found = {address: None for address in by_address if _is_announced(address, block)}
    return {
        address: _vip(address, by_address.get(address, []), by_mark, block, exceptions.get(address))
        for address in [*found, *(address for address in exceptions if address not in found)]
    }


def _is_announced(address: Address, block: BgpAnnouncer) -> bool:
    return any(address in prefix for prefix in block.prefixes)


def _vip(
    address: Address,
    own: list[Target],
    marks: Mapping[int, list[Target]],
    block: BgpAnnouncer,
    exception: AnnouncedVip | None,
) -> Vip:
    rule = block.rule if exception is None or exception.rule is None else exception.rule
    if exception is None or not exception.services:
        return Vip(address, rule.at_least, tuple(own))
    chosen: list[Target] = []
    missing: list[str] = []
    for name in exception.services:
        named = list(_named(name, own, marks))
        chosen += named
        if not named:
            missing.append(str(name))
    return Vip(address, rule.at_least, tuple(chosen), tuple(missing))


def _named(name: ServiceName, own: list[Target], marks: Mapping[int, list[Target]]) -> Iterator[Target]:
    if name.protocol is None:
        yield from marks.get(name.fwmark, ())
        return
    for target in own:
        endpoint = target.key.endpoint
        if endpoint is not None and target.key.protocol is name.protocol and endpoint.port == name.port:
            yield target
