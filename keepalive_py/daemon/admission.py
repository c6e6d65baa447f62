"""Whether a configuration may take the place of another."""

from __future__ import annotations

from dataclasses import dataclass

from keepalive_py.daemon import voice
from keepalive_py.daemon.loading import Ready, new_errors
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.removals import Removals, removals

__all__ = ["Held", "blast_radius", "unfit"]


@dataclass(frozen=True, slots=True)
class Held:
    """A configuration that takes away more than one edit should: it waits for a person's word."""

    digest: str
    removals: Removals
    limit: float

    def __str__(self) -> str:
        return f"{self.removals}, which is more than {self.limit:g} %"


def unfit(options: Options, before: Ready, ready: Ready) -> str:
    """Why `ready` is no good beside `before`; "" when it is."""
    if ready.config is None:
        return ready.why or "there is no configuration to run"
    if options.strict and ready.errors:
        return f"{len(ready.errors)} error(s)"
    fresh = new_errors(before.diagnostics, ready.diagnostics)
    if fresh:
        return f"{len(fresh)} new error(s), the first: {voice.diagnostic_line(fresh[0])}"
    return ""


def blast_radius(options: Options, before: Ready, ready: Ready) -> Held | None:
    """None: it removes no more than `--max-removals` allows."""
    limit = options.max_removals
    if limit is None or before.config is None or ready.config is None:
        return None
    found = removals(before.config, ready.config)
    return Held(ready.capture.digest, found, limit) if found.share > limit else None
