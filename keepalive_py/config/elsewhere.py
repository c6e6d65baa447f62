"""Keywords of `global_defs` that are for VRRP, BFD or other parts of keepalived. Pure.

They are accepted by name and do nothing here. What each is without a value was observed with
keepalived 2.2.7.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import Empty, Keyword, Kind, MissingValue

__all__ = ["ELSEWHERE"]


DOC: Final = "Of another part of keepalived."
WHY: Final = "it is for VRRP or another part of keepalived, which `keepalived -P` can run beside us"


@dataclass(frozen=True, slots=True)
class NotHere(Kind):
    """Any words; `required`: at least one."""

    required: bool
    name: str = "not used here"

    def parse(self, line: LogicalLine) -> str:
        if self.required and len(line.words) < 2:
            raise MissingValue(line.keyword)
        return line.raw


_MAY_BE_EMPTY = """
    dbus_no_interface_name disable_local_igmp dynamic_interfaces enable_dbus enable_snmp_keepalived
    enable_snmp_rfc enable_snmp_rfcv2 enable_snmp_rfcv3 enable_snmp_vrrp
    fifo_write_vrrp_states_on_reload log_unknown_vrids nftables nftables_ifindex no_email_faults
    process_monitor_rcv_bufs_force bfd_no_swap smtp_alert_vrrp v3_checksum_as_v2
    vrrp_check_unicast_src vrrp_delay_after_boot vrrp_higher_prio_send_advert vrrp_ipsets
    vrrp_iptables vrrp_lower_prio_no_advert vrrp_min_garp vrrp_netlink_cmd_rcv_bufs_force
    vrrp_netlink_monitor_rcv_bufs_force vrrp_no_swap vrrp_notify_priority_changes
    vrrp_owner_ignore_adverts vrrp_skip_check_adv_addr vrrp_strict
    bfd_process_name vrrp_process_name
"""
_ERROR_WHEN_EMPTY = """
    bfd_cpu_affinity bfd_priority bfd_rt_priority dbus_service_name default_interface
    iproute_etc_dir iproute_usr_dir process_monitor_rcv_bufs vrrp_cpu_affinity vrrp_garp_extra_if
    vrrp_netlink_cmd_rcv_bufs vrrp_netlink_monitor_rcv_bufs vrrp_notify_fifo
    vrrp_notify_fifo_script vrrp_priority vrrp_rt_priority vrrp_rx_bufs_multiplier
    vrrp_rx_bufs_policy vrrp_vmac_garp_intvl
"""
_FATAL_WHEN_EMPTY = """
    bfd_rlimit_rtime bfd_rlimit_rttime nftables_priority vmac_addr_prefix vmac_prefix
    vrrp_down_timer_adverts vrrp_garp_interval vrrp_garp_lower_prio_delay
    vrrp_garp_lower_prio_repeat vrrp_garp_master_delay vrrp_garp_master_refresh
    vrrp_garp_master_refresh_repeat vrrp_garp_master_repeat vrrp_gna_interval vrrp_mcast_group4
    vrrp_mcast_group6 vrrp_rlimit_rtime vrrp_rlimit_rttime vrrp_startup_delay vrrp_version
"""


def _keywords() -> Iterator[Keyword]:
    for words, empty in (
        (_MAY_BE_EMPTY, Empty.QUIET),
        (_ERROR_WHEN_EMPTY, Empty.ERROR),
        (_FATAL_WHEN_EMPTY, Empty.FATAL),
    ):
        for word in words.split():
            kind = NotHere(required=empty is not Empty.QUIET)
            yield Keyword(word, kind, doc=DOC, empty=empty, into="elsewhere", idle=WHY)


ELSEWHERE: Final = tuple(_keywords())
