"""The top-level block `bfd_instance NAME { }`: a BFD session that checks may follow. Pure.

It must come before the virtual_server whose BFD_CHECK names it. The file has milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Final

from keepalive_py.config.diagnostics import Span
from keepalive_py.config.kinds import Flag, Integer, IpAddress, Seconds, decimal
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import BadValue, Draft, Keyword, Kind, MissingValue, keyword, loose
from keepalive_py.config.track_file import WeightLine
from keepalive_py.net import Address, family_of

NAME_LIMIT: Final = 31
LONGEST_INTERVAL: Final = 4294967  # milliseconds


@dataclass(frozen=True, slots=True)
class Milliseconds(Kind):
    """A time in milliseconds; the value is seconds."""

    low: int = 1
    name: str = "milliseconds"

    @property
    def range(self) -> str:
        return f"{self.low}..{LONGEST_INTERVAL}"

    def parse(self, line: LogicalLine) -> float:
        number: float = Seconds(self.low, LONGEST_INTERVAL).parse(line)
        return round(number / 1000, 6)

    def write(self, value: float) -> str:
        return decimal(value * 1000)


@dataclass(frozen=True, slots=True)
class BfdName(Kind):
    """The name of a bfd_instance."""

    name: str = "name"

    def parse(self, line: LogicalLine) -> str:
        text = line.text(1)
        if text is None:
            raise MissingValue(line.keyword, "a name")
        if len(text) > NAME_LIMIT:
            raise BadValue(f"`{text}` is longer than {NAME_LIMIT} characters", code="too-long")
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class BfdInstance:
    """Times in seconds (the file has milliseconds)."""

    LOOSE: ClassVar[tuple[Keyword, ...]] = (
        loose("weight", WeightLine(253), into="vrrp_weight", doc="Of VRRP.", idle="it is for VRRP"),
        loose("vrrp", Flag(), doc="VRRP follows this session.", idle="it is for VRRP"),
        loose("checker", Flag(), doc="BFD_CHECK follows this session; it may in any case."),
    )

    name: str
    neighbor: Address = keyword("neighbor_ip", IpAddress(), aliases=("neighbour_ip",), doc="The other end.")
    source: Address | None = keyword("source_ip", IpAddress(), default=None, doc="Our end.")
    min_rx: float = keyword(
        "min_rx", Milliseconds(), default=0.010, unit="ms", doc="We can receive this often."
    )
    min_tx: float = keyword(
        "min_tx", Milliseconds(), default=0.010, unit="ms", doc="We want to send this often."
    )
    idle_tx: float = keyword(
        "idle_tx",
        Milliseconds(1000),
        default=1.0,
        unit="ms",
        doc="We send this often while the session is down.",
    )
    multiplier: int = keyword(
        "multiplier", Integer(1, 255), default=5, doc="Packets missing in a row before the session is down."
    )
    passive: bool = keyword("passive", Flag(), default=False, doc="Wait for the other end's first packet.")
    ttl: int = keyword("ttl", Integer(1, 255), default=255, aliases=("hoplimit",), doc="TTL of what we send.")
    max_hops: int = keyword(
        "max_hops", Integer(-1, 255), default=0, doc="Routers a received packet may have passed; -1: any."
    )
    multihop: bool = keyword(
        "multihop", Flag(), default=False, since="after 2.2.7", doc="The session crosses routers."
    )
    where: Span | None = field(default=None, compare=False)

    @classmethod
    def finish(cls, draft: Draft) -> None:
        values = draft.values
        values["name"] = draft.head
        neighbor, source = values.get("neighbor"), values.get("source")
        if neighbor is None:
            draft.refuse("no-neighbor", f"bfd_instance {draft.head} has no neighbor_ip: it is left out")
        elif source is not None and family_of(source) is not family_of(neighbor):
            draft.refuse("family", f"{source} and {neighbor} are of two families", "the instance is left out")
        elif (taken := _same_session(draft)) is not None:
            summary = f"bfd_instance {taken.name} already is for {neighbor}"
            note = "this one is left out; two for a neighbor each need a source_ip of their own"
            draft.refuse("duplicate", summary, note)
        ttl = values.get("ttl", 255)
        if values.get("max_hops", 0) > ttl:
            draft.report("max-hops", f"max_hops is above ttl: {ttl} is used", field="max_hops")
            values["max_hops"] = ttl


def _same_session(draft: Draft) -> BfdInstance | None:
    """The instance above this one that has its packets too: of the same neighbor, and of the same address
    here, as far as both name one."""
    values = draft.values
    source, multihop = values.get("source"), values.get("multihop", False)
    everything = draft.parent.values if draft.parent else {}
    above: Iterable[BfdInstance] = everything.get("bfd_instances", {}).values()
    alike = (each for each in above if (each.neighbor, each.multihop) == (values["neighbor"], multihop))
    return next((each for each in alike if None in (source, each.source) or source == each.source), None)
