"""Where every setting of a service comes from: the line that says it, the block around that it is
inherited from, or a default. Pure.

While a configuration is read, `Written` notes for each block which line set what; `explained` lays
the finished model over that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from keepalive_py.config.check import CheckConfig
from keepalive_py.config.diagnostics import Span
from keepalive_py.config.diff import service_name, shown
from keepalive_py.config.kinds import Block
from keepalive_py.config.model import RealServer, VirtualServer
from keepalive_py.config.schema import Draft, Keyword, keywords_of

__all__ = ["Setting", "Written", "explained"]


@dataclass(slots=True)
class Written:
    """For each block, by the place of its head, where each field was set."""

    blocks: dict[Span, dict[str, Span]] = field(default_factory=dict)

    def note(self, draft: Draft) -> None:
        """Before the block is completed: afterwards nobody knows what was written."""
        if draft.where is not None:
            self.blocks[draft.where] = dict(draft.written)
        for name in ("real_servers", "checks"):
            for inner in draft.values.get(name, ()):
                if isinstance(inner, Draft):
                    self.note(inner)

    def of(self, where: Span | None) -> dict[str, Span]:
        return self.blocks.get(where, {}) if where is not None else {}


@dataclass(frozen=True, slots=True)
class Setting:
    """`block` is what it belongs to, from the outside in. `origin`: "written", "inherited" (from
    `giver`), "default", or "derived" from other settings. `where`: the line."""

    block: tuple[str, ...]
    keyword: str
    value: str
    origin: str
    where: Span | None = None
    giver: str = ""


Around = tuple[str, dict[str, Span]]  # a block's name, and where its fields were set


def explained(vs: VirtualServer, written: Written) -> Iterator[Setting]:
    """Every setting of the service, of its real servers and of their checks."""
    service: Around = ("virtual_server", written.of(vs.where))
    name = (service_name(vs),)
    yield from _settings(vs, name, [service])
    for rs in vs.real_servers:
        yield from _server(rs, name, service, written)


def _server(rs: RealServer, outer: tuple[str, ...], service: Around, written: Written) -> Iterator[Setting]:
    server: Around = ("real_server", written.of(rs.where))
    name = (*outer, f"real_server {rs.endpoint}")
    yield from _settings(rs, name, [server, service])
    for check in rs.checks:
        own: Around = (check.KIND, written.of(check.where))
        yield from _settings(check, (*name, check.KIND), [own, server, service])


def _settings(block: Any, name: tuple[str, ...], around: Sequence[Around]) -> Iterator[Setting]:
    left = {each.name for each in dataclasses.fields(block)}
    for keyword in keywords_of(type(block)):
        if keyword.into in left and not isinstance(keyword.kind, Block):
            left.remove(keyword.into)  # the first name of a setting is its own
            yield _setting(block, keyword, name, around)


def _setting(block: Any, keyword: Keyword, name: tuple[str, ...], around: Sequence[Around]) -> Setting:
    value = getattr(block, keyword.into)
    text = shown(value)
    (_, own), *outer = around
    if keyword.into in own:
        return Setting(name, keyword.name, text, "written", own[keyword.into])
    for giver, fields in outer if keyword.inherit else ():
        if keyword.into in fields:
            return Setting(name, keyword.name, text, "inherited", fields[keyword.into], giver)
    if value == _default(type(block), keyword):
        return Setting(name, keyword.name, text, "default")
    return Setting(name, keyword.name, text, "derived")


def _default(block: type, keyword: Keyword) -> Any:
    """A check's own default of what it inherits goes before that of its base."""
    for owner in block.__mro__ if issubclass(block, CheckConfig) else ():
        own = vars(owner).get("DEFAULTS", {})
        if keyword.into in own:
            return own[keyword.into]
    return keyword.default
