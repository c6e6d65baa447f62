"""Where text comes from: the port of the language layer to a file system. Pure.

The real one lives in `sources/files.py`; `Documents` holds texts in memory.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from posixpath import normpath
from typing import Final, Protocol

__all__ = ["LARGEST", "Documents", "Source", "SourceProblem", "directory_of", "join", "matching_paths"]


LARGEST: Final = 64 << 20  # bytes of a file; a hundred thousand real servers take a third of it


class SourceProblem(enum.Enum):
    """Why a path cannot be read as configuration. The value completes "… : it is"."""

    MISSING = "no such file"
    DIRECTORY = "a directory"
    NOT_REGULAR = "not a regular file"
    EXECUTABLE = "executable"
    UNREADABLE = "not readable"
    TOO_LARGE = "larger than 64 MiB"


class Source(Protocol):
    """What the language needs of a file system. Nothing here raises."""

    def read(self, path: str) -> bytes | SourceProblem:
        """The content, or why there is none. A file with any execute bit is refused, as
        keepalived does."""

    def glob(self, pattern: str) -> list[str]:
        """Paths that match `*`, `?` and `[…]`, sorted by byte value (glob(7)); braces are
        not special. A pattern without wildcards answers itself when that path exists."""


def directory_of(path: str) -> str:
    """The directory part of `path`, without a last slash; "" for a bare name."""
    head, slash, _ = path.rpartition("/")
    return head or slash


def join(directory: str, path: str) -> str:
    if path.startswith("/") or not directory:
        return path
    if not path:
        return directory
    return f"{directory.rstrip('/')}/{path}"


ListDirectory = Callable[[str], Iterable[str]]
Exists = Callable[[str], bool]
WILDCARD = re.compile(r"[*?\[\\]")


def matching_paths(pattern: str, names_in: ListDirectory, exists: Exists) -> list[str]:
    """glob(3) over a directory listing. `names_in` answers nothing for what is no directory."""
    segments = [segment for segment in pattern.split("/") if segment]
    start = "/" if pattern.startswith("/") else ""
    return sorted({path for path in _descend(start, segments, names_in) if path and exists(path)})


def _descend(base: str, segments: list[str], names_in: ListDirectory) -> Iterator[str]:
    if not segments:
        yield base
        return
    for name in _names_matching(base, segments[0], names_in):
        yield from _descend(join(base, name), segments[1:], names_in)


def _names_matching(base: str, segment: str, names_in: ListDirectory) -> Iterable[str]:
    if not WILDCARD.search(segment):
        return (segment,)
    rule = re.compile(_segment_rule(segment), re.DOTALL)
    hidden = segment.startswith((".", "\\."))
    return (
        name
        for name in names_in(base or ".")
        if rule.fullmatch(name) and (hidden or not name.startswith("."))
    )


_SEGMENT_PARTS = re.compile(r"\\(.)|(\*)|(\?)|\[([!^]?)(\]?[^\]]*)\]|(.)", re.DOTALL)


def _segment_rule(segment: str) -> str:
    return "".join(_rule_of_part(part) for part in _SEGMENT_PARTS.finditer(segment))


def _rule_of_part(part: re.Match[str]) -> str:
    escaped, star, one, negated, members, plain = part.groups()
    if star:
        return ".*"
    if one:
        return "."
    if members:
        return f"[{'^' if negated else ''}{_set_rule(members)}]"
    return re.escape(escaped or plain or part.group())


_RANGE = re.compile(r"(.)-(.)|(.)", re.DOTALL)


def _set_rule(members: str) -> str:
    """The inside of a bracket. A range that runs backwards holds nothing; a slash stands
    for an empty set, since no name has one."""
    parts = ((low or one, high or one) for low, high, one in _RANGE.findall(members))
    return "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in parts if low <= high) or "/"


@dataclass(slots=True)
class Documents:
    """Texts in memory, by path. `problems` are paths that exist but cannot be read."""

    texts: Mapping[str, bytes | str]
    problems: Mapping[str, SourceProblem] = field(default_factory=dict)

    def read(self, path: str) -> bytes | SourceProblem:
        path = normpath(path)
        if path in self.problems:
            return self.problems[path]
        if path not in self.texts:
            return SourceProblem.DIRECTORY if self._exists(path) else SourceProblem.MISSING
        text = self.texts[path]
        return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text

    def glob(self, pattern: str) -> list[str]:
        return matching_paths(pattern, self._names_in, self._exists)

    def _paths(self) -> Iterator[str]:
        yield from self.texts
        yield from self.problems

    def _names_in(self, directory: str) -> set[str]:
        prefix = "" if normpath(directory) == "." else normpath(directory).rstrip("/") + "/"
        inside = (path[len(prefix) :] for path in self._paths() if path.startswith(prefix))
        return {name.split("/")[0] for name in inside} - {""}

    def _exists(self, path: str) -> bool:
        path = normpath(path)
        return any(each == path or each.startswith(path.rstrip("/") + "/") for each in self._paths())
