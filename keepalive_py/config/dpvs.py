"""`dpvs { }`: where DPVS's agent listens. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from keepalive_py.config.diagnostics import Span
from keepalive_py.config.kinds import Interface, Seconds, only_word
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import BadValue, Kind, keyword

__all__ = ["DEFAULT_AGENT", "DpvsAgent"]

DEFAULT_AGENT: Final = "http://127.0.0.1:6601"
SCHEMES: Final = ("http://", "https://", "unix:/")


@dataclass(frozen=True, slots=True)
class AgentAddress(Kind):
    """An http URL, or `unix:` and a path."""

    name: str = "http://HOST:PORT | unix:PATH"

    def parse(self, line: LogicalLine) -> str:
        text = only_word(line, self.name)
        if not text.startswith(SCHEMES) or text in SCHEMES:
            raise BadValue(f"`{text}` is not an address of an agent", expected=self.name)
        return text.rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class DpvsAgent:
    """DPVS's agent, for `--dataplane dpvs`. A change needs a restart."""

    agent: str = keyword(
        "agent", AgentAddress(), default=DEFAULT_AGENT, doc="Where dpvs-agent listens.", since="ours"
    )
    device: str = keyword(
        "device", Interface(), default="", since="ours",
        doc="DPVS's device of local addresses that name none.",
    )  # fmt: skip
    timeout: float = keyword(
        "timeout", Seconds(), default=5.0, unit="s", since="ours", doc="Patience with one answer."
    )
    where: Span | None = field(default=None, compare=False)
