"""The top-level block `bgp_announcer { }`, our own: which virtual addresses are announced by BGP,
when, and through which routing daemon. Pure.

```
bgp_announcer {
    prefix 192.0.2.0/24              # virtual addresses in here are announced
    routing_daemon bird              # who is asked whether they really are
    uplink left { interface eth1 }
    peer tor1 { address 10.0.1.1 }   # for `keepalive-ctl render`
    vip 192.0.2.10 {
        rule any
        service tcp 443
    }
}
```

Best in the side file, so that keepalived can still read the main one.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from keepalive_py.config.bfd_instance import Milliseconds
from keepalive_py.config.diagnostics import Span
from keepalive_py.config.kinds import Block as BlockOf
from keepalive_py.config.kinds import (
    Choice,
    Flag,
    Integer,
    Interface,
    IpAddress,
    Seconds,
    Switch,
    Text,
    Word,
    only_word,
    words_of,
)
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import BadValue, Draft, Kind, keyword
from keepalive_py.net import Address, Protocol, family_of

__all__ = [
    "AnnouncedVip",
    "BgpAnnouncer",
    "BgpPeer",
    "OnStop",
    "QuorumRule",
    "RoutingDaemon",
    "ServiceName",
    "UplinkConfig",
]

Network = IPv4Network | IPv6Network

NOWHERE: Final = "none"  # as hold_interface
STATE_DIRECTORY: Final = "/var/lib/keepalive_py"
OURS: Final = "docs/bgp.md"


@dataclass(frozen=True, slots=True)
class PrefixKind(Kind):
    """An IPv4 or IPv6 prefix; host bits must be zero."""

    name: str = "prefix"

    def parse(self, line: LogicalLine) -> Network:
        text = only_word(line, "a prefix")
        try:
            return ip_network(text)
        except ValueError:
            raise BadValue(
                f"`{text}` is not a prefix", expected="as 192.0.2.0/24", code="bad-range"
            ) from None


@dataclass(frozen=True, slots=True)
class QuorumRule:
    """How many of a VIP's services must have their quorum. `at_least` 0: all of them."""

    at_least: int = 0

    def __str__(self) -> str:
        return {0: "all", 1: "any"}.get(self.at_least, f"at_least {self.at_least}")


@dataclass(frozen=True, slots=True)
class RuleKind(Kind):
    name: str = "all | any | at_least N"

    def parse(self, line: LogicalLine) -> QuorumRule:
        word = only_word(line, self.name)
        if word in ("all", "any"):
            return QuorumRule(int(word == "any"))
        if word == "at_least":
            return QuorumRule(Integer(1, 65535).read(line.text(2) or "", 2))
        raise BadValue(f"`{word}` is not a rule", expected=self.name, code="unknown-choice")


@dataclass(frozen=True, slots=True)
class ServiceName:
    """A service of a VIP: protocol and port, or a firewall mark."""

    protocol: Protocol | None = None
    port: int = 0
    fwmark: int = 0

    def __str__(self) -> str:
        return (
            f"fwmark {self.fwmark}" if self.protocol is None else f"{self.protocol.name.lower()} {self.port}"
        )


PROTOCOLS: Final = {protocol.name.lower(): protocol for protocol in Protocol}


@dataclass(frozen=True, slots=True)
class ServiceNameKind(Kind):
    name: str = "tcp|udp|sctp PORT | fwmark N"

    def parse(self, line: LogicalLine) -> ServiceName:
        word, number = only_word(line, self.name).lower(), line.text(2) or ""
        if word == "fwmark":
            return ServiceName(fwmark=Integer(1).read(number, 2))
        if word in PROTOCOLS:
            return ServiceName(PROTOCOLS[word], Integer(0, 65535).read(number, 2))
        raise BadValue(f"`{word}` is no service", expected=self.name, code="unknown-choice")


@dataclass(frozen=True, slots=True)
class RoutingDaemon:
    """Whom to ask. `place`: its control socket (BIRD), its pathspace (FRR), its host:port (GoBGP); "": the
    usual one."""

    kind: str
    place: str = ""


DAEMONS: Final = ("bird", "frr", "gobgp", "exabgp")


@dataclass(frozen=True, slots=True)
class RoutingDaemonKind(Kind):
    name: str = "bird [SOCKET] | frr [PATHSPACE] | gobgp [HOST:PORT] | exabgp"

    def parse(self, line: LogicalLine) -> RoutingDaemon:
        word = only_word(line, self.name)
        if word not in DAEMONS:
            raise BadValue(f"`{word}` is not one of {', '.join(DAEMONS)}", code="unknown-choice")
        return RoutingDaemon(word, line.text(2) or "")

    def write(self, value: RoutingDaemon) -> str:
        return words_of(value.kind, value.place) if value.place else value.kind


