"""All that a configuration was read from, so that it can be read again when the files are gone.

`Recorder` is put in front of a source and notes every answer; `Replay` gives the same answers.
Two captures with the same digest come of the same texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from keepalive_py.config.source import Source, SourceProblem

__all__ = ["Capture", "Recorder", "Replay"]


@dataclass(frozen=True)
class Capture:
    """`main` and `extra` are the paths that reading began with; `texts` and `problems` what each
    path held, `matches` what each pattern meant."""

    main: str
    extra: str | None = None
    texts: Mapping[str, bytes] = field(default_factory=dict)
    problems: Mapping[str, SourceProblem] = field(default_factory=dict)
    matches: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Of the files and their names, in hexadecimal."""
        found = hashlib.sha256()
        for path, text in sorted(self.texts.items()):
            name = path.encode("utf-8", "surrogateescape")
            found.update(b"%d %b %d " % (len(name), name, len(text)))
            found.update(text)
        return found.hexdigest()[:16]

    def as_json(self) -> dict[str, Any]:
        """Bytes that are not UTF-8 become lone surrogates, which JSON can spell."""
        return {
            "main": self.main,
            "extra": self.extra,
            "texts": {path: _decoded(text) for path, text in self.texts.items()},
            "problems": {path: problem.name for path, problem in self.problems.items()},
            "matches": {pattern: list(paths) for pattern, paths in self.matches.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Capture:
        """Raises ValueError, KeyError, TypeError, AttributeError for what `as_json` did not make."""
        return cls(
            main=str(value["main"]),
            extra=None if value["extra"] is None else str(value["extra"]),
            texts={path: _encoded(text) for path, text in value["texts"].items()},
            problems={path: SourceProblem[name] for path, name in value["problems"].items()},
            matches={pattern: tuple(map(str, paths)) for pattern, paths in value["matches"].items()},
        )


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class Recorder:
    """A source that notes what it answered."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._texts: dict[str, bytes] = {}
        self._problems: dict[str, SourceProblem] = {}
        self._matches: dict[str, tuple[str, ...]] = {}

    def read(self, path: str) -> bytes | SourceProblem:
        found = self.source.read(path)
        if isinstance(found, SourceProblem):
            self._problems[path] = found
        else:
            self._texts[path] = found
        return found

    def glob(self, pattern: str) -> list[str]:
        found = self.source.glob(pattern)
        self._matches[pattern] = tuple(found)
        return found

    def capture(self, main: str, extra: str | None) -> Capture:
        return Capture(main, extra, self._texts, self._problems, self._matches)


@dataclass(frozen=True, slots=True)
class Replay:
    """A source that answers as it once did; what was never asked is not there."""

    capture: Capture

    def read(self, path: str) -> bytes | SourceProblem:
        text = self.capture.texts.get(path)
        return self.capture.problems.get(path, SourceProblem.MISSING) if text is None else text

    def glob(self, pattern: str) -> list[str]:
        return list(self.capture.matches.get(pattern, ()))
