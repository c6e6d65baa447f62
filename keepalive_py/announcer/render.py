"""A routing daemon's own configuration, for the node or for the switch it speaks to.

The templates stand beside this file; `--template` gives another. A name that a template uses and
that is not defined is an error, not an empty string.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final

import jinja2

from keepalive_py.announcer.vips import vips_of
from keepalive_py.config.bgp_announcer import BgpAnnouncer, BgpPeer, Network
from keepalive_py.config.model import Config
from keepalive_py.errors import ConfigError
from keepalive_py.net import Address

TEMPLATES: Final = Path(__file__).parent / "templates"
FILES: Final = {
    ("bird", "node"): "bird.conf.j2",
    ("bird", "switch"): "bird_switch.conf.j2",
    ("frr", "node"): "frr.conf.j2",
    ("frr", "switch"): "frr_switch.conf.j2",
    ("gobgp", "node"): "gobgp.toml.j2",
    ("exabgp", "node"): "exabgp.conf.j2",
}
HOST: Final = {4: 32, 6: 128}


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the switch sees it: the peer, from its other end."""

    name: str
    address: Address
    remote_as: int
    bfd: bool


@dataclass(frozen=True, slots=True)
class Switch:
    """The switch to render for: one of the peers, the addresses of other nodes on it, and those of other
    switches that it sends to when it has lost every node of its own."""

    peer: str
    others: tuple[Address, ...] = ()
    mates: tuple[Address, ...] = ()
    router_id: Address | None = None


def render(
    config: Config,
    block: BgpAnnouncer,
    daemon: str,
    switch: Switch | None = None,
    template: str | None = None,
) -> str:
    """For the node, or for a switch. Raises ConfigError when the block does not say enough, or the
    template is wrong, and OSError when it cannot be read."""
    side = "node" if switch is None else "switch"
    file = FILES.get((daemon, side))
    if file is None and template is None:
        raise ConfigError(f"there is no template of {daemon} for the {side}")
    path = Path(template) if template is not None else TEMPLATES / str(file)
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    try:
        return environment.from_string(path.read_text(encoding="utf-8")).render(values(config, block, switch))
    except jinja2.TemplateError as error:
        raise ConfigError(f"{path}: {error}") from None


def values(config: Config, block: BgpAnnouncer, switch: Switch | None) -> dict[str, Any]:
    """What a template can use. Raises ConfigError."""
    check(block)
    families = families_of(config, block)
    if not families:
        raise ConfigError("bgp_announcer has no prefix")
    interfaces = sorted({uplink.interface for uplink in block.uplinks})
    common = {
        "block": block,
        "families": families,
        "host": HOST,
        "bfd_ms": round(block.bfd_interval * 1000),
        "bfd_interfaces": ", ".join(f'"{name}"' for name in interfaces or ["*"]),
        "feed_options": feed_options(block, families),
        "ctl": shutil.which("keepalive-ctl") or "/usr/bin/keepalive-ctl",
    }
    if switch is None:
        ends = [block.router_id, *(peer.local for peer in block.peers)]
        return {**common, "peers": block.peers, "router_id": router_id(ends)}
    peer = peer_of(block, switch.peer)
    nodes = nodes_of(peer, switch)
    families = {version: some for version, some in families.items() if version == peer.address.version}
    mates = [mate for mate in switch.mates if mate.version == peer.address.version]
    switch_values = {
        "nodes": nodes,
        "mates": mates,
        "switch_as": peer.remote_as,
        "router_id": router_id([switch.router_id, peer.address, _low(peer.address)]),
    }
    return {**common, **switch_values, "families": families, "peers": nodes}


def feed_options(block: BgpAnnouncer, families: dict[int, list[Network]]) -> str:
    """For `keepalive-ctl announcer feed`, without those that are as usual."""
    words = [f"--prefix {prefix}" for some in families.values() for prefix in some]
    words += [] if block.interface == "kavip" else [f"--interface {block.interface}"]
    words += [] if block.drain_interface == "kadrain" else [f"--drain-interface {block.drain_interface}"]
    return " ".join(words + [f"--prepend {block.local_as}"] * block.prepend)


def check(block: BgpAnnouncer) -> None:
    if not block.local_as:
        raise ConfigError("bgp_announcer has no local_as")
    if not block.peers:
        raise ConfigError("bgp_announcer has no peer")
    missing = [peer.name for peer in block.peers if not peer.remote_as]
    if missing:
        raise ConfigError(f"peer {missing[0]} has no remote_as")


def families_of(config: Config, block: BgpAnnouncer) -> dict[int, list[Network]]:
    """The prefixes of virtual addresses of each family that has any, and those that stand alone."""
    alone = (vip for vip in vips_of(config, block) if not any(vip in prefix for prefix in block.prefixes))
    networks = [*block.prefixes, *(ip_network(vip) for vip in alone)]
    found = {version: [each for each in networks if each.version == version] for version in (4, 6)}
    return {version: some for version, some in found.items() if some}


def peer_of(block: BgpAnnouncer, name: str) -> BgpPeer:
    for peer in block.peers:
        if peer.name == name:
            return peer
    known = ", ".join(peer.name for peer in block.peers)
    raise ConfigError(f"bgp_announcer has no peer `{name}`; it has {known}")


def nodes_of(peer: BgpPeer, switch: Switch) -> Sequence[Node]:
    if peer.local is None:
        raise ConfigError(f"peer {peer.name} has no local address: whom should the switch speak to?")
    addresses = (peer.local, *switch.others)
    return [
        Node(f"node{number}", address, peer.remote_as, peer.bfd)
        for number, address in enumerate(addresses, 1)
    ]


def router_id(candidates: Sequence[Address | None]) -> Address:
    """The first IPv4 address. Raises ConfigError."""
    for candidate in candidates:
        if candidate is not None and candidate.version == 4:
            return candidate
    raise ConfigError("there is no IPv4 address for a router id; give router_id")


def _low(address: Address) -> Address:
    """The last 32 bits, for a switch that is known by an IPv6 address alone."""
    return ip_address(int(address) & 0xFFFFFFFF)
