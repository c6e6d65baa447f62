"""The top-level block `track_file NAME { }`: a file whose number moves real servers. Pure.

It must come before the virtual_server whose FILE_CHECK names it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from keepalive_py.config.diagnostics import Span


@dataclass(frozen=True, slots=True)
class TrackFile:
    name: str
    path: str
    weight: int = 1
    reverse: bool = False
    init_value: int | None = None
    init_overwrite: bool = False
    where: Span | None = field(default=None, compare=False)
