"""Which addresses are ours: written down before one is added, so that none leaks in a crash.

An address is ours when it is in the file (on an interface that the file names), or when the
kernel's mark says so (IFA_PROTO, since Linux 5.18) on one of our interfaces. The file is of one
boot: addresses do not outlive it, and somebody else may configure the same one after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from keepalive_py.announcer.files import read_json, write_json
from keepalive_py.net import Address, parse_address

FILE: Final = "announcer.json"
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

Places = Mapping[Address, frozenset[str]]  # the interfaces that an address of ours may be on


class Ownership:
    """`directory` "": nothing is written, and what is ours is known until we end."""

    def __init__(self, directory: str, file: str = FILE) -> None:
        self.path = Path(directory) / file if directory else None
        self.places: dict[Address, frozenset[str]] = {}

    def load(self) -> None:
        """Raises OSError."""
        self.places = {}
        found = {} if self.path is None else read_json(self.path)
        if found.get("boot_id") != boot_id():
            return
        addresses = found.get("addresses")
        for text, names in addresses.items() if isinstance(addresses, dict) else ():
            try:
                self.places[parse_address(text)] = frozenset(map(str, names))
            except (ValueError, TypeError):
                continue

    def interfaces(self) -> frozenset[str]:
        return frozenset(name for names in self.places.values() for name in names)

    def owns(self, address: Address, interface: str) -> bool:
        return interface in self.places.get(address, ())

    def claim(self, wanted: Iterable[tuple[Address, str]]) -> None:
        """These may be there from now on, besides all that are. Raises OSError."""
        after = dict(self.places)
        for address, name in wanted:
            after[address] = after.get(address, frozenset()) | {name}
        self._write(after)

    def settle(self, present: Places) -> None:
        """These and no others are there. Raises OSError."""
        self._write(dict(present))

    def _write(self, after: dict[Address, frozenset[str]]) -> None:
        if after != self.places:
            addresses = {str(address): sorted(names) for address, names in after.items() if names}
            if self.path is not None:
                write_json(self.path, {"boot_id": boot_id(), "addresses": addresses})
            self.places = after


def boot_id() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
