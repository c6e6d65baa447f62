"""The top-level block `bfd_instance NAME { }`: a BFD session that checks may follow. Pure.

It must come before the virtual_server whose BFD_CHECK names it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from keepalive_py.config.diagnostics import Span
from keepalive_py.net import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class BfdInstance:
    """Times in seconds (the file has milliseconds)."""

    name: str
    neighbor: Address
    source: Address | None = None
    min_rx: float = 0.010
    min_tx: float = 0.010
    idle_tx: float = 1.0
    multiplier: int = 5
    passive: bool = False
    ttl: int = 255
    max_hops: int = 0
    multihop: bool = False
    where: Span | None = field(default=None, compare=False)
