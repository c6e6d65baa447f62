"""One uplink's state, from what was seen of it. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from keepalive_py.config.bgp_announcer import UplinkConfig
from keepalive_py.wire.rtnetlink import NUD_FAILED, NUD_REACHED, Link, Neighbour

BONDS = ("bond", "team")


class UplinkState(enum.Enum):
    UP = "up"
    DEGRADED = "degraded"  # the link is up, no BGP session over it is
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Heard:
    """What the routing daemon says of a BGP session over the uplink; `bfd` is empty without BFD."""

    established: bool
    state: str = ""
    bfd: str = ""


@dataclass(frozen=True, slots=True)
class UplinkSight:
    """`detail` says what is wrong; `kind` what sort of link it is. `members` of a bond, and whether each
    has a carrier. `neighbour`: reachable, failed, or unknown to the kernel; empty: none is configured."""

    state: UplinkState
    detail: str = ""
    kind: str = ""
    members: Mapping[str, bool] = field(default_factory=dict)
    neighbour: str = ""
    sessions: Mapping[str, Heard] = field(default_factory=dict)


def sight(
    config: UplinkConfig,
    links: Mapping[str, Link],
    neighbours: Sequence[Neighbour],
    sessions: Mapping[str, Heard] | None,
) -> UplinkSight:
    """`sessions` over it, by name; None when nobody could be asked."""
    heard = sessions or {}
    link = links.get(config.interface)
    if link is None:
        return UplinkSight(UplinkState.DOWN, f"there is no interface {config.interface}", sessions=heard)
    members = {each.name: each.carrier for each in links.values() if each.master == link.ifindex}
    members = members if link.kind in BONDS else {}
    neighbour = _neighbour(config, link, neighbours)
    wrong = _link_trouble(link)
    if not wrong and neighbour == "failed":
        wrong = f"{config.neighbour} does not answer"
    if wrong:
        return UplinkSight(UplinkState.DOWN, wrong, link.kind, members, neighbour, heard)
    if heard and not any(each.established for each in heard.values()):
        detail = f"no BGP session is established{_bfd_trouble(heard.values())}"
        return UplinkSight(UplinkState.DEGRADED, detail, link.kind, members, neighbour, heard)
    return UplinkSight(UplinkState.UP, _lame(members), link.kind, members, neighbour, heard)


def _link_trouble(link: Link) -> str:
    if not link.up:
        return f"{link.name} is switched off"
    return "" if link.carrier else f"{link.name} has no carrier"


def _bfd_trouble(sessions: Iterable[Heard]) -> str:
    states = [each.bfd for each in sessions if each.bfd and each.bfd.lower() != "up"]
    return f", BFD is {states[0].lower()}" if states else ""


def _lame(members: Mapping[str, bool]) -> str:
    """A bond goes on with what is left of it; that is said."""
    dark = [name for name, carrier in members.items() if not carrier]
    return f"{', '.join(dark)} has no carrier" if dark else ""


def _neighbour(config: UplinkConfig, link: Link, neighbours: Iterable[Neighbour]) -> str:
    """Only a failed look-up counts against it: a neighbour that nobody spoke to has no entry."""
    if config.neighbour is None:
        return ""
    for each in neighbours:
        if each.ifindex == link.ifindex and each.address == config.neighbour:
            if each.state & NUD_FAILED:
                return "failed"
            return "reachable" if each.state & NUD_REACHED else "unknown"
    return "unknown"
