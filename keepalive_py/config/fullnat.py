"""FULLNAT: the keywords that came with it in other keepaliveds, and what is wrong about them. Pure.

FULLNAT has three homes: a stock kernel, a kernel with the FULLNAT patches, and DPVS. Not every
keyword means something in each; `HOMES` says where, and a note says it to the operator.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from keepalive_py.config.check import CheckConfig, NetworkCheckConfig
from keepalive_py.config.diagnostics import Severity
from keepalive_py.config.forwarding import Forwarding
from keepalive_py.config.kinds import Choice
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.real_server import RealServer
from keepalive_py.config.schema import BadValue, Draft, Keyword, Kind
from keepalive_py.config.service_flags import SchedulerFlag
from keepalive_py.config.virtual_server_group import LocalAddressGroup
from keepalive_py.config.vrrp import LIST, Kept, KeptNames, names
from keepalive_py.net import Address, Family, family_of

__all__ = [
    "ALLOW_BY_RULE",
    "BOUND_ELSEWHERE",
    "DENY_BY_RULE",
    "FORK_BLOCKS",
    "ONE_HASH",
    "HASH_TARGETS",
    "ProxyProtocolKind",
    "check_sources",
    "settle",
]

ONE_HASH: Final = "DPVS's agent hashes by the client's address only"
BOUND_ELSEWHERE: Final = "virtual addresses are bound by the operator or bgp_announcer"
DENY_BY_RULE: Final = "refuse clients by a firewall rule"
ALLOW_BY_RULE: Final = "admit clients by a firewall rule"
DPVS: Final = "works with DPVS; another dataplane does without it"
HOMES: Final[Mapping[str, tuple[str, str]]] = {
    "syn_proxy": ("syn_proxy", "works on a FULLNAT kernel and with DPVS; another dataplane does without it"),
    "established_timeout": ("est_timeout", DPVS),
    "bps": ("bps", DPVS),
    "limit_proportion": ("limit_proportion", DPVS),
    "proxy_protocol": ("proxy_protocol", DPVS),
    "quic": ("quic", DPVS),
    "expire_quiescent_conn": ("expire_quiescent_conn", DPVS),
    "hash_target": ("hash_target", f"does nothing: {ONE_HASH}"),
    "vip_device": ("vip_bind_dev", f"does nothing: {BOUND_ELSEWHERE}"),
    "deny_address_group": ("daddr_group_name", f"does nothing: {DENY_BY_RULE}"),
    "allow_address_group": ("waddr_group_name", f"does nothing: {ALLOW_BY_RULE}"),
}

HASH_TARGETS: Final = Choice({"sip": "sip", "qid": "qid"})


@dataclass(frozen=True, slots=True)
class ProxyProtocolKind(Kind):
    """`v1`, `v2`, `v1-insecure` or `v2-insecure`; the last two from `v1 insecure` and `v2 insecure`."""

    name: str = "v1 | v2 [insecure]"

    def parse(self, line: LogicalLine) -> str:
        version, more = line.text(1), line.text(2)
        if version not in ("v1", "v2"):
            raise BadValue(f"`{version}` is no version of the PROXY protocol", expected="v1 or v2")
        if more is None:
            return version
        if more != "insecure":
            raise BadValue(f"`{more}` says nothing here", expected="insecure", word=2)
        return f"{version}-insecure"

    def write(self, value: str) -> str:
        return value.replace("-", " ")


# ---------------------------------------------------------------- blocks that are kept as text


@dataclass(frozen=True, slots=True)
class KeptHere(Kept):
    """A block of another keepalived that is known, kept, and does nothing."""

    status: ClassVar[str] = "kept: DPVS's agent has no call for it"


def _block(name: str, inside: KeptNames, doc: str) -> Keyword:
    return Keyword(name, KeptHere(inside), doc=doc, into="kept_blocks", repeated=True, since="ours")


FORK_BLOCKS: Final = (
    _block("deny_address_group", LIST, "Clients that DPVS refuses. Kept, does nothing."),
    _block("allow_address_group", LIST, "The only clients that DPVS admits. Kept, does nothing."),
    _block(
        "tunnel_group",
        names("", tunnel_entry=names("kind remote local if")),
        "Tunnels of DPVS. Kept, does nothing.",
    ),
)


# ---------------------------------------------------------------- what is wrong


def settle(draft: Draft, groups: Mapping[str, LocalAddressGroup]) -> LocalAddressGroup | None:
    """The local addresses of a virtual server whose values are complete but for them."""
    for field, (keyword, what) in HOMES.items():
        if field in draft.written:
            note(draft, f"`{keyword}` {what}", field)
    group = _group(draft, groups)
    methods = {server.forwarding for server in draft.values["real_servers"]}
    if Forwarding.FNAT in methods:
        _warn(draft, group, methods)
    elif group is not None:
        draft.warn("local-addresses-unused", "no real server is FNAT: its local addresses are not used",
                   field="local_address_group")  # fmt: skip
    return group


def note(draft: Draft, summary: str, field: str) -> None:
    draft.report("other-home", summary, field=field, severity=Severity.NOTE, exit_class=None)


def _group(draft: Draft, groups: Mapping[str, LocalAddressGroup]) -> LocalAddressGroup | None:
    name = draft.values.get("local_address_group")
    if name is not None and name not in groups:
        draft.report("unknown-group", f"there is no local_address_group {name}", field="local_address_group")
        del draft.values["local_address_group"]
    return groups.get(name) if name is not None else None


def _warn(draft: Draft, group: LocalAddressGroup | None, methods: set[Forwarding]) -> None:
    family: Family = draft.values["family"]
    if group is None:
        if "local_address_group" not in draft.written:  # else it is told that there is no such group
            draft.warn(
                "no-local-addresses", "FNAT has no laddr_group_name: it has no addresses to connect from"
            )
    elif all(span.family is not family for span in group.addresses):
        kind = "IPv6" if family is Family.INET6 else "IPv4"
        draft.warn(
            "no-local-addresses",
            f"local_address_group {group.name} has no {kind} address: FNAT has none to connect from",
            field="local_address_group",
        )
    flags = draft.values.get("scheduler_flags", SchedulerFlag.NONE)
    if SchedulerFlag.ONE_PACKET in flags:
        draft.report(
            "ops-fullnat",
            "one-packet scheduling cannot be FNAT: `ops` is cleared",
            "its datagrams are not tracked, so their source address would stay the client's",
            "every datagram of one client and port goes to one real server now",
            field="ops",
        )
        draft.values["scheduler_flags"] = flags & ~SchedulerFlag.ONE_PACKET
    if Forwarding.NAT in methods:
        draft.warn(
            "nat-beside-fullnat",
            "NAT and FNAT are mixed: on a stock kernel both get a local address",
            "the source address is chosen for the virtual server, not for a real server",
        )


# ---------------------------------------------------------------- checks as the traffic goes


def check_sources(servers: Sequence[RealServer], group: LocalAddressGroup) -> Iterator[RealServer]:
    """The servers; the checks of those with FNAT leave from a local address."""
    for server in servers:
        if server.forwarding is Forwarding.FNAT:
            checks = tuple(_from_local(check, server, group) for check in server.checks)
            server = replace(server, checks=checks)
        yield server


def _from_local(check: CheckConfig, server: RealServer, group: LocalAddressGroup) -> CheckConfig:
    if not isinstance(check, NetworkCheckConfig) or check.bindto is not None:
        return check
    source = _choice(group, family_of(check.target.address), str(server.endpoint))
    return check if source is None else replace(check, bindto=source)


def _choice(group: LocalAddressGroup, family: Family, server: str) -> Address | None:
    """Always the same for a server, and spread over the group for many."""
    spans = [span for span in group.addresses if span.family is family]
    total: int = sum(map(len, spans))
    if not total:
        return None
    place = zlib.crc32(server.encode()) % total
    for span in spans:
        if place < len(span):
            return span.first + place
        place -= len(span)
    raise AssertionError("the place is inside")
