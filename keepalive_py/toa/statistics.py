"""The counters that the modules show: `name : one column for each processor`. Pure.

    syn_recv_sock_toa          handshakes with the option
    syn_recv_sock_no_toa       handshakes without it
    getname_toa_ok             addresses given from it
    getname_toa_mismatch       sockets whose note is not ours: another module, another kernel
    getname_toa_bypass         sockets of others (sk_data_ready is not the usual one)
    getname_toa_empty          sockets without a note

ttm has the same under names of its own, which are read as toa's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Counter", "parse", "warnings"]

RENAMED: Final = (("ttm", "toa"), ("synrecv_", "syn_recv_"))
TAKEN = "syn_recv_sock_toa"
OK, MISMATCH = "getname_toa_ok", "getname_toa_mismatch"


@dataclass(frozen=True, slots=True)
class Counter:
    """One line. `name` is toa's for what both have; `processors` one number for each."""

    name: str
    processors: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.processors)


def parse(text: str) -> dict[str, Counter]:
    """Lines that are no counters, such as the head, are passed over."""
    found: dict[str, Counter] = {}
    for line in text.splitlines():
        name, colon, columns = line.partition(":")
        numbers = columns.split()
        if colon and numbers and all(word.isdecimal() for word in numbers):
            name = canonical(name.strip())
            found[name] = Counter(name, tuple(map(int, numbers)))
    return found


def canonical(name: str) -> str:
    for theirs, ours in RENAMED:
        name = name.replace(theirs, ours)
    return name


def warnings(before: Mapping[str, Counter], now: Mapping[str, Counter]) -> list[str]:
    """What the growth between two readings says is wrong."""
    told = []
    if _growth(before, now, MISMATCH):
        told.append(
            f"{MISMATCH} grows: another module uses the same field of the socket, or the kernel changed"
        )
    if _growth(before, now, TAKEN) and not _growth(before, now, OK):
        told.append(f"{TAKEN} grows and {OK} does not: nobody gets the addresses that arrive")
    return told


def _growth(before: Mapping[str, Counter], now: Mapping[str, Counter], name: str) -> int:
    """A counter that fell was reset by loading the module again."""
    if name not in before or name not in now:
        return 0
    return max(0, now[name].total - before[name].total)
