"""Whether a configuration may take the place of another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keepalive_py.config.diagnostics import Severity
from keepalive_py.daemon import voice
from keepalive_py.daemon.loading import Ready, new_diagnostics
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.removals import Removals, removals

__all__ = ["Held", "blast_radius", "refusal", "unfit"]

# keepalived goes on without what these are about; a mishap with a file must not take it away.
LOSSES: Final = {"include-missing", "include-unreadable", "unknown-group"}

# Settings that only a restart can change, and what they are called (keepalived.conf(5)).
FIXED: Final = {
    "net_namespace": "network namespace",
    "net_namespace_ipvs": "IPVS network namespace",
    "instance": "instance name",
    "nftables_ipvs": "IPVS nftables table name",
    "tmp_config_directory": "tmp_config_directory",
}


@dataclass(frozen=True, slots=True)
class Held:
    """A configuration that takes away more than one edit should: it waits for a person's word."""

    digest: str
    removals: Removals
    limit: float

    def __str__(self) -> str:
        return f"{self.removals}, which is more than {self.limit:g} %"


def refusal(options: Options, before: Ready, ready: Ready) -> str:
    """Why `ready` cannot follow `before`, which runs, without a restart; "" when it can."""
    if ready.config is None or before.config is None:
        return unfit(options, before, ready)
    log = before.config.global_defs.reload_check_config
    if log is not None and ready.exit_status_of_test:
        return f"New config failed validation, see {log} for details"
    # An older one ran before: what is wrong with it, it was run with.
    if not ready.generation and (why := unfit(options, before, ready)):
        return why
    for name, title in FIXED.items():
        if getattr(before.config.global_defs, name) != getattr(ready.config.global_defs, name):
            return f"Cannot change {title} at a reload - please restart keepalive-py"
    return ""


def unfit(options: Options, before: Ready, ready: Ready) -> str:
    """Why `ready` is no good beside `before`; "" when it is."""
    if ready.config is None:
        said = "".join(f": {voice.diagnostic_line(each)}" for each in ready.diagnostics[:1])
        return ready.why or f"there is no configuration to run{said}"
    if options.strict and ready.errors:
        return f"{len(ready.errors)} error(s)"
    fresh = new_diagnostics(before.diagnostics, ready.diagnostics)
    errors = [each for each in fresh if each.severity is Severity.ERROR]
    if errors:
        return f"{len(errors)} new error(s), the first: {voice.diagnostic_line(errors[0])}"
    return next(lost(before, ready), "") or next(
        (voice.diagnostic_line(each) for each in fresh if each.code in LOSSES), ""
    )


def lost(before: Ready, ready: Ready) -> Iterator[str]:
    """What was there and is not, though nobody may have meant it: a full disk, a mount that is gone,
    an account that cannot be looked up. A file that is meant to be empty has a comment in it."""
    for path, text in before.capture.texts.items():
        problem, found = ready.capture.problems.get(path), ready.capture.texts.get(path)
        if problem is not None:
            yield f"{path}, which runs, is now: {problem.value}"
        elif found is not None and text.strip() and not found.strip():
            yield f"{path} is empty (a comment in it would say that this is meant)"
    known = set(before.disabled)
    yield from (f"a check would be lost: {each}" for each in ready.disabled if each not in known)


def blast_radius(options: Options, before: Ready, ready: Ready) -> Held | None:
    """None: it removes no more than `--max-removals` allows."""
    limit = options.max_removals
    if limit is None or before.config is None or ready.config is None:
        return None
    found = removals(before.config, ready.config)
    return Held(ready.capture.digest, found, limit) if found.share > limit else None
