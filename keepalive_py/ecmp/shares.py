"""How flows are spread over next hops, and how many of them move. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from keepalive_py.ecmp import linux, tables
from keepalive_py.ecmp.flow import Flow, NextHop
from keepalive_py.ecmp.siphash import siphash
from keepalive_py.net import Address

Choice = Callable[[Flow], str]
SEED = bytes(16)
BUCKETS = 1024
METHODS = ("linux-l3", "linux-l4", "modulo", "resilient")


@dataclass(frozen=True, slots=True)
class Move:
    """`moved`: of all flows, the share that has another next hop than before; `needlessly`: the share
    that moved although its next hop stayed."""

    shares: dict[str, float]
    moved: float
    needlessly: float


def flows(destination: Address, port: int, count: int) -> list[Flow]:
    """So many different clients, the same ones each time."""
    made = []
    for number in range(count):
        value = siphash(number.to_bytes(8, "little"), SEED)
        source = ip_address(
            (100 << 24 | value & 0xFFFFFF) if destination.version == 4 else 0xFD << 120 | value
        )
        made.append(
            Flow(source, destination, source_port=1024 + (value >> 32) % 64512, destination_port=port)
        )
    return made


def chooser(method: str, hops: Sequence[NextHop], before: Sequence[NextHop] = (), *, seed: int = 0) -> Choice:
    """The choice of a router with these next hops; a resilient one had `before`."""
    if method.startswith("linux"):
        policy = linux.LAYER3 if method == "linux-l3" else linux.LAYER4
        return lambda flow: linux.choose(linux.flow_hash(flow, seed, policy), hops).name
    names = [hop.name for hop in hops]
    if method == "modulo":
        return lambda flow: tables.modulo(names, _any_hash(flow))
    table = tables.resilient([hop.name for hop in before] or names, BUCKETS)
    if before:
        table = tables.changed(table, names)
    return lambda flow: table[_any_hash(flow) % BUCKETS]


def _any_hash(flow: Flow) -> int:
    return linux.flow_hash(flow, 1)


def shares(choice: Choice, among: Sequence[Flow]) -> dict[str, float]:
    counted = Counter(choice(flow) for flow in among)
    return {name: count / len(among) for name, count in sorted(counted.items())}


def move(
    method: str,
    before: Sequence[NextHop],
    after: Sequence[NextHop],
    among: Sequence[Flow],
    *,
    seed: int = 0,
) -> Move:
    """What becomes of the flows when the next hops change."""
    old, new = chooser(method, before, seed=seed), chooser(method, after, before, seed=seed)
    staying = {hop.name for hop in after}
    pairs = [(old(flow), new(flow)) for flow in among]
    moved = sum(was != now for was, now in pairs)
    needlessly = sum(was != now and was in staying for was, now in pairs)
    return Move(shares(new, among), moved / len(among), needlessly / len(among))
