"""How a keyword is declared: the only schema language of the project. Pure.

A block is a frozen dataclass whose fields are made with `keyword(...)`. Parsing, errors,
completion, the reference in docs/ and JSON Schema all derive from these declarations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from keepalive_py.config.lines import LogicalLine

__all__ = ["INHERIT", "BadValue", "Keyword", "Kind", "keyword"]


class _Inherit:
    """Marks a default that comes from the enclosing block."""

    def __repr__(self) -> str:
        return "INHERIT"


INHERIT: Final[Any] = _Inherit()


class BadValue(ValueError):
    """The words of a line do not make a value. `word` is the index of the one at fault."""

    def __init__(self, summary: str, *, expected: str = "", word: int = 1) -> None:
        super().__init__(summary)
        self.summary = summary
        self.expected = expected
        self.word = word


class Kind(Protocol):
    """A kind of value: how the words of a line become it."""

    name: str

    def parse(self, line: LogicalLine) -> Any:
        """The value, or BadValue."""


@dataclass(frozen=True, slots=True)
class Keyword:
    """Everything there is to know of one keyword."""

    name: str
    kind: Kind
    doc: str = ""
    unit: str = ""
    aliases: tuple[str, ...] = ()
    repeated: bool = False  # each line adds one value; the field is a tuple
    required: bool = False
    since: str = ""  # first keepalived version that knows it; "ours" for our own
    deprecated: str = ""  # what to use instead
    source: str = "keepalived.conf(5)"


def keyword(
    name: str,
    kind: Kind,
    *,
    default: Any = dataclasses.MISSING,
    doc: str = "",
    unit: str = "",
    aliases: tuple[str, ...] = (),
    repeated: bool = False,
    required: bool = False,
    since: str = "",
    deprecated: str = "",
    source: str = "keepalived.conf(5)",
    compare: bool = True,
) -> Any:
    """A dataclass field that is set by the keyword `name`."""
    declared = Keyword(name, kind, doc, unit, aliases, repeated, required, since, deprecated, source)
    metadata = {"keyword": declared}
    if default is dataclasses.MISSING:
        return field(metadata=metadata, compare=compare)
    return field(default=default, metadata=metadata, compare=compare)


@dataclass(frozen=True, slots=True)
class Custom:
    """A kind of its own: `read` gets the line and returns the value or raises BadValue."""

    name: str
    read: Callable[[LogicalLine], Any]

    def parse(self, line: LogicalLine) -> Any:
        return self.read(line)
