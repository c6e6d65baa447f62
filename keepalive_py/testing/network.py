"""Links and addresses of a host that is a few sets: for the announcer, without a kernel."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Sequence
from itertools import count

from keepalive_py.announcer.rtnetlink import Listener, Place, Request, Rtnetlink
from keepalive_py.net import Address
from keepalive_py.wire import rtnetlink as wire

NEWS = (1).to_bytes(8, "little")


class MemoryNetwork(Rtnetlink):
    """Does what Rtnetlink does, to a dict. Any interface that is asked for by name can be made;
    `marks` False: a kernel before 5.18."""

    def __init__(self, *links: str, marks: bool = True) -> None:
        self.marks = marks
        self.held: dict[tuple[Address, int], int] = {}
        self.requests = 0
        self._links: dict[str, wire.Link] = {}
        self._numbers = count(1)
        self._neighbours: dict[tuple[Address, int], wire.Neighbour] = {}
        self._listeners: list[MemoryListener] = []
        for name in ("lo", *links):
            self.set_link(name)

    # For tests.

    def set_link(self, name: str, *, up: bool = True, carrier: bool = True, kind: str = "dummy") -> None:
        """Make a link, or change one."""
        known = self._links.get(name)
        index = next(self._numbers) if known is None else known.ifindex
        self._links[name] = wire.Link(index, name, up, carrier, kind)
        self._tell()

    def remove_link(self, name: str) -> None:
        """With the addresses that it has."""
        index = self._links.pop(name).ifindex
        self.held = {place: proto for place, proto in self.held.items() if place[1] != index}
        self._tell()

    def set_neighbour(self, address: Address, link: str, *, answers: bool) -> None:
        index = self._links[link].ifindex
        state = 0 if answers else wire.NUD_FAILED
        self._neighbours[address, index] = wire.Neighbour(address, index, state)
        self._tell()

    def add_foreign(self, address: Address, link: str) -> None:
        """An address that is not ours."""
        self.held[address, self._links[link].ifindex] = 0
        self._tell()

    def take_away(self, address: Address) -> None:
        """Somebody removes an address, wherever it is."""
        for place in [place for place in self.held if place[0] == address]:
            del self.held[place]
        self._tell()

    def where(self, address: Address) -> set[str]:
        """The links that have it."""
        return {name for name, link in self._links.items() if (address, link.ifindex) in self.held}

    def on(self, link: str) -> set[Address]:
        """The addresses that a link has."""
        known = self._links.get(link)
        return {address for address, index in self.held if known is not None and index == known.ifindex}

    def listener(self) -> MemoryListener:
        self._listeners.append(MemoryListener())
        return self._listeners[-1]

    def _tell(self) -> None:
        for listener in self._listeners:
            listener.tell()

    # As Rtnetlink.

    def close(self) -> None:
        """The addresses stay, as the kernel's do."""

    def links(self) -> dict[str, wire.Link]:
        return dict(self._links)

    def addresses(self) -> list[wire.InterfaceAddress]:
        return [
            wire.InterfaceAddress(address, address.max_prefixlen, index, proto if self.marks else 0)
            for (address, index), proto in self.held.items()
        ]

    def neighbours(self) -> list[wire.Neighbour]:
        return list(self._neighbours.values())

    def ensure_dummy(self, name: str) -> wire.Link:
        known = self._links.get(name)
        if known is None or not known.up:
            self.set_link(name)
        return self._links[name]

    def batch(self, requests: Sequence[Request], *, told: Collection[Place] = ()) -> dict[int, int]:
        failed: dict[int, int] = {}
        for place, (encode, (address, index)) in enumerate(requests):
            self.requests += 1
            assert isinstance(address, Address)
            assert isinstance(index, int)
            number = self._run(encode is wire.add_address, address, index)
            if number:
                failed[place] = number
        return failed

    def _run(self, add: bool, address: Address, index: int) -> int:
        if add:
            known = (address, index) in self.held
            self.held.setdefault((address, index), wire.OUR_PROTO)
            return errno.EEXIST if known else 0
        return errno.EADDRNOTAVAIL if self.held.pop((address, index), None) is None else 0


class MemoryListener(Listener):
    def __init__(self) -> None:
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._open = True

    def tell(self) -> None:
        if self._open:
            os.write(self._event, NEWS)

    def fileno(self) -> int:
        return self._event

    def drain(self) -> None:
        try:
            os.read(self._event, len(NEWS))
        except BlockingIOError:
            return

    def close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._event)
