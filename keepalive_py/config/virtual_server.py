"""`virtual_server IP [PORT] | fwmark N | group NAME { }`. Pure.

Lines are read in order, and order matters: `lb_algo sh` before `sh-port`, `sorry_server` before
its options, the forwarding method before the real servers that are to have it. What depends on
the rest of the file (groups, globals) waits until `complete`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any, ClassVar, Final

from keepalive_py.config import fullnat, guards, real_server
from keepalive_py.config.check import INTERVAL
from keepalive_py.config.diagnostics import Severity, Span
from keepalive_py.config.forwarding import Forwarding, Method, MethodKind, Tunnel, split_method
from keepalive_py.config.kinds import (
    UINT32,
    Block,
    Choice,
    Flag,
    Integer,
    Interface,
    Script,
    ScriptLine,
    Seconds,
    Switch,
    Text,
    Word,
    only_word,
)
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.real_server import CHECK_DEFAULTS, MOST_WEIGHT, RealServer, ServerHead
from keepalive_py.config.schema import (
    Again,
    BadValue,
    Draft,
    Empty,
    Keyword,
    Kind,
    MissingValue,
    constructed,
    keyword,
    loose,
)
from keepalive_py.config.service_flags import (
    FLAG_KEYWORDS,
    OTHER_SCHEDULERS,
    PLAIN_FLAGS,
    SCHEDULERS,
    SchedulerFlag,
)
from keepalive_py.config.virtual_server_group import FAMILIES, LocalAddressGroup, VirtualServerGroup
from keepalive_py.net import Endpoint, Family, Protocol

__all__ = ["ServiceHead", "SorryServer", "Surroundings", "VirtualServer", "complete"]

DEFAULT_PERSISTENCE: Final = 360
LONGEST_PERSISTENCE: Final = 2678400  # 31 days
ENGINE_NAME_LIMIT: Final = 16  # IP_VS_PENAME_MAXLEN of linux/ip_vs.h
FWMARK: Final = Integer(1, UINT32)


@dataclass(frozen=True, slots=True)
class Service:
    """What a virtual_server is for: exactly one of these."""

    endpoint: Endpoint | None = None
    fwmark: int | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceHead(Kind):
    """IP [PORT] | fwmark N | group NAME."""

    name: str = "IP [port] | fwmark N | group NAME"

    def parse(self, line: LogicalLine) -> Service:
        word = only_word(line, self.name)
        if word == "match":
            raise BadValue("SNAT services of DPVS (`match`) are not served here", code="dpvs-match")
        if word not in ("fwmark", "group"):
            return self._address(line)
        text = line.text(2)
        if text is None:
            raise MissingValue(f"{line.keyword} {word}", "a number" if word == "fwmark" else "a name")
        if word == "group":
            return Service(group=text)
        return Service(fwmark=FWMARK.read(text, 2))

    def _address(self, line: LogicalLine) -> Service:
        try:
            return Service(ServerHead().parse(line))
        except BadValue as bad:
            if isinstance(bad.used, Endpoint):
                bad.used = Service(bad.used)
            raise

    def write(self, value: Service) -> str:
        if value.endpoint is not None:
            return ServerHead().write(value.endpoint)
        return f"fwmark {value.fwmark}" if value.fwmark else f"group {Word().write(value.group or '')}"


@dataclass(frozen=True, slots=True)
class PersistenceKind(Kind):
    """Seconds; nothing written is 360."""

    name: str = "[seconds]"

    def parse(self, line: LogicalLine) -> int:
        text = line.text(1)
        return DEFAULT_PERSISTENCE if text is None else Integer(1, LONGEST_PERSISTENCE).read(text)


@dataclass(frozen=True, slots=True)
class GranularityKind(Word):
    """A netmask or a prefix length; the family of the virtual server says which."""

    name: str = "netmask | prefix length"

    def write(self, value: IPv4Address | int | str) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class SorryServer:
    endpoint: Endpoint
    forwarding: Forwarding = Forwarding.NAT
    tunnel: Tunnel = Tunnel()
    inhibit: bool = False
    where: Span | None = field(default=None, compare=False)


def family_agrees(family: Family, draft: Draft) -> Family:
    known: Family = draft.values.get("family", family)
    if known is not family:
        raise BadValue("this virtual server is of the other family", code="family")
    return family


def read_granularity(text: str, draft: Draft) -> IPv4Address | int:
    """A netmask or a prefix length, by the family as known so far; fixes it when it is not."""
    family = draft.values.setdefault("family", Family.INET if "." in text else Family.INET6)
    mask = Integer(1, 128).read(text) if family is Family.INET6 else _inet_aton(text)
    draft.values.setdefault("persistence_timeout", DEFAULT_PERSISTENCE)
    if isinstance(mask, int):
        return mask
    if "." not in text:
        raise BadValue(
            f"`{text}` means the netmask {mask}",
            code="granularity-not-dotted",
            exit_class=None,
            used=mask,
            notes=("write an IPv4 netmask with dots: 255.255.255.0",),
        )
    return mask


def _inet_aton(text: str) -> IPv4Address:
    """The historic forms of inet_aton(3): `24` is 0.0.0.24, `1.2.3` is 1.2.0.3."""
    *firsts, last = text.split(".")
    try:
        numbers = [_c_number(part) for part in firsts]
        tail = _c_number(last)
        room = 4 - len(numbers)
        if room < 1 or any(number > 255 for number in numbers) or tail >= 256**room:
            raise ValueError
    except ValueError:
        raise BadValue(f"`{text}` is not a netmask", expected="255.255.255.0", code="bad-address") from None
    value = tail
    for index, number in enumerate(numbers):
        value |= number << (24 - 8 * index)
    return IPv4Address(value)


def _c_number(text: str) -> int:
    """A number as in C: 0x is hexadecimal, a leading 0 octal. ValueError."""
    if not text.isascii() or not text.isalnum():
        raise ValueError(text)
    if text.lower().startswith("0x"):
        return int(text[2:], 16)
    return int(text, 8 if len(text) > 1 and text[0] == "0" else 10)


def needs_sorry_server(value: Any, draft: Draft) -> Any:
    if "sorry_endpoint" not in draft.values:
        raise BadValue("there is no sorry_server above this line", word=0, code="order")
    return value


def new_sorry_server(endpoint: Endpoint, draft: Draft) -> Endpoint:
    """A later one replaces the first with all its options; the method is copied as it is now."""
    for name in ("sorry_inhibit", "sorry_method"):
        draft.values.pop(name, None)
    draft.values["sorry_inherited"] = {
        name: draft.values[name] for name in ("forwarding", "tunnel") if name in draft.values
    }
    return endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualServer:
    """A `virtual_server` block. Exactly one of `endpoint`, `fwmark`, `group` says what it
    serves; `group_index` counts the virtual servers that use the same group, from 0.
    Of marks (`only_marks`: a fwmark, or a group of nothing else) `protocol` has no meaning and is UDP."""

    LOOSE: ClassVar[tuple[Keyword, ...]] = (
        *CHECK_DEFAULTS,
        *FLAG_KEYWORDS,
        loose("weight", Integer(1, MOST_WEIGHT, lenient=True), doc="Default of its real servers."),
        loose(
            "sorry_server",
            ServerHead(),
            into="sorry_endpoint",
            check=new_sorry_server,
            doc="Serves while there is no quorum.",
        ),
        loose(
            "sorry_server_inhibit",
            Flag(),
            into="sorry_inhibit",
            check=needs_sorry_server,
            doc="The sorry server stays in the table with weight 0.",
        ),
        loose(
            "sorry_server_lvs_method",
            MethodKind(),
            into="sorry_method",
            check=needs_sorry_server,
            doc="How packets reach the sorry server.",
        ),
    )

    endpoint: Endpoint | None = None
    fwmark: int | None = None
    group: str | None = None
    group_index: int = 0
    only_marks: bool = field(default=False, compare=False)
    family: Family = keyword(
        "ip_family",
        Choice(FAMILIES),
        default=Family.INET,
        check=family_agrees,
        doc="Family of a fwmark or group; not written: that of its servers.",
    )
    protocol: Protocol = keyword(
        "protocol", Choice({protocol.name: protocol for protocol in Protocol}, fold=True),
        default=Protocol.UDP, doc="Transport, in any case of letters.",
    )  # fmt: skip
    scheduler: str = keyword(
        "lb_algo",
        Choice({name: name for name in (*SCHEDULERS, *OTHER_SCHEDULERS)}),
        default="wlc",
        aliases=("lvs_sched",),
        doc="Scheduler of the kernel.",
    )
    scheduler_flags: SchedulerFlag = SchedulerFlag.NONE  # SCHED1..3 and ONE_PACKET
    forwarding: Forwarding = keyword(
        "lb_kind",
        MethodKind(),
        default=Forwarding.NAT,
        aliases=("lvs_method",),
        check=split_method,
        doc="How packets reach the real servers below this line. FNAT is our own.",
    )
    tunnel: Tunnel = Tunnel()
    persistence_timeout: int = keyword(
        "persistence_timeout",
        PersistenceKind(),
        default=0,
        unit="s",
        doc="A client keeps its server this long.",
    )
    persistence_engine: str | None = keyword(
        "persistence_engine",
        Word(ENGINE_NAME_LIMIT),
        default=None,
        doc="Kernel module that tells clients apart.",
    )
    persistence_netmask: IPv4Address | int | None = keyword(
        "persistence_granularity",
        GranularityKind(),
        default=None,
        check=read_granularity,
        doc="Clients of one network count as one: netmask or IPv6 prefix length.",
    )
    delay_loop: float = keyword(
        "delay_loop", INTERVAL, default=60.0, unit="s", doc="Time from one check to the next."
    )
    ha_suspend: bool = keyword(
        "ha_suspend", Flag(), default=False, doc="No checks while the address is not on this host."
    )
    alpha: bool = keyword("alpha", Flag(), default=False, doc="All servers start as down.")
    omega: bool = keyword("omega", Flag(), default=False, doc="Run the down scripts at stop.")
    inhibit_on_failure: bool = keyword(
        "inhibit_on_failure", Flag(), default=False, doc="Failed servers get weight 0 instead of removal."
    )
    quorum: int = keyword(
        "quorum", Integer(1, UINT32, fallback=1), default=1, doc="Weight of alive servers that is enough."
    )
    hysteresis: int = keyword(
        "hysteresis",
        Integer(0, UINT32, lenient=True),
        default=0,
        doc="Gained at quorum + hysteresis, lost below quorum - hysteresis.",
    )
    quorum_up: Script | None = keyword(
        "quorum_up", ScriptLine(), default=None, again=Again.REFUSED, doc="Run when quorum is gained."
    )
    quorum_down: Script | None = keyword(
        "quorum_down", ScriptLine(), default=None, again=Again.REFUSED, doc="Run when quorum is lost."
    )
    virtualhost: str | None = keyword(
        "virtualhost", Word(), default=None, again=Again.WARNS, empty=Empty.ERROR, doc="Host of HTTP checks."
    )
    smtp_alert: bool = keyword(
        "smtp_alert", Switch(), default=False, doc="Mail when quorum is gained or lost."
    )
    snmp_name: str | None = keyword(
        "snmp_name",
        Text(alone=True),
        default=None,
        empty=Empty.ERROR,
        doc="Its name in SNMP.",
        idle="there is no SNMP agent: docs/migration.md says what replaces it",
    )
    depool_threshold: int = keyword(
        "depool_threshold", guards.Percentage(), default=0, unit="%", since="ours", source=guards.SOURCE,
        doc="Share of the pool that checks never take out; who is down beyond it is held in.",
    )  # fmt: skip
    slow_start: float = keyword(
        "slow_start", Seconds(0, 86400), default=0.0, unit="s", since="ours", source=guards.SOURCE,
        doc="A server that comes back gets its weight in steps over this time.",
    )  # fmt: skip
    damping_half_life: float = keyword(
        "damping_half_life", Seconds(0, 86400), default=0.0, unit="s", since="ours", source=guards.SOURCE,
        doc="Flap damping: a server that fails three times close together is left out until the count, "
        "halved in this time, is below one and a half.",
    )  # fmt: skip
    local_address_group: str | None = keyword(
        "laddr_group_name", Word(), default=None, since="ours", doc="Addresses that FNAT connects from."
    )
    check_from_local_address: bool = keyword(
        "check_from_local_address",
        Flag(),
        default=False,
        since="ours",
        doc="Checks of FNAT servers leave from a local address, where no bindto is written.",
    )
    syn_proxy: bool = keyword(
        "syn_proxy", Flag(), default=False, since="ours", doc="Clients prove themselves first. "
        "FULLNAT kernels, DPVS."
    )  # fmt: skip
    established_timeout: int = keyword(
        "est_timeout", Integer(0, UINT32), default=0, unit="s", aliases=("establish_timeout",), since="ours",
        doc="Life of an idle established connection. DPVS.",
    )  # fmt: skip
    bps: int = keyword("bps", Integer(0, UINT32), default=0, since="ours", doc="Rate limit. DPVS.")
    limit_proportion: int = keyword(
        "limit_proportion", Integer(0, 100), default=0, since="ours", doc="Percent of bps. DPVS."
    )
    proxy_protocol: str = keyword(
        "proxy_protocol", fullnat.ProxyProtocolKind(), default="", since="ours",
        doc="Tell servers the client by the PROXY protocol. DPVS.",
    )  # fmt: skip
    quic: bool = keyword("quic", Flag(), default=False, since="ours", doc="The service is QUIC. DPVS.")
    expire_quiescent_conn: bool = keyword(
        "expire_quiescent_conn", Flag(), default=False, since="ours",
        doc="Connections end with their server's weight. DPVS.",
    )  # fmt: skip
    hash_target: str = keyword(
        "hash_target", fullnat.HASH_TARGETS, default="", since="ours", doc="Known, does nothing."
    )
    vip_device: str | None = keyword(
        "vip_bind_dev", Interface(), default=None, since="ours", doc="Known, does nothing."
    )
    deny_address_group: str | None = keyword(
        "daddr_group_name", Word(), default=None, since="ours", doc="Known, does nothing."
    )
    allow_address_group: str | None = keyword(
        "waddr_group_name", Word(), default=None, since="ours", doc="Known, does nothing."
    )
    sorry_server: SorryServer | None = None
    real_servers: tuple[RealServer, ...] = keyword(
        "real_server",
        Block(RealServer, ServerHead(), deferred=True),
        default=(),
        repeated=True,
        doc="A server.",
    )
    where: Span | None = field(default=None, compare=False)

    def loose_values(self) -> Iterator[tuple[str, Any]]:
        for name, bit in PLAIN_FLAGS.items():
            if self.scheduler_flags & bit:
                yield name, True
        sorry = self.sorry_server
        if sorry is not None:
            yield "sorry_server", sorry.endpoint
            if sorry.inhibit:
                yield "sorry_server_inhibit", True
            if (sorry.forwarding, sorry.tunnel) != (self.forwarding, self.tunnel):
                yield "sorry_server_lvs_method", Method(sorry.forwarding, sorry.tunnel)

    @classmethod
    def opened(cls, draft: Draft) -> None:
        if draft.head.endpoint is not None:
            draft.values["family"] = draft.head.endpoint.family

    @classmethod
    def closed(cls, draft: Draft) -> None:
        """The sorry server must be of the family as known now."""
        values = draft.values
        sorry, family = values.get("sorry_endpoint"), values.get("family")
        method = values["sorry_method"].forwarding if "sorry_method" in values else None
        method = method or values.get("sorry_inherited", {}).get("forwarding")
        if sorry and family and sorry.family is not family and method is not Forwarding.TUN:
            draft.report(
                "family",
                f"{sorry.address} is not of the virtual server's family",
                "the sorry server is left out",
                field="sorry_endpoint",
            )
            del values["sorry_endpoint"]


@dataclass(slots=True)
class Surroundings:
    """What virtual servers take from the rest of the file. `service_defaults` and
    `server_defaults` are values by field name, from the globals."""

    groups: Mapping[str, VirtualServerGroup]
    local_groups: Mapping[str, LocalAddressGroup]
    service_defaults: Mapping[str, Any]
    server_defaults: Mapping[str, Any]
    group_uses: Counter[str] = field(default_factory=Counter)


def complete(draft: Draft, around: Surroundings) -> VirtualServer | None:
    """The virtual server, or None when it is refused. Repairs what keepalived repairs."""
    values, head = draft.values, draft.head
    group = around.groups.get(head.group) if head.group is not None else None
    if head.group is not None and group is None:
        draft.warn("unknown-group", f"there is no virtual_server_group {head.group}: it is left out")
        return None
    servers = _distinct(values.pop("real_servers", []))
    if not servers:
        draft.refuse("no-real-server", f"{draft.title} has no real servers: it is left out")
        return None
    _name(draft, around)
    _settle_transport(draft, group)
    _settle_persistence(draft, group)
    for name, default in (("delay_loop", 60.0), ("alpha", False), ("inhibit_on_failure", False)):
        values.setdefault(name, default)
    values.setdefault("smtp_alert", around.service_defaults.get("smtp_alert", False))
    values.setdefault("family", _family_of_servers(servers))
    by_endpoint: dict[Endpoint, RealServer] = {}
    for each in servers:
        server = _with_port(each, real_server.complete(each, values, around.server_defaults), draft, group)
        if server.endpoint in by_endpoint:
            note = "keepalived keeps both, though the kernel has one destination for them"
            each.warn("duplicate", f"{each.title} is {server.endpoint}, like one above: left out", note)
        by_endpoint.setdefault(server.endpoint, server)
    values["real_servers"] = list(by_endpoint.values())
    _settle_quorum(draft)
    values["sorry_server"] = _sorry_server(draft)
    local = fullnat.settle(draft, around.local_groups)
    if local is not None and values.get("check_from_local_address"):
        values["real_servers"] = list(fullnat.check_sources(values["real_servers"], local))
    result: VirtualServer = constructed(draft)
    return result


def _distinct(servers: Iterable[Draft]) -> list[Draft]:
    """Without those that name the address and port of an earlier one."""
    seen: dict[Endpoint, Draft] = {}
    for server in servers:
        if server.head in seen:
            server.report("duplicate", f"{server.title} is already a server here: this one is left out")
        else:
            seen[server.head] = server
    return list(seen.values())


def _name(draft: Draft, around: Surroundings) -> None:
    head, values = draft.head, draft.values
    values["endpoint"], values["fwmark"], values["group"] = head.endpoint, head.fwmark, head.group
    if head.group is not None:
        values["group_index"] = around.group_uses[head.group]
        around.group_uses[head.group] += 1


def _settle_transport(draft: Draft, group: VirtualServerGroup | None) -> None:
    """Protocol, scheduler and forwarding method, and the flags that depend on them."""
    values = draft.values
    has_fwmark = draft.head.fwmark is not None or (group is not None and group.has_fwmark)
    values["only_marks"] = draft.head.fwmark is not None or (group is not None and group.only_fwmarks)
    if values["only_marks"]:
        if "protocol" in draft.written and not _only_inet6_marks(group):
            draft.report("fwmark-protocol", "a fwmark has no protocol: it is ignored", field="protocol")
        values["protocol"] = Protocol.UDP
    else:
        _default(draft, "protocol", Protocol.UDP, "UDP")
        if values["protocol"] is not Protocol.UDP:
            _clear_one_packet(draft)
    _default(draft, "scheduler", "wlc", "wlc")
    _default(draft, "forwarding", Forwarding.NAT, "NAT")
    if has_fwmark and values.get("ha_suspend"):
        draft.report("fwmark-suspend", "ha_suspend cannot be used with a fwmark: cleared", field="ha_suspend")
        values["ha_suspend"] = False


def _only_inet6_marks(group: VirtualServerGroup | None) -> bool:
    """As observed with 2.2.7, which does not look at IPv6 marks when it warns about a protocol."""
    return group is not None and all(member.family is Family.INET6 for member in group.members)


def _default(draft: Draft, name: str, value: object, shown: str) -> None:
    if name not in draft.values:
        word = {"protocol": "protocol", "scheduler": "lb_algo", "forwarding": "lb_kind"}[name]
        draft.report("default-used", f"no {word} is set: {shown} is used")
        draft.values[name] = value


def _clear_one_packet(draft: Draft) -> None:
    flags = draft.values.get("scheduler_flags", SchedulerFlag.NONE)
    if flags & SchedulerFlag.ONE_PACKET:
        draft.report("ops", "one-packet scheduling needs UDP: `ops` is cleared", field="ops")
        draft.values["scheduler_flags"] = flags & ~SchedulerFlag.ONE_PACKET


def _settle_persistence(draft: Draft, group: VirtualServerGroup | None) -> None:
    endpoint = draft.head.endpoint
    any_port = endpoint is not None and endpoint.port == 0
    if group is not None:
        any_port = any(member.addresses and member.port == 0 for member in group.members)
    if any_port and not draft.values.get("persistence_timeout"):
        draft.report("port-zero", f"port 0 needs persistence: {DEFAULT_PERSISTENCE} s is used")
        draft.values["persistence_timeout"] = DEFAULT_PERSISTENCE


def _family_of_servers(servers: list[Draft]) -> Family:
    """All are reached through tunnels, or the family would be known."""
    families = {server.head.family for server in servers}
    return families.pop() if len(families) == 1 else Family.INET


NATS: Final = (Forwarding.NAT, Forwarding.FNAT)


def _with_port(
    draft: Draft, server: RealServer, service: Draft, group: VirtualServerGroup | None
) -> RealServer:
    """The port the kernel gets: only NAT can change it."""
    port = server.endpoint.port
    kept = server.forwarding in NATS
    if group is not None:
        ports = {member.port for member in group.members if member.addresses}
        if not kept and port and ports - {port}:
            draft.report("ports-differ", f"{server.forwarding.value} cannot change the ports of the group")
        return server
    if service.head.fwmark is not None:
        if not kept and port:
            draft.report("fwmark-port", f"with a fwmark {server.forwarding.value} has no port: it is cleared")
            port = 0
    elif port == 0:
        port = service.head.endpoint.port
    elif not kept and port != service.head.endpoint.port:
        port = service.head.endpoint.port
        draft.report("ports-differ", f"{server.forwarding.value} cannot change the port: {port} is used")
    if port == server.endpoint.port:
        return server
    return replace(server, endpoint=Endpoint(server.endpoint.address, port))


def _settle_quorum(draft: Draft) -> None:
    """What is not possible is told and put right, and no reason to refuse a reload: that a weight
    goes to 0 drains a server."""
    values = draft.values
    quorum, hysteresis = values.get("quorum", 1), values.get("hysteresis", 0)
    total = sum(server.weight for server in values["real_servers"])
    if quorum > total:
        draft.report(
            "quorum",
            f"quorum {quorum} is above the total weight: {total} is used",
            field="quorum",
            severity=Severity.WARNING,
        )
        quorum = total
    if hysteresis >= max(quorum, 1):
        hysteresis = max(quorum - 1, 0)
        draft.report(
            "hysteresis",
            f"hysteresis must be below quorum: {hysteresis} is used",
            field="hysteresis",
            severity=Severity.WARNING,
        )
    elif quorum + hysteresis > total:
        draft.warn(
            "hysteresis",
            f"quorum, once lost, is out of reach: {quorum} + {hysteresis} is above the total weight {total}",
            field="hysteresis",
        )
    values["quorum"], values["hysteresis"] = quorum, hysteresis


def _sorry_server(draft: Draft) -> SorryServer | None:
    values = draft.values
    endpoint = values.get("sorry_endpoint")
    if endpoint is None:
        return None
    method = {"forwarding": values["forwarding"], "tunnel": values.get("tunnel", Tunnel())}
    method.update(values["sorry_inherited"])
    own = values.get("sorry_method")
    if own is not None:
        method["forwarding"] = own.forwarding
        if own.tunnel is not None:
            method["tunnel"] = own.tunnel
    endpoint = Endpoint(endpoint.address, _sorry_port(draft, endpoint.port, method["forwarding"]))
    inhibit = _sorry_inhibit(draft, endpoint)
    return SorryServer(endpoint, inhibit=inhibit, where=draft.written.get("sorry_endpoint"), **method)


def _sorry_port(draft: Draft, port: int, forwarding: Forwarding) -> int:
    service = draft.head.endpoint
    if port == 0:
        return service.port if service else 0
    if forwarding in NATS or (service and service.port == port):
        return port
    used = service.port if service else 0
    draft.report(
        "ports-differ",
        f"{forwarding.value} cannot change the port of the sorry server: {used} is used",
        field="sorry_endpoint",
    )
    return used


def _sorry_inhibit(draft: Draft, endpoint: Endpoint) -> bool:
    """A sorry server that is a real server too has that one's flag."""
    inhibit: bool = draft.values.get("sorry_inhibit", False)
    for server in draft.values["real_servers"]:
        if server.endpoint == endpoint and server.inhibit_on_failure is not inhibit:
            draft.report(
                "sorry-inhibit",
                f"{endpoint} is a real server too: its inhibit_on_failure counts",
                field="sorry_endpoint",
            )
            return not inhibit
    return inhibit
