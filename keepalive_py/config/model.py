"""The model: what a configuration means, as frozen values. Pure.

Every value here is effective: defaults and inheritance (virtual server -> real
server -> checker) are already resolved, times are seconds as floats, weights and
ports are ints. `where` fields tell which line a block came from and never take part
in comparison, so two models are equal when they mean the same.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from keepalive_py.config.bfd_instance import BfdInstance
from keepalive_py.config.check import CheckConfig, NetworkCheckConfig
from keepalive_py.config.diagnostics import Span
from keepalive_py.config.kinds import Script
from keepalive_py.config.track_file import TrackFile
from keepalive_py.net import Address, AddressRange, Endpoint, Family, Protocol

__all__ = [
    "BfdInstance",
    "CheckConfig",
    "Config",
    "Forwarding",
    "GlobalDefs",
    "GroupMember",
    "KeptBlock",
    "LvsFlushOnStop",
    "LvsSyncDaemon",
    "LvsTimeouts",
    "Mail",
    "NetworkCheckConfig",
    "NotifyFifo",
    "RealServer",
    "SchedulerFlag",
    "Script",
    "SorryServer",
    "SslFiles",
    "TrackFile",
    "Tunnel",
    "TunnelChecksum",
    "TunnelType",
    "VirtualServer",
    "VirtualServerGroup",
]


class Forwarding(enum.Enum):
    """Forwarding method (keepalived `lvs_method`, alias `lb_kind`)."""

    NAT = "NAT"
    DR = "DR"
    TUN = "TUN"
    FNAT = "FNAT"


class TunnelType(enum.IntEnum):
    """IP_VS_CONN_F_TUNNEL_TYPE_* of linux/ip_vs.h."""

    IPIP = 0
    GUE = 1
    GRE = 2


class TunnelChecksum(enum.IntFlag):
    """IP_VS_TUNNEL_ENCAP_FLAG_* of linux/ip_vs.h."""

    NOCSUM = 0
    CSUM = 1
    REMCSUM = 2


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Encapsulation of forwarding method TUN. `port` is only for GUE."""

    type: TunnelType = TunnelType.IPIP
    port: int = 0
    checksum: TunnelChecksum = TunnelChecksum.NOCSUM


class SchedulerFlag(enum.IntFlag):
    """Flags of a virtual server: IP_VS_SVC_F_* of linux/ip_vs.h."""

    NONE = 0
    PERSISTENT = 0x01
    ONE_PACKET = 0x04
    SCHED1 = 0x08
    SCHED2 = 0x10
    SCHED3 = 0x20


@dataclass(frozen=True, slots=True)
class NotifyFifo:
    path: str
    user: str | None = None
    group: str | None = None
    script: Script | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """`notification_email` and the smtp_* keywords of global_defs."""

    to: tuple[str, ...] = ()
    sender: str | None = None
    server: Endpoint | None = None
    helo_name: str | None = None
    connect_timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class LvsTimeouts:
    """Seconds; 0 leaves the kernel's value."""

    tcp: int = 0
    tcpfin: int = 0
    udp: int = 0


@dataclass(frozen=True, slots=True)
class LvsSyncDaemon:
    interface: str
    instance: str | None = None
    syncid: int = 0
    maxlen: int = 0
    port: int = 0
    ttl: int = 0
    group: Address | None = None


