"""`reconcile { }`: what becomes of a kernel that others change. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from keepalive_py.config.diagnostics import Span
from keepalive_py.config.kinds import Choice, Seconds
from keepalive_py.config.schema import keyword

__all__ = ["DriftPolicy", "ForeignPolicy", "Reconcile", "reconcile_of"]

SOURCE: Final = "docs/operations.md"


class DriftPolicy(enum.Enum):
    REPAIR = "repair"
    REPORT = "report"


class ForeignPolicy(enum.Enum):
    LEAVE = "leave"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """What becomes of a kernel that others change."""

    drift: DriftPolicy = keyword(
        "drift", Choice({each.value: each for each in DriftPolicy}), default=DriftPolicy.REPAIR,
        since="ours", source=SOURCE,
        doc="What others changed in our services and virtual addresses is put right, or only told.",
    )  # fmt: skip
    foreign_services: ForeignPolicy = keyword(
        "foreign_services", Choice({each.value: each for each in ForeignPolicy}),
        default=ForeignPolicy.LEAVE, since="ours", source=SOURCE,
        doc="Services of the kernel's table that are not in the configuration stay, or are removed.",
    )  # fmt: skip
    interval: float | None = keyword(
        "interval", Seconds(0, 86400), default=None, unit="s", since="ours", source=SOURCE,
        doc="Time between readings of the kernel's table, 0: only after a refusal; not written: "
        "--reconcile-interval, which is 60.",
    )  # fmt: skip
    where: Span | None = field(default=None, compare=False)


def reconcile_of(extensions: Mapping[str, tuple[object, ...]]) -> Reconcile:
    """That of a configuration; the defaults when it has none."""
    for block in extensions.get("reconcile", ()):
        if isinstance(block, Reconcile):
            return block
    return Reconcile()
