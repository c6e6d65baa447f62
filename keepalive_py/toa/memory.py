"""Which modules we loaded, so that we unload no others. Of this boot: the next one has none."""

from __future__ import annotations

from typing import Any, Final, Protocol

__all__ = ["LoadedByUs", "Store"]

FILE: Final = "toa.json"


class Store(Protocol):
    """Where it is kept: `daemon.state_directory.StateDirectory`."""

    def read_json(self, name: str) -> dict[str, Any]: ...
    def write_json(self, name: str, value: Any) -> bool: ...


class LoadedByUs:
    """Names of modules. Without a directory they are remembered as long as this object."""

    def __init__(self, store: Store, boot: str) -> None:
        self._store = store
        self._boot = boot
        self._names: set[str] = set()

    def read(self) -> frozenset[str]:
        """Also what another process noted down meanwhile."""
        found = self._store.read_json(FILE)
        names = found.get("loaded") if found.get("boot") == self._boot else None
        if isinstance(names, list):
            self._names = {name for name in names if isinstance(name, str)}
        return frozenset(self._names)

    def add(self, name: str) -> None:
        self._write(self.read() | {name})

    def remove(self, name: str) -> None:
        self._write(self.read() - {name})

    def _write(self, names: frozenset[str]) -> None:
        self._names = set(names)
        self._store.write_json(FILE, {"boot": self._boot, "loaded": sorted(names)})
