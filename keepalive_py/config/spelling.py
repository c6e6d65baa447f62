"""Which known word a misspelt one was meant to be. Pure."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["nearest"]


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate with the fewest edits (insert, delete, change, swap neighbours), or None
    when even that one differs in more than a third of its letters. Ties: the first in
    alphabetical order, so that the answer does not depend on the order of declaration."""
    scored = (
        (_distance(name, each), each) for each in candidates if abs(len(each) - len(name)) <= _limit(each)
    )
    near = [(edits, each) for edits, each in scored if edits <= _limit(each)]
    return min(near)[1] if near else None


def _limit(word: str) -> int:
    return max(1, len(word) // 3)


def _distance(one: str, other: str) -> int:
    """Edit distance with transpositions (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, above, row = row, before, [i]
        for j, b in enumerate(other, 1):
            edits = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                edits = min(edits, above[j - 2] + 1)
            row.append(edits)
    return row[-1]
