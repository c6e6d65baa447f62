"""The last good configurations, each with all its files, under the state directory.

A generation is a number that only grows. `config/N.json` says when it began to run, and what it
is; `config/N.files.json` holds the texts and is written first, so a generation that is listed is
whole. Everything here blocks: call it from a thread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from keepalive_py.daemon.state_directory import StateDirectory
from keepalive_py.sources.capture import Capture

__all__ = ["DEFAULT_KEPT", "Generation", "Generations", "Pin"]

DEFAULT_KEPT: Final = 10
DIRECTORY: Final = "config"
PIN: Final = f"{DIRECTORY}/pin"
NAME: Final = re.compile(r"(\d{1,15})\.json")


@dataclass(frozen=True, slots=True)
class Generation:
    """`since`: when it began to run, in seconds of Unix time. `origin`: "files", or which older
    generation it repeats."""

    number: int
    since: float
    digest: str
    services: int
    servers: int
    files: tuple[str, ...]
    origin: str = "files"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "files": list(self.files)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Generation:
        """Raises ValueError, KeyError, TypeError, OverflowError."""
        return cls(
            number=int(value["number"]),
            since=float(value["since"]),
            digest=str(value["digest"]),
            services=int(value["services"]),
            servers=int(value["servers"]),
            files=tuple(map(str, value["files"])),
            origin=str(value["origin"]),
        )


@dataclass(frozen=True, slots=True)
class Pin:
    """An operator went back to `generation` while the files had `digest`: as long as they have
    it, that generation is what should run."""

    generation: int
    digest: str


class Generations:
    """`kept`: how many there are at most."""

    def __init__(self, directory: StateDirectory, kept: int = DEFAULT_KEPT) -> None:
        self.directory = directory
        self.kept = max(1, kept)

    def all(self) -> list[Generation]:
        """The newest first."""
        found = (self.find(number) for number in sorted(self._numbers(), reverse=True))
        return [each for each in found if each is not None]

    def newest(self) -> Generation | None:
        return next(iter(self.all()), None)

    def find(self, number: int) -> Generation | None:
        try:
            return Generation.from_json(self.directory.read_json(f"{DIRECTORY}/{number}.json"))
        except (ValueError, KeyError, TypeError, OverflowError):
            return None

    def texts(self, number: int) -> Capture | None:
        """What generation `number` was read from; None when it is gone or damaged."""
        generation = self.find(number)
        try:
            capture = Capture.from_json(self.directory.read_json(f"{DIRECTORY}/{number}.files.json"))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return capture if generation is not None and capture.digest == generation.digest else None

    def add(
        self, capture: Capture, since: float, services: int, servers: int, origin: str = "files"
    ) -> Generation | None:
        """A new generation, unless the newest is this one. None when it could not be written."""
        newest = self.newest()
        if newest is not None and newest.digest == capture.digest:
            return newest
        number = max(self._numbers(), default=0) + 1
        made = Generation(number, since, capture.digest, services, servers, tuple(capture.texts), origin)
        if not self.directory.write_json(f"{DIRECTORY}/{number}.files.json", capture.as_json()):
            return None
        if not self.directory.write_json(f"{DIRECTORY}/{number}.json", made.as_json()):
            return None
        self._forget_old()
        return made

    def pin(self) -> Pin | None:
        found = self.directory.read_json(f"{PIN}.json")
        try:
            return Pin(int(found["generation"]), str(found["digest"]))
        except (ValueError, KeyError, TypeError, OverflowError):
            return None

    def set_pin(self, pin: Pin | None) -> None:
        if pin is None:
            self.directory.remove(f"{PIN}.json")
        else:
            self.directory.write_json(f"{PIN}.json", asdict(pin))

    def _numbers(self) -> list[int]:
        names = (NAME.fullmatch(name) for name in self.directory.names(DIRECTORY))
        return [int(name.group(1)) for name in names if name]

    def _forget_old(self) -> None:
        """The description first: what is listed must be whole."""
        for number in sorted(self._numbers(), reverse=True)[self.kept :]:
            self.directory.remove(f"{DIRECTORY}/{number}.json")
            self.directory.remove(f"{DIRECTORY}/{number}.files.json")
