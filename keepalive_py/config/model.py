"""The model: what a configuration means, as frozen values. Pure.

Every value here is effective: defaults and inheritance (virtual server -> real
server -> checker) are already resolved, times are seconds as floats, weights and
ports are ints. `where` fields tell which line a block came from and never take part
in comparison, so two models are equal when they mean the same.

Each block's class lives in the file of that block; all are to be had here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from keepalive_py.config.bfd_instance import BfdInstance, BfdName
from keepalive_py.config.check import CheckConfig, NetworkCheckConfig
from keepalive_py.config.forwarding import Forwarding, Tunnel, TunnelChecksum, TunnelType
from keepalive_py.config.fullnat import FORK_BLOCKS
from keepalive_py.config.global_defs import TOP_LEVEL_GLOBALS, GlobalDefs, Mail, NotifyFifo
from keepalive_py.config.global_kinds import LvsFlushOnStop, LvsSyncDaemon, LvsTimeouts
from keepalive_py.config.kinds import Block, Script, Word
from keepalive_py.config.real_server import RealServer
from keepalive_py.config.schema import Again, Keyword, keyword
from keepalive_py.config.service_flags import SchedulerFlag
from keepalive_py.config.ssl import SslFiles
from keepalive_py.config.track_file import TrackFile
from keepalive_py.config.virtual_server import ServiceHead, SorryServer, VirtualServer
from keepalive_py.config.virtual_server_group import (
    GROUP_LINES,
    LOCAL_LINES,
    GroupMember,
    LocalAddressGroup,
    VirtualServerGroup,
)
from keepalive_py.config.vrrp import KEPT_KEYWORDS, KeptBlock

__all__ = [
    "BfdInstance",
    "CheckConfig",
    "Config",
    "Forwarding",
    "GlobalDefs",
    "GroupMember",
    "KeptBlock",
    "LocalAddressGroup",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration. `files` lists every file that was read, in order."""

    LOOSE: ClassVar[tuple[Keyword, ...]] = (*TOP_LEVEL_GLOBALS, *KEPT_KEYWORDS, *FORK_BLOCKS)

    global_defs: GlobalDefs = keyword(
        "global_defs", Block(GlobalDefs, merged=True), default=GlobalDefs(), doc="What is not of one service."
    )
    ssl: SslFiles | None = keyword(
        "SSL", Block(SslFiles), default=None, again=Again.WARNS, doc="Certificate of SSL_GET checks."
    )
    groups: Mapping[str, VirtualServerGroup] = keyword(
        "virtual_server_group", GROUP_LINES, factory=dict, again=Again.KEEPS,
        doc="Addresses and marks that one virtual_server serves.",
    )  # fmt: skip
    local_address_groups: Mapping[str, LocalAddressGroup] = keyword(
        "local_address_group", LOCAL_LINES, factory=dict, again=Again.REFUSED, since="ours",
        doc="Addresses that FNAT connects from; bound on the interface that a line names.",
    )  # fmt: skip
    virtual_servers: tuple[VirtualServer, ...] = keyword(
        "virtual_server", Block(VirtualServer, ServiceHead(), deferred=True), default=(), repeated=True,
        doc="A service of the kernel's table.",
    )  # fmt: skip
    track_files: Mapping[str, TrackFile] = keyword(
        "track_file", Block(TrackFile, Word(), keyed=True), factory=dict, again=Again.KEEPS,
        aliases=("vrrp_track_file",), doc="A file whose number moves weights.",
    )  # fmt: skip
    bfd_instances: Mapping[str, BfdInstance] = keyword(
        "bfd_instance", Block(BfdInstance, BfdName(), keyed=True), factory=dict, again=Again.REFUSED,
        doc="A BFD session.",
    )  # fmt: skip
    kept_blocks: tuple[KeptBlock, ...] = ()
    extensions: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    files: tuple[str, ...] = field(default=(), compare=False)