class OnStop(enum.Enum):
    """What becomes of the announcements when the daemon ends."""

    AS_TABLE = "as_table"  # kept exactly when the IPVS table is kept (-I)
    WITHDRAW = "withdraw"
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedVip:
    """Exceptions for one virtual address. None: as the block says."""

    address: Address
    rule: QuorumRule | None = keyword(
        "rule", RuleKind(), default=None, since="ours", source=OURS,
        doc="How many of its services must have their quorum.",
    )  # fmt: skip
    services: tuple[ServiceName, ...] = keyword(
        "service", ServiceNameKind(), repeated=True, default=(), since="ours", source=OURS,
        doc="Only these services count; without any, all that have this address.",
    )  # fmt: skip
    where: Span | None = field(default=None, compare=False)

    @classmethod
    def finish(cls, draft: Draft) -> None:
        draft.values["address"] = draft.head

    @property
    def name(self) -> str:
        return str(self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkConfig:
    """A way out of this node."""

    name: str
    interface: str = keyword("interface", Interface(), default="", since="ours", source=OURS, doc="Its link.")
    neighbour: Address | None = keyword(
        "neighbour", IpAddress(), default=None, since="ours", source=OURS, aliases=("neighbor",),
        doc="The switch at its other end, looked up among the kernel's neighbours.",
    )  # fmt: skip
    where: Span | None = field(default=None, compare=False)

    @classmethod
    def finish(cls, draft: Draft) -> None:
        draft.values["name"] = draft.head
        if not draft.values.get("interface"):
            draft.refuse("no-interface", f"uplink {draft.head} has no interface: it is left out")


@dataclass(frozen=True, slots=True, kw_only=True)
class BgpPeer:
    """A BGP neighbour, as the routing daemon is (to be) configured with."""

    name: str
    address: Address = keyword("address", IpAddress(), since="ours", source=OURS, doc="The neighbour.")
    remote_as: int = keyword(
        "remote_as", Integer(1), default=0, since="ours", source=OURS, doc="Its AS number."
    )
    local: Address | None = keyword(
        "local", IpAddress(), default=None, since="ours", source=OURS, doc="Our end of the session."
    )
    uplink: str = keyword(
        "uplink", Word(), default="", since="ours", source=OURS, doc="The uplink it is reached by."
    )
    bfd: bool = keyword(
        "bfd", Switch(), default=True, since="ours", source=OURS, doc="Guard the session with BFD."
    )
    where: Span | None = field(default=None, compare=False)

    @classmethod
    def finish(cls, draft: Draft) -> None:
        values = draft.values
        values["name"] = draft.head
        address, local = values.get("address"), values.get("local")
        if address is None:
            draft.refuse("no-address", f"peer {draft.head} has no address: it is left out")
        elif local is not None and family_of(local) is not family_of(address):
            draft.refuse("family", f"{local} and {address} are of two families", "the peer is left out")


@dataclass(frozen=True, slots=True, kw_only=True)
class BgpAnnouncer:
    """Virtual addresses that are announced by BGP. Times in seconds."""

    prefixes: tuple[Network, ...] = keyword(
        "prefix", PrefixKind(), repeated=True, default=(), since="ours", source=OURS,
        doc="Virtual addresses in this prefix are announced, each as a host route.",
    )  # fmt: skip
    interface: str = keyword(
        "interface", Interface(), default="kavip", since="ours", source=OURS,
        doc="Holds the addresses that are announced; a dummy, made if missing.",
    )  # fmt: skip
    drain_interface: str = keyword(
        "drain_interface", Interface(), default="kadrain", since="ours", source=OURS,
        doc="Holds those announced with GRACEFUL_SHUTDOWN (RFC 8326).",
    )  # fmt: skip
    hold_interface: str = keyword(
        "hold_interface", Interface(), default="kahold", since="ours", source=OURS,
        doc="Holds those that are ours and not announced; none: they are on no interface.",
    )  # fmt: skip
    rule: QuorumRule = keyword(
        "rule", RuleKind(), default=QuorumRule(), since="ours", source=OURS,
        doc="How many services of an address must have their quorum.",
    )  # fmt: skip
    sorry_counts: bool = keyword(
        "sorry_server_counts", Flag(), default=False, since="ours", source=OURS,
        doc="A service on its sorry server counts as one with quorum.",
    )  # fmt: skip
    rise: float = keyword(
        "rise", Seconds(0, 3600), default=1.0, unit="s", since="ours", source=OURS,
        doc="Fit for so long before it is announced.",
    )  # fmt: skip
    fall: float = keyword(
        "fall", Seconds(0, 3600), default=0.0, unit="s", since="ours", source=OURS,
        doc="Unfit for so long before it is withdrawn.",
    )  # fmt: skip
    hold_down: float = keyword(
        "hold_down", Seconds(0, 3600), default=5.0, unit="s", since="ours", source=OURS,
        doc="Not announced again earlier than this after it was withdrawn for being unfit.",
    )  # fmt: skip
    half_life: float = keyword(
        "damping_half_life", Seconds(0, 86400), default=60.0, unit="s", since="ours", source=OURS,
        doc="Flap damping: three withdrawals close together hold it back until the count, halved in this "
        "time, is below one and a half; 0: none.",
    )  # fmt: skip
    warm_up: float = keyword(
        "warm_up", Seconds(0, 86400), default=60.0, unit="s", since="ours", source=OURS,
        doc="Checks that have not run by then are taken as they are.",
    )  # fmt: skip
    drain_time: float = keyword(
        "drain_time", Seconds(0, 86400), default=10.0, unit="s", since="ours", source=OURS,
        doc="The longest that an address is drained before it is withdrawn.",
    )  # fmt: skip
    drain_quiet: float = keyword(
        "drain_quiet", Seconds(0, 3600), default=1.0, unit="s", since="ours", source=OURS,
        doc="Drained when IPVS has seen no new connection for so long.",
    )  # fmt: skip
    on_stop: OnStop = keyword(
        "on_stop", Choice({choice.value: choice for choice in OnStop}), default=OnStop.AS_TABLE, since="ours",
        source=OURS, doc="When the daemon ends: withdraw, keep, or as the IPVS table is (-I keeps it).",
    )  # fmt: skip
    modules: tuple[str, ...] = keyword(
        "require_module", Word(), repeated=True, default=(), since="ours", source=OURS,
        doc="A kernel module that must be loaded; one of the `toa` block must be proven to work.",
    )  # fmt: skip
    state_directory: str = keyword(
        "state_directory", Text(), default=STATE_DIRECTORY, since="ours", source=OURS,
        doc="Where the addresses that are ours, and drains, are remembered.",
    )  # fmt: skip
    routing_daemon: RoutingDaemon | None = keyword(
        "routing_daemon", RoutingDaemonKind(), default=None, since="ours", source=OURS,
        doc="Asked whether each address is really exported to each peer.",
    )  # fmt: skip
    confirm_time: float = keyword(
        "confirm_time", Seconds(0.1, 600), default=5.0, unit="s", since="ours", source=OURS,
        doc="How long the routing daemon may take before it is called out.",
    )  # fmt: skip
    poll: float = keyword(
        "poll", Seconds(0.1, 600), default=5.0, unit="s", since="ours", source=OURS,
        doc="How often the routing daemon is asked.",
    )  # fmt: skip
    uplinks: tuple[UplinkConfig, ...] = keyword(
        "uplink", BlockOf(UplinkConfig, head=Word()), repeated=True, default=(), since="ours", source=OURS,
        doc="A way out of this node; with all of them down nothing is announced.",
    )  # fmt: skip
    peers: tuple[BgpPeer, ...] = keyword(
        "peer", BlockOf(BgpPeer, head=Word()), repeated=True, default=(), since="ours", source=OURS,
        doc="A BGP neighbour.",
    )  # fmt: skip
    vips: tuple[AnnouncedVip, ...] = keyword(
        "vip", BlockOf(AnnouncedVip, head=IpAddress()), repeated=True, default=(), since="ours", source=OURS,
        doc="Exceptions for one address; it is announced even if no prefix holds it.",
    )  # fmt: skip
    local_as: int = keyword(
        "local_as", Integer(1), default=0, since="ours", source=OURS, doc="Our AS number, for rendering."
    )
    router_id: Address | None = keyword(
        "router_id", IpAddress(), default=None, since="ours", source=OURS, doc="For rendering."
    )
    hold_time: int = keyword(
        "hold_time", Integer(3, 65535), default=9, unit="s", since="ours", source=OURS,
        doc="BGP hold time, for rendering.",
    )  # fmt: skip
    prepend: int = keyword(
        "drain_prepend", Integer(0, 10), default=2, since="ours", source=OURS,
        doc="How often our AS is prepended while draining, for switches that ignore the community.",
    )  # fmt: skip
    bfd_interval: float = keyword(
        "bfd_interval", Milliseconds(10), default=0.3, unit="ms", since="ours", source=OURS,
        doc="BFD, both directions, for rendering.",
    )  # fmt: skip
    bfd_multiplier: int = keyword(
        "bfd_multiplier", Integer(2, 255), default=3, since="ours", source=OURS, doc="BFD, for rendering."
    )
    where: Span | None = field(default=None, compare=False)

    @classmethod
    def finish(cls, draft: Draft) -> None:
        if draft.is_second("bgp_announcer"):
            draft.refuse("duplicate", "there already is a bgp_announcer: this one is left out")
        values = draft.values
        defaults = {"interface": "kavip", "drain_interface": "kadrain", "hold_interface": "kahold"}
        names = [values.get(name, default) for name, default in defaults.items()]
        if len(set(names)) < len(names):
            draft.refuse("interfaces", "interface, drain_interface and hold_interface must differ")
        if not values.get("prefixes") and not values.get("vips"):
            draft.warn("nothing-announced", "bgp_announcer has neither prefix nor vip: nothing is announced")
        uplinks = {uplink.name for uplink in values.get("uplinks", ())}
        for peer in values.get("peers", ()):
            if peer.uplink and peer.uplink not in uplinks:
                draft.report("no-such-uplink", f"peer {peer.name}: there is no uplink {peer.uplink}")