class LvsFlushOnStop(enum.Enum):
    """NO: delete real servers one by one; ALL: one flush; SERVICES: delete each own service."""

    NO = "no"
    ALL = "all"
    SERVICES = "VS"


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalDefs:
    """`global_defs` and the single-line globals, process and LVS side. None: not set."""

    # process
    net_namespace: str | None = None
    net_namespace_ipvs: str | None = None  # "" is the default namespace
    use_pid_dir: bool = False
    instance: str | None = None
    child_wait_time: int = 5
    process_names: bool = False
    process_name: str | None = None
    checker_process_name: str | None = None
    router_id: str | None = None
    script_user: str | None = None
    script_group: str | None = None
    set_supplementary_groups: bool = False
    enable_script_security: bool = False
    use_symlink_paths: bool = False
    checker_priority: int | None = None
    checker_no_swap: bool = False
    checker_rt_priority: int | None = None
    checker_rlimit_rttime: int | None = None
    checker_cpu_affinity: tuple[int, ...] = ()
    max_auto_priority: int = 0
    min_auto_priority_delay: int = 1_000_000
    umask: int | None = None
    startup_script: Script | None = None
    startup_script_timeout: int = 10
    shutdown_script: Script | None = None
    shutdown_script_timeout: int = 10
    config_save_dir: str | None = None
    tmp_config_directory: str | None = None
    data_use_instance: bool = False
    state_dump_file: str | None = None
    stats_dump_file: str | None = None
    json_dump_file: str | None = None
    json_version: int = 1
    random_seed: int | None = None
    # reload control
    reload_check_config: str | None = None
    reload_time_file: str | None = None
    reload_repeat: bool = False
    reload_file: str | None = None
    # mail and notification
    mail: Mail = Mail()
    smtp_alert: bool | None = None
    smtp_alert_checker: bool | None = None
    no_checker_emails: bool = False
    notify_fifo: NotifyFifo | None = None
    lvs_notify_fifo: NotifyFifo | None = None
    rs_init_notifies: bool = False
    checker_log_all_failures: bool = False
    # IPVS
    lvs_timeouts: LvsTimeouts | None = None
    lvs_flush: bool = False
    lvs_flush_on_stop: LvsFlushOnStop = LvsFlushOnStop.NO
    lvs_sync_daemon: LvsSyncDaemon | None = None
    nftables_ipvs: str | None = None
    nftables_ipvs_priority: int = -1
    nftables_ipvs_start_fwmark: int = 1000
    nftables_counters: bool = False
    lvs_netlink_cmd_rcv_bufs: int | None = None
    lvs_netlink_cmd_rcv_bufs_force: bool = False
    lvs_netlink_monitor_rcv_bufs: int | None = None
    lvs_netlink_monitor_rcv_bufs_force: bool = False
    snmp_socket: str | None = None
    enable_traps: bool = False
    enable_snmp_checker: bool = False
    snmp_vs_stats_update_interval: float = 5.0
    snmp_rs_stats_update_interval: float | None = None


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One line of a virtual_server_group: an address range with a port, or a fwmark."""

    addresses: AddressRange | None = None
    port: int = 0
    fwmark: int = 0
    family: Family | None = None  # of a fwmark line, when written
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class VirtualServerGroup:
    name: str
    members: tuple[GroupMember, ...]
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealServer:
    """`address` and `port` are the destination in the kernel, after keepalived's port repairs."""

    endpoint: Endpoint
    weight: int = 1
    forwarding: Forwarding = Forwarding.NAT
    tunnel: Tunnel = Tunnel()
    uthreshold: int = 0
    lthreshold: int = 0
    inhibit_on_failure: bool = False
    notify_up: Script | None = None
    notify_down: Script | None = None
    alpha: bool = False
    smtp_alert: bool = True
    virtualhost: str | None = None
    snmp_name: str | None = None
    checks: tuple[CheckConfig, ...] = ()
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SorryServer:
    endpoint: Endpoint
    forwarding: Forwarding = Forwarding.NAT
    tunnel: Tunnel = Tunnel()
    inhibit: bool = False
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualServer:
    """A `virtual_server` block. Exactly one of `endpoint`, `fwmark`, `group` says what it
    serves; `group_index` counts the virtual servers that use the same group, from 0."""

    endpoint: Endpoint | None = None
    fwmark: int | None = None
    group: str | None = None
    group_index: int = 0
    family: Family = Family.INET
    protocol: Protocol = Protocol.UDP
    scheduler: str = "wlc"
    scheduler_flags: SchedulerFlag = SchedulerFlag.NONE  # SCHED1..3 and ONE_PACKET
    forwarding: Forwarding = Forwarding.NAT
    tunnel: Tunnel = Tunnel()
    persistence_timeout: int = 0  # seconds, 0: off
    persistence_engine: str | None = None
    persistence_netmask: IPv4Address | int | None = None  # v4 mask, v6 prefix length, None: host
    delay_loop: float = 60.0
    ha_suspend: bool = False
    alpha: bool = False
    omega: bool = False
    inhibit_on_failure: bool = False
    quorum: int = 1
    hysteresis: int = 0
    quorum_up: Script | None = None
    quorum_down: Script | None = None
    virtualhost: str | None = None
    smtp_alert: bool = False
    snmp_name: str | None = None
    sorry_server: SorryServer | None = None
    real_servers: tuple[RealServer, ...] = ()
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SslFiles:
    """The top-level `SSL` block: the client's own certificate and authorities."""

    password: str | None = None
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class KeptBlock:
    """A block that belongs to VRRP or to another part of keepalived: recognised, kept as
    text, not run by us (`keepalived -P` can serve it beside us)."""

    keyword: str
    title: str
    text: str
    where: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration. `files` lists every file that was read, in order."""

    global_defs: GlobalDefs = GlobalDefs()
    ssl: SslFiles | None = None
    groups: Mapping[str, VirtualServerGroup] = field(default_factory=dict)
    virtual_servers: tuple[VirtualServer, ...] = ()
    track_files: Mapping[str, TrackFile] = field(default_factory=dict)
    bfd_instances: Mapping[str, BfdInstance] = field(default_factory=dict)
    kept_blocks: tuple[KeptBlock, ...] = ()
    files: tuple[str, ...] = field(default=(), compare=False)
