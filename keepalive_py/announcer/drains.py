"""Who drained what, why, and until when: a file that `keepalive-ctl announcer drain` writes and
the daemon reads. It outlives both, and a reboot: a node that was drained comes back drained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from keepalive_py.announcer.files import read_json, write_json
from keepalive_py.net import Address

FILE: Final = "drains.json"
ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Drain:
    """Times are of the wall clock, in seconds; `until` 0: until it is taken back."""

    by: str = ""
    reason: str = ""
    since: float = 0.0
    until: float = 0.0

    def holds(self, at: float) -> bool:
        return not self.until or at < self.until


class Drains:
    """`current` is what the file says; `read` looks whether it is another one than before."""

    def __init__(self, directory: str) -> None:
        self.path = Path(directory) / FILE
        self.current: dict[str, Drain] = {}
        self._seen: tuple[int, int] | None = None

    def read(self) -> None:
        """Raises OSError. What cannot be understood drains nothing."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self.current, self._seen = {}, None
            return
        seen = (status.st_mtime_ns, status.st_ino)
        if seen != self._seen:
            found = read_json(self.path)
            self.current = {
                name: drain for name, value in found.items() if (drain := _drain(value)) is not None
            }
            self._seen = seen

    def of(self, address: Address, at: float) -> Drain | None:
        for name in (str(address), ALL):
            drain = self.current.get(name)
            if drain is not None and drain.holds(at):
                return drain
        return None

    def holding(self, at: float) -> dict[str, Drain]:
        return {name: drain for name, drain in self.current.items() if drain.holds(at)}

    def write(self, drains: Mapping[str, Drain]) -> None:
        """Raises OSError."""
        write_json(self.path, {name: asdict(drain) for name, drain in drains.items()})


def _drain(value: Any) -> Drain | None:
    if not isinstance(value, dict):
        return None
    try:
        return Drain(
            str(value.get("by", "")),
            str(value.get("reason", "")),
            float(value.get("since", 0)),
            float(value.get("until", 0)),
        )
    except (TypeError, ValueError, OverflowError):
        return None
