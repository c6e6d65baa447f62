"""For routing daemons that do not look at interfaces (ExaBGP, GoBGP): what the interfaces hold, told them.

What is announced is the addresses that are there, whoever put them: the feed only reads the kernel, so it
goes on while the daemon that moves the addresses restarts. Routes are host routes of the given prefixes.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TextIO

from keepalive_py.announcer.routing import NoAnswer, host_route, run, run_json
from keepalive_py.announcer.rtnetlink import Rtnetlink
from keepalive_py.config.bgp_announcer import Network
from keepalive_py.net import Address

SHUT: Final = "65535:0"  # GRACEFUL_SHUTDOWN, RFC 8326
COMMUNITIES: Final = 8  # the path attribute's type, RFC 1997
SHUT_NUMBER: Final = 0xFFFF0000

Routes = Mapping[Address, bool]  # whether it is drained


@dataclass(frozen=True, slots=True)
class Source:
    """Where the routes come from. `prepend`: what a drained one's AS path begins with."""

    interface: str
    drain_interface: str
    prefixes: tuple[Network, ...]
    prepend: tuple[int, ...] = ()

    def routes(self, kernel: Rtnetlink) -> Routes:
        """Raises KernelRefused, OSError."""
        names = {link.ifindex: name for name, link in kernel.links().items()}
        drained = {self.interface: False, self.drain_interface: True}
        found: dict[Address, bool] = {}
        for entry in kernel.addresses():
            name = names.get(entry.ifindex, "")
            whole = entry.length == entry.address.max_prefixlen
            if whole and name in drained and any(entry.address in prefix for prefix in self.prefixes):
                found[entry.address] = drained[name]
        return found


class Sink(Protocol):
    """A routing daemon that is told. Raises NoAnswer."""

    async def tell(self, routes: Routes) -> None: ...


class ToExabgp:
    """Lines of ExaBGP 4's text API: it runs the feed and reads what it prints."""

    def __init__(self, source: Source, out: TextIO = sys.stdout) -> None:
        self.source = source
        self.out = out
        self.told: dict[Address, bool] = {}

    async def tell(self, routes: Routes) -> None:
        for address in self.told.keys() - routes.keys():
            print(f"withdraw route {_network(address)} next-hop self", file=self.out)
        for address, drained in routes.items():
            if self.told.get(address) is not drained:
                print(f"announce route {_network(address)} next-hop self{self._more(drained)}", file=self.out)
        self.out.flush()
        self.told = dict(routes)

    def _more(self, drained: bool) -> str:
        if not drained:
            return ""
        path = f" as-path [ {' '.join(map(str, self.source.prepend))} ]" if self.source.prepend else ""
        return f" community [{SHUT}]{path}"


class ToGobgp:
    """GoBGP's global table is compared each time: it forgets when it restarts."""

    def __init__(self, source: Source, place: str = "") -> None:
        host, _, port = place.rpartition(":")
        self.source = source
        self.command = ["gobgp", *(["-u", host, "-p", port] if host else [])]

    async def tell(self, routes: Routes) -> None:
        for family in sorted({prefix.version for prefix in self.source.prefixes}):
            table = [*self.command, "-j", "global", "rib", "-a", f"ipv{family}"]
            have = read_table(await run_json(table), self.source.prefixes)
            want = {address: drained for address, drained in routes.items() if address.version == family}
            for address in have.keys() - want.keys():
                await self._do("del", address)
            for address, drained in want.items():
                if have.get(address) is not drained:
                    await self._do("add", address, *self._more(drained))

    async def _do(self, verb: str, address: Address, *more: str) -> None:
        words = ["global", "rib", verb, "-a", f"ipv{address.version}", _network(address)]
        await run([*self.command, *words, *more])

    def _more(self, drained: bool) -> list[str]:
        if not drained:
            return []
        path = ["aspath", " ".join(map(str, self.source.prepend))] if self.source.prepend else []
        return ["community", SHUT, *path]


def read_table(found: Any, prefixes: Sequence[Network]) -> dict[Address, bool]:
    """The host routes of ours in `gobgp -j global rib`."""
    routes: dict[Address, bool] = {}
    for text, paths in found.items() if isinstance(found, dict) else ():
        address = host_route(text)
        if address is not None and any(address in prefix for prefix in prefixes):
            routes[address] = any(SHUT_NUMBER in _communities(path) for path in paths)
    return routes


def _communities(path: Any) -> list[int]:
    attributes = path.get("attrs", ()) if isinstance(path, dict) else ()
    return [
        number for each in attributes if each.get("type") == COMMUNITIES for number in each["communities"]
    ]


def _network(address: Address) -> str:
    return f"{address}/{address.max_prefixlen}"


async def feed(source: Source, sink: Sink, news: asyncio.Event, pause: float) -> None:
    """Tell, and again at `news` and every so many seconds. Raises what `Source.routes` does."""
    kernel = Rtnetlink()
    trouble = ""
    while True:
        news.clear()
        try:
            await sink.tell(source.routes(kernel))
            trouble = ""
        except NoAnswer as error:
            if str(error) != trouble:
                trouble = str(error)
                print(trouble, file=sys.stderr, flush=True)
        try:
            await asyncio.wait_for(news.wait(), pause)
        except TimeoutError:
            continue
