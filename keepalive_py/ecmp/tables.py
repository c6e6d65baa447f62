"""The two kinds of tables that switches choose a next hop by. Pure.

`modulo`: the hash modulo the number of next hops. When one leaves, almost every flow moves.

`resilient`: a fixed number of buckets, many more than next hops. When one leaves, only its buckets
are given to others; when one joins, it takes just enough buckets. So with N next hops a leave
moves 1/N of the flows, a join 1/(N+1).
"""

from __future__ import annotations

from collections.abc import Sequence

Resilient = tuple[str, ...]  # by bucket


def modulo(hops: Sequence[str], flow: int) -> str:
    return hops[flow % len(hops)]


def resilient(hops: Sequence[str], buckets: int) -> Resilient:
    """A fresh table: neighbours take turns."""
    return tuple(hops[bucket % len(hops)] for bucket in range(buckets))


def changed(table: Resilient, hops: Sequence[str]) -> Resilient:
    """The table when the next hops have become these: as few buckets as possible move."""
    present = frozenset(hops)
    quota = _quotas(table, hops)
    held = dict.fromkeys(hops, 0)
    after: list[str | None] = []
    for hop in table:
        keeps = hop in present and held[hop] < quota[hop]
        if keeps:
            held[hop] += 1
        after.append(hop if keeps else None)
    missing = [hop for hop in hops for _ in range(quota[hop] - held[hop])]
    fill = iter(missing)
    return tuple(next(fill) if hop is None else hop for hop in after)


def _quotas(table: Resilient, hops: Sequence[str]) -> dict[str, int]:
    """Buckets for each; those that have most now get the odd ones."""
    share, odd = divmod(len(table), len(hops))
    richest = sorted(hops, key=lambda hop: (-table.count(hop), hops.index(hop)))
    return {hop: share + (place < odd) for place, hop in enumerate(richest)}
