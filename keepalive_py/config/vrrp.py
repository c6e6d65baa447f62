"""The blocks of keepalived that are not the LVS side: VRRP, static addresses, tracking. Pure.

They are recognised, their keywords known by name (keepalived.conf(5)), their text kept, and
nothing in them is run: `keepalived -P` can serve them beside us. Values are not checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar, Final

from keepalive_py.config.diagnostics import Span
from keepalive_py.config.kinds import Script
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.quoting import argv, shell_words
from keepalive_py.config.schema import BadValue, Keyword, Kind


@dataclass(frozen=True, slots=True)
class KeptBlock:
    """A block that belongs to VRRP or to another part of keepalived: recognised, kept as
    text, not run by us (`keepalived -P` can serve it beside us)."""

    keyword: str
    title: str
    text: str
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class KeptNames:
    """The names that a kept block knows; `blocks` are those that open one. `free`: any line."""

    words: frozenset[str] = frozenset()
    blocks: Mapping[str, KeptNames] = field(default_factory=dict)
    free: bool = False

    def all_words(self) -> frozenset[str]:
        return self.words | self.blocks.keys()


LIST: Final = KeptNames(free=True)


def names(words: str, **blocks: KeptNames) -> KeptNames:
    return KeptNames(frozenset(words.split()), blocks)


@dataclass(frozen=True, slots=True)
class Kept(Kind):
    """A kept block, or a single line when `names` is None."""

    names: KeptNames | None
    name: str = "kept as text"
    status: ClassVar[str] = "kept: `keepalived -P` can run it beside us"

    def parse(self, line: LogicalLine) -> KeptBlock:
        raise NotImplementedError("the parser collects kept blocks")


NOTICE: Final = (
    "blocks of VRRP and of other parts of keepalived are kept, and not run",
    "`keepalived -P` can serve them beside us, from the same file",
)
TRACKERS: Final = dict.fromkeys(
    ("track_interface", "track_script", "track_file", "track_process", "track_bfd"), LIST
)

_INSTANCE: Final = names(
    """
    use_vmac use_vmac_addr vmac_xmit_base use_ipvlan unicast_fault_no_peer check_unicast_src
    old_unicast_checksum native_ipv6 state interface vrf dont_track_primary mcast_src_ip
    unicast_src_ip mcast_dst_ip track_src_ip virtual_router_id unicast_ttl version priority
    advert_int no_virtual_ipaddress promote_secondaries linkbeat_use_polling v3_checksum_as_v2
    accept no_accept skip_check_adv_addr strict_mode preempt nopreempt preempt_delay debug
    notify_backup notify_master notify_fault notify_stop notify_deleted notify
    notify_master_rx_lower_pri smtp_alert notify_priority_changes lvs_sync_daemon_interface
    garp_master_delay garp_master_refresh garp_master_repeat garp_master_refresh_repeat
    garp_lower_prio_delay garp_lower_prio_repeat down_timer_adverts timer_expired_backup
    thread_timer_expired garp_extra_if vmac_garp_intvl lower_prio_no_advert
    higher_prio_send_advert owner_ignore_adverts kernel_rx_buf_size
    """,
    **TRACKERS,
    unicast_peer=LIST,
    virtual_ipaddress=LIST,
    virtual_ipaddress_excluded=LIST,
    virtual_routes=LIST,
    virtual_rules=LIST,
    authentication=names("auth_type auth_pass"),
    auth_hmac=names("key active_key time_window anti_replay mode"),
)
_SYNC_GROUP: Final = names(
    """
    notify_backup notify_master notify_fault notify_stop notify smtp_alert global_tracking
    sync_group_tracking_weight notify_priority_changes
    """,
    **TRACKERS,
    group=LIST,
)
_SCRIPT: Final = names("script interval timeout weight rise fall user init_fail")
_PROCESS: Final = names(
    "process param_match weight quorum quorum_max delay terminate_delay fork_delay full_command"
)
_GARP_GROUP: Final = names("garp_interval gna_interval interface", interfaces=LIST)
_TRACK_GROUP: Final = names("", group=LIST)


def kept(name: str, inside: KeptNames | None, doc: str) -> Keyword:
    return Keyword(name, Kept(inside), doc=f"{doc} Kept, not run.", into="kept_blocks", repeated=True)


KEPT_KEYWORDS: Final = (
    kept("linkbeat_use_polling", None, "How VRRP watches links."),
    kept("namespace_with_ipsets", None, "VRRP's ipsets in a network namespace."),
    kept("track_group", _TRACK_GROUP, "Instances that are tracked together."),
    kept("static_ipaddress", LIST, "Addresses that VRRP sets at start."),
    kept("static_routes", LIST, "Routes that VRRP sets at start."),
    kept("static_rules", LIST, "Rules that VRRP sets at start."),
    kept("linkbeat_interfaces", LIST, "Interfaces that are polled."),
    kept("interface_up_down_delays", LIST, "Delays of interface changes."),
    kept("vrrp_sync_group", _SYNC_GROUP, "Instances that change together."),
    kept("garp_group", _GARP_GROUP, "Pace of gratuitous ARP."),
    kept("vrrp_instance", _INSTANCE, "A virtual router."),
    kept("vrrp_script", _SCRIPT, "A script that moves a virtual router's priority."),
    kept("vrrp_track_process", _PROCESS, "A process that moves a virtual router's priority."),
)


def scripts_in(block: KeptBlock) -> Iterator[Script]:
    """The commands that a kept block would run."""
    if block.keyword not in ("vrrp_instance", "vrrp_sync_group", "vrrp_script"):
        return
    for line in block.text.splitlines():
        words = line.split(maxsplit=1)
        if words and words[0] in SCRIPT_KEYWORDS:
            with suppress(BadValue):
                command, user, group = [*shell_words(line)[1:4], "", "", ""][:3]
                if words[0] == "script":
                    user = group = ""
                if arguments := argv(command):
                    yield Script(arguments, command, user or None, group or None, block.where)


SCRIPT_KEYWORDS: Final = {
    "script",
    "notify",
    "notify_backup",
    "notify_deleted",
    "notify_fault",
    "notify_master",
    "notify_master_rx_lower_pri",
    "notify_stop",
}
