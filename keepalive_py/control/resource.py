"""How a resource is declared. To add one: a file in `resources/` with a `Resource`, one line in the
list there."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from keepalive_py.control.caller import Caller, Role
from keepalive_py.control.fields import Field
from keepalive_py.control.host import Host

JSON_TYPE: Final = "application/json"


@dataclass(slots=True)
class Call:
    """One request, checked against its resource. `header` has the request's headers by their names
    in lower case."""

    host: Host
    caller: Caller
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    header: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Encoded:
    """An answer that is bytes already, perhaps in pieces that are written one at a time. `headers` are
    in addition to the usual ones."""

    body: bytes | Sequence[bytes]
    type: str = JSON_TYPE
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def pieces(self) -> Sequence[bytes]:
        return (self.body,) if isinstance(self.body, bytes) else self.body


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer in pieces. `lasting`: it may go on for hours; then a reader who takes too long for
    one piece is cut off, and the whole has no limit."""

    pieces: AsyncGenerator[bytes, None]
    type: str = JSON_TYPE
    lasting: bool = False


Answer = dict[str, Any] | list[Any] | Encoded | Stream
Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """`path` may hold {NAMES}. `role` is the least one that may ask. `answer` says what comes back;
    `type` is its media type. `body` None: it takes none."""

    method: str
    path: str
    summary: str
    handler: Handler
    answer: str = ""
    role: Role = Role.READER
    query: tuple[Field, ...] = ()
    body: tuple[Field, ...] | None = None
    type: str = JSON_TYPE
    faults: tuple[int, ...] = ()


def encoded(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")
