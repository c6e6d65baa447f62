"""Sessions as values, and the questions asked of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from ipaddress import ip_address
from operator import itemgetter
from typing import Final, NamedTuple

from keepalive_py.net import Protocol

NAMES: Final = {int(protocol): protocol.name for protocol in Protocol}


class Session(NamedTuple):
    """One connection. Addresses are packed bytes (4 or 16); `local` is empty for sessions
    without a local address (NAT, DR, TUN). `timeout` in seconds until it is forgotten."""

    protocol: int
    client: bytes
    client_port: int
    virtual: bytes
    virtual_port: int
    local: bytes
    local_port: int
    server: bytes
    server_port: int
    state: str
    timeout: int


End = tuple[bytes, int]  # a packed address; a port, 0 for any


def parse_end(text: str) -> End:
    """`ADDRESS`, `ADDRESS:PORT`, `[V6]:PORT` or `:PORT` as an end to filter by. ValueError."""
    if text.startswith(":") and text[1:].isdigit():
        return b"", int(text[1:])
    address, port = text, ""
    if text.startswith("["):
        address, closed, port = text[1:].partition("]")
        if not closed:
            raise ValueError(f"{text}: no `]`")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    return ip_address(address).packed, int(port) if port else 0


@lru_cache(maxsize=1 << 14)
def show_address(address: bytes) -> str:
    return str(ip_address(address)) if address else "-"


def show_end(address: bytes, port: int) -> str:
    if len(address) == 4:
        return f"{show_address(address)}:{port}"
    return f"[{show_address(address)}]:{port}" if address else "-"


class Filter(NamedTuple):
    """What a session must be to be shown; None asks nothing of that end."""

    client: End | None = None
    virtual: End | None = None
    local: End | None = None
    server: End | None = None
    protocol: int | None = None
    state: str | None = None

    def select(self, sessions: Iterable[Session]) -> Iterator[Session]:
        for test in self._tests():
            sessions = filter(test, sessions)
        return iter(sessions)

    def _tests(self) -> list[Callable[[Session], bool]]:
        tests: list[Callable[[Session], bool]] = []
        for place, end in ((1, self.client), (3, self.virtual), (5, self.local), (7, self.server)):
            if end is not None:
                tests.append(_matches(place, end))
        if self.protocol is not None:
            tests.append(lambda one, wanted=self.protocol: one.protocol == wanted)  # type: ignore[misc]
        if self.state is not None:
            tests.append(lambda one, wanted=self.state: one.state == wanted)  # type: ignore[misc]
        return tests


def _matches(place: int, end: End) -> Callable[[Session], bool]:
    address, port = end

    def test(one: Session) -> bool:
        return (not address or one[place] == address) and (not port or one[place + 1] == port)

    return test


def _service(one: Session) -> str:
    return f"{NAMES[one.protocol]} {show_end(one.virtual, one.virtual_port)}"


# Places of a Session, in the order in which they are compared.
SORTS: dict[str, Callable[[Session], object]] = {
    "client": itemgetter(1, 2),
    "virtual": itemgetter(0, 3, 4),
    "local": itemgetter(5, 6),
    "server": itemgetter(7, 8),
    "state": itemgetter(9),
    "timeout": itemgetter(10),
}

# What sessions are counted by: a cheap key for many sessions, and the text of one of them.
COUNTS: dict[str, tuple[Callable[[Session], object], Callable[[Session], str]]] = {
    "service": (itemgetter(0, 3, 4), _service),
    "server": (itemgetter(7, 8), lambda one: show_end(one.server, one.server_port)),
    "local": (itemgetter(5), lambda one: show_address(one.local)),
    "client": (itemgetter(1), lambda one: show_address(one.client)),
    "state": (itemgetter(9), lambda one: one.state),
}


def count(sessions: Iterable[Session], by: str) -> list[tuple[str, int]]:
    """(what, how many), most first; `by` is a key of COUNTS."""
    key, show = COUNTS[by]
    counted = Counter[object]()
    example: dict[object, Session] = {}
    for one in sessions:
        what = key(one)
        counted[what] += 1
        example.setdefault(what, one)
    return [(show(example[what]), number) for what, number in counted.most_common()]


def as_json(one: Session) -> str:
    """The four ends, protocol, state and timeout in seconds. Written by hand, as there may be very
    many: nothing in it but the state could need quoting."""
    local = f'"{show_end(one.local, one.local_port)}"' if one.local else "null"
    return (
        f'{{"protocol": "{NAMES[one.protocol].lower()}", "client": "{show_end(one.client, one.client_port)}",'
        f' "virtual": "{show_end(one.virtual, one.virtual_port)}", "local": {local},'
        f' "server": "{show_end(one.server, one.server_port)}", "state": {_quoted(one.state)},'
        f' "timeout": {one.timeout}}}'
    )


_quoted = lru_cache(maxsize=64)(json.dumps)
