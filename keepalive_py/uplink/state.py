"""One uplink's state, from what was seen of it. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from keepalive_py.config.bgp_announcer import UplinkConfig
from keepalive_py.wire.rtnetlink import NUD_FAILED, Link, Neighbour


class UplinkState(enum.Enum):
    UP = "up"
    DEGRADED = "degraded"  # the link is up, no BGP session over it is
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class UplinkSight:
    """`detail` says what is wrong; `kind` what sort of link it is."""

    state: UplinkState
    detail: str = ""
    kind: str = ""


def sight(
    config: UplinkConfig,
    links: Mapping[str, Link],
    neighbours: Sequence[Neighbour],
    sessions: Sequence[bool] | None,
) -> UplinkSight:
    """`sessions`: whether each BGP session over it is established; None when that is not known."""
    link = links.get(config.interface)
    if link is None:
        return UplinkSight(UplinkState.DOWN, f"there is no interface {config.interface}")
    wrong = _link_trouble(link) or _neighbour_trouble(config, link, neighbours)
    if wrong:
        return UplinkSight(UplinkState.DOWN, wrong, link.kind)
    if sessions and not any(sessions):
        return UplinkSight(UplinkState.DEGRADED, "no BGP session is established", link.kind)
    return UplinkSight(UplinkState.UP, "", link.kind)


def _link_trouble(link: Link) -> str:
    if not link.up:
        return f"{link.name} is switched off"
    return "" if link.carrier else f"{link.name} has no carrier"


def _neighbour_trouble(config: UplinkConfig, link: Link, neighbours: Iterable[Neighbour]) -> str:
    """Only a failed look-up counts: a neighbour that nobody spoke to has no entry."""
    for neighbour in neighbours:
        if neighbour.ifindex == link.ifindex and neighbour.address == config.neighbour:
            return f"{config.neighbour} does not answer" if neighbour.state & NUD_FAILED else ""
    return ""
