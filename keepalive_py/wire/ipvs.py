"""IPVS over generic netlink (family `IPVS`, version 1): bytes to values and back. Pure.

Every `encode_*` gives the attributes of a command, every `decode_*` takes the payload of a
message that the kernel sends. Ports, IPv4 masks and the tunnel's port are in network
order, all else in the machine's. `decode_x(encode_x(v)) == v` for every value that the
kernel accepts.

Kernels differ in a few numbers only; those are in a `Flavour`.

Standard: linux/ip_vs.h.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address
from socket import htonl, htons, ntohl
from typing import Final, NamedTuple

from keepalive_py.config.model import (
    Forwarding,
    LvsSyncDaemon,
    LvsTimeouts,
    SchedulerFlag,
    Tunnel,
    TunnelChecksum,
    TunnelType,
)
from keepalive_py.errors import WireError
from keepalive_py.net import Address, Endpoint, Family, Protocol
from keepalive_py.plan.table import NO_OPTIONS, Destination, Service, ServiceKey, ServiceOptions
from keepalive_py.wire.netlink import Attributes, attribute, attributes, generic_attributes, number, text

FAMILY_NAME: Final = "IPVS"


class Command(enum.IntEnum):
    """IPVS_CMD_*: a request; the kernel answers GET_* with the NEW_* or SET_* of the pair."""

    NEW_SERVICE = 1
    SET_SERVICE = 2
    DEL_SERVICE = 3
    GET_SERVICE = 4
    NEW_DEST = 5
    SET_DEST = 6
    DEL_DEST = 7
    GET_DEST = 8
    NEW_DAEMON = 9
    DEL_DAEMON = 10
    GET_DAEMON = 11
    SET_CONFIG = 12
    GET_CONFIG = 13
    SET_INFO = 14
    GET_INFO = 15
    ZERO = 16
    FLUSH = 17
    # Only FULLNAT kernels know these.
    NEW_LOCAL = 18
    DEL_LOCAL = 19
    GET_LOCAL = 20


# IPVS_CMD_ATTR_*
SERVICE, DEST, DAEMON, TIMEOUT_TCP, TIMEOUT_TCP_FIN, TIMEOUT_UDP = range(1, 7)
# IPVS_SVC_ATTR_*
SVC_AF, SVC_PROTOCOL, SVC_ADDR, SVC_PORT, SVC_FWMARK = range(1, 6)
SVC_SCHEDULER, SVC_FLAGS, SVC_TIMEOUT, SVC_NETMASK, SVC_STATS = range(6, 11)
SVC_STATS64 = 12
# IPVS_DEST_ATTR_*
DEST_ADDR, DEST_PORT, DEST_FORWARDING, DEST_WEIGHT, DEST_UPPER, DEST_LOWER = range(1, 7)
DEST_ACTIVE, DEST_INACTIVE, DEST_PERSISTENT, DEST_STATS = range(7, 11)
DEST_FAMILY, DEST_STATS64, DEST_TUNNEL_TYPE, DEST_TUNNEL_PORT, DEST_TUNNEL_FLAGS = range(11, 16)
# IPVS_STATS_ATTR_*
STATS_CONNECTIONS, STATS_PACKETS_IN, STATS_PACKETS_OUT, STATS_BYTES_IN, STATS_BYTES_OUT = range(1, 6)
# IPVS_DAEMON_ATTR_*
DAEMON_STATE, DAEMON_INTERFACE, DAEMON_SYNC_ID, DAEMON_MAXLEN = range(1, 5)
DAEMON_GROUP, DAEMON_GROUP6, DAEMON_PORT, DAEMON_TTL = range(5, 9)
DAEMON_MASTER, DAEMON_BACKUP = 1, 2
# IPVS_INFO_ATTR_*
INFO_VERSION, INFO_TABLE_SIZE = 1, 2


@dataclass(frozen=True, slots=True)
class Flavour:
    """What differs between kernels. None: that kernel has no such attribute."""

    name: str
    forwarding: Mapping[Forwarding, int]  # IP_VS_CONN_F_*
    persistence_engine: int | None
    tunnels: bool
    local_addresses: bool = False
    syn_proxy: int = 0  # its bit in the flags of a service; 0: there is none
    by_number: Mapping[int, Forwarding] = field(init=False)

    def __post_init__(self) -> None:
        reverse = {number: method for method, number in self.forwarding.items()}
        object.__setattr__(self, "by_number", reverse)


MAINLINE: Final = Flavour(
    name="mainline",
    forwarding={Forwarding.NAT: 0, Forwarding.TUN: 2, Forwarding.DR: 3},
    persistence_engine=11,
    tunnels=True,
)

# A mainline kernel beside which something else translates the source address: to IPVS itself,
# FULLNAT is NAT, and read back it is NAT.
TRANSLATED: Final = replace(
    MAINLINE,
    forwarding={Forwarding.FNAT: 0, **MAINLINE.forwarding},
)

# Kernels with the FULLNAT patches; they know commands 18 to 20. Their service attribute 11 is
# a timeout in some and the persistence engine in others, so it is never sent to any. They
# report no attribute that came to mainline later.
FULLNAT: Final = Flavour(
    name="FULLNAT",
    forwarding={Forwarding.NAT: 0, Forwarding.TUN: 2, Forwarding.DR: 3, Forwarding.FNAT: 5},
    persistence_engine=None,
    tunnels=False,
    local_addresses=True,
    syn_proxy=0x8000,
)


def flavour_of(commands: Collection[int], mainline: Flavour = MAINLINE) -> Flavour:
    """The flavour of a kernel by the commands its IPVS family lists (CTRL_CMD_GETFAMILY)."""
    return FULLNAT if {Command.NEW_LOCAL, Command.DEL_LOCAL, Command.GET_LOCAL} <= set(commands) else mainline


class Inexpressible(ValueError):
    """A value of ours that this flavour of kernel has no number for."""


class OutOfRange(Inexpressible):
    """A number that does not fit its attribute."""


class Foreign(WireError):
    """Well-formed, but made by another program from values that keepalived does not know."""


class Traffic(NamedTuple):
    """Counters since the entry was added."""

    connections: int
    packets_in: int
    packets_out: int
    bytes_in: int
    bytes_out: int


class DestinationTraffic(NamedTuple):
    traffic: Traffic
    active: int
    inactive: int
    persistent: int


class Version(NamedTuple):
    """`version` as (major, minor, patch); `table_size` slots for connections."""

    version: tuple[int, int, int]
    table_size: int


# ---------------------------------------------------------------- service

# Attribute headers and values in one piece. `=`: no implicit padding; ports and masks are
# swapped before they are packed.
_ADDRESS_KEY = struct.Struct("=HH HHHxx HHHxx HH16s HHHxx")
_FWMARK_KEY = struct.Struct("=HH HHHxx HHI")
_SETTINGS = struct.Struct("=HHII HHI HHI")
_FLAGS = struct.Struct("=II")  # struct ip_vs_flags
_EVERY_FLAG = 0xFFFFFFFF
_KNOWN_FLAGS = sum(SchedulerFlag)
_SYN_PROXY = ServiceOptions(syn_proxy=True)


def encode_key(key: ServiceKey) -> bytes:
    """A service's identity: for DEL_SERVICE, GET_SERVICE, GET_DEST, ZERO, and before a destination."""
    if key.endpoint is None or key.protocol is None:
        if not key.fwmark:
            # The kernel would take it for the address 0.0.0.0.
            raise OutOfRange("0 is no firewall mark")
        return _FWMARK_KEY.pack(20, SERVICE, 6, SVC_AF, key.family, 8, SVC_FWMARK, key.fwmark)
    address, port = key.endpoint.address.packed, htons(key.endpoint.port)
    return _ADDRESS_KEY.pack(
        48, SERVICE, 6, SVC_AF, key.family, 6, SVC_PROTOCOL, key.protocol,
        20, SVC_ADDR, address, 6, SVC_PORT, port,
    )  # fmt: skip


def encode_service(service: Service, flavour: Flavour = MAINLINE) -> bytes:
    """A whole service: for NEW_SERVICE and SET_SERVICE. Raises Inexpressible."""
    try:
        settings = _settings(service, flavour)
        parts = [encode_key(service.key)[4:], settings, _name(SVC_SCHEDULER, service.scheduler)]
    except (struct.error, OverflowError) as error:
        raise OutOfRange(f"{service.key}: {error}") from None
    if service.persistence_engine:
        if flavour.persistence_engine is None:
            raise Inexpressible(f"{flavour.name} kernels have no persistence engines")
        parts.append(_name(flavour.persistence_engine, service.persistence_engine))
    return attribute(SERVICE, b"".join(parts))


def _settings(service: Service, flavour: Flavour) -> bytes:
    mask = service.netmask if service.key.family is Family.INET6 else htonl(service.netmask)
    flags = service.flags | (flavour.syn_proxy if service.options.syn_proxy else 0)
    return _SETTINGS.pack(
        12, SVC_FLAGS, flags, _EVERY_FLAG,
        8, SVC_TIMEOUT, service.persistence_timeout,
        8, SVC_NETMASK, mask,
    )  # fmt: skip


def decode_service(payload: memoryview, flavour: Flavour = MAINLINE) -> Service:
    """The service in a NEW_SERVICE message. Raises WireError, Foreign."""
    found = _nest(payload, SERVICE)
    key = _key(found)
    try:
        bits = number(found[SVC_FLAGS][:4])
        flags = bits & _KNOWN_FLAGS
        netmask = number(found[SVC_NETMASK][:4])
        return Service(
            key=key,
            scheduler=text(found[SVC_SCHEDULER]),
            flags=SchedulerFlag(flags),
            # The kernel keeps the last timeout of a service that is persistent no more.
            persistence_timeout=number(found[SVC_TIMEOUT]) if flags & SchedulerFlag.PERSISTENT else 0,
            netmask=netmask if key.family is Family.INET6 else ntohl(netmask),
            persistence_engine=_engine(found, flavour),
            options=_SYN_PROXY if bits & flavour.syn_proxy else NO_OPTIONS,
        )
    except KeyError as error:
        raise WireError(f"IPVS: service without attribute {error}") from None


def _engine(found: Attributes, flavour: Flavour) -> str | None:
    if flavour.persistence_engine is None or flavour.persistence_engine not in found:
        return None
    return text(found[flavour.persistence_engine])


def decode_key(payload: memoryview) -> ServiceKey:
    """Which service a message is about. Raises WireError, Foreign."""
    return _key(_nest(payload, SERVICE))


def _key(found: Attributes) -> ServiceKey:
    try:
        family = _family(found[SVC_AF])
        if SVC_FWMARK in found:
            return ServiceKey(family, fwmark=number(found[SVC_FWMARK]))
        endpoint = Endpoint(_address(found[SVC_ADDR], family), _port(found[SVC_PORT]))
        return ServiceKey(family, _protocol(found[SVC_PROTOCOL]), endpoint)
    except KeyError as error:
        raise WireError(f"IPVS: service without attribute {error}") from None


# ---------------------------------------------------------------- destination

_DESTINATION = struct.Struct("=HH HH16s HHHxx HHHxx HHI HHi HHI HHI")
_TUNNEL = struct.Struct("=HHBxxx HHHxx HHHxx")
_ENDPOINT = struct.Struct("=HH HH16s HHHxx HHHxx")
_PLAIN = Tunnel()


def encode_destination(destination: Destination, flavour: Flavour = MAINLINE) -> bytes:
    """A whole destination, to follow its service's key: for NEW_DEST and SET_DEST.
    Raises Inexpressible."""
    address = destination.endpoint.address
    try:
        port = htons(destination.endpoint.port)
        tunnel = b"" if destination.tunnel == _PLAIN else _tunnel(destination.tunnel, flavour)
        method = flavour.forwarding[destination.forwarding]
        fixed = _DESTINATION.pack(
            72 + len(tunnel), DEST, 20, DEST_ADDR, address.packed, 6, DEST_PORT, port,
            6, DEST_FAMILY, _FAMILIES[address.version],
            8, DEST_FORWARDING, method, 8, DEST_WEIGHT, destination.weight,
            8, DEST_UPPER, destination.u_threshold, 8, DEST_LOWER, destination.l_threshold,
        )  # fmt: skip
    except KeyError:
        raise Inexpressible(
            f"{flavour.name} kernels do not forward by {destination.forwarding.value}"
        ) from None
    except (struct.error, OverflowError) as error:
        raise OutOfRange(f"{destination.endpoint}: {error}") from None
    return fixed + tunnel


def _tunnel(tunnel: Tunnel, flavour: Flavour) -> bytes:
    if not flavour.tunnels:
        raise Inexpressible(f"{flavour.name} kernels have no tunnel types")
    return _TUNNEL.pack(
        5, DEST_TUNNEL_TYPE, tunnel.type, 6, DEST_TUNNEL_PORT, htons(tunnel.port),
        6, DEST_TUNNEL_FLAGS, tunnel.checksum,
    )  # fmt: skip


def encode_endpoint(endpoint: Endpoint) -> bytes:
    """A destination's identity, to follow its service's key: for DEL_DEST."""
    address = endpoint.address
    return _ENDPOINT.pack(
        40, DEST, 20, DEST_ADDR, address.packed, 6, DEST_PORT, htons(endpoint.port),
        6, DEST_FAMILY, _FAMILIES[address.version],
    )  # fmt: skip


def decode_destination(payload: memoryview, family: Family, flavour: Flavour = MAINLINE) -> Destination:
    """The destination in a NEW_DEST message; `family` is that of its service, for kernels that
    do not tell the destination's own. Raises WireError, Foreign."""
    found = _nest(payload, DEST)
    try:
        return Destination(
            endpoint=_destination_endpoint(found, family),
            forwarding=_forwarding(found[DEST_FORWARDING], flavour),
            weight=_signed(number(found[DEST_WEIGHT])),
            u_threshold=number(found[DEST_UPPER]),
            l_threshold=number(found[DEST_LOWER]),
            tunnel=_decode_tunnel(found),
        )
    except KeyError as error:
        raise WireError(f"IPVS: destination without attribute {error}") from None


def decode_endpoint(payload: memoryview, family: Family) -> Endpoint:
    """Which destination a message is about."""
    return _destination_endpoint(_nest(payload, DEST), family)


def _destination_endpoint(found: Attributes, family: Family) -> Endpoint:
    try:
        if DEST_FAMILY in found:
            family = _family(found[DEST_FAMILY])
        return Endpoint(_address(found[DEST_ADDR], family), _port(found[DEST_PORT]))
    except KeyError as error:
        raise WireError(f"IPVS: destination without attribute {error}") from None


def _forwarding(value: memoryview, flavour: Flavour) -> Forwarding:
    method = flavour.by_number.get(number(value) & 7)  # IP_VS_CONN_F_FWD_MASK
    if method is None:
        raise Foreign(f"IPVS: forwarding method {number(value)}")
    return method


def _decode_tunnel(found: Attributes) -> Tunnel:
    if DEST_TUNNEL_TYPE not in found:
        return _PLAIN
    kind, checksum = number(found[DEST_TUNNEL_TYPE]), number(found[DEST_TUNNEL_FLAGS])
    port = _port(found[DEST_TUNNEL_PORT])
    if not (kind or port or checksum):
        return _PLAIN
    try:
        return Tunnel(TunnelType(kind), port, TunnelChecksum(checksum))
    except ValueError:
        raise Foreign(f"IPVS: tunnel type {kind}") from None


# ---------------------------------------------------------------- counters


def decode_service_traffic(payload: memoryview) -> Traffic:
    """The counters in a NEW_SERVICE message."""
    return _traffic(_nest(payload, SERVICE), SVC_STATS64, SVC_STATS)


def decode_destination_traffic(payload: memoryview) -> DestinationTraffic:
    """The counters in a NEW_DEST message."""
    found = _nest(payload, DEST)
    try:
        return DestinationTraffic(
            _traffic(found, DEST_STATS64, DEST_STATS),
            number(found[DEST_ACTIVE]),
            number(found[DEST_INACTIVE]),
            number(found[DEST_PERSISTENT]),
        )
    except KeyError as error:
        raise WireError(f"IPVS: destination without attribute {error}") from None


def _traffic(found: Attributes, wide: int, narrow: int) -> Traffic:
    """The 64 bit counters where the kernel has them (4.1 and later): the packets and
    connections of the others wrap at 32 bits."""
    block = found.get(wide) or found.get(narrow)
    if block is None:
        raise WireError("IPVS: no counters")
    counts = attributes(block)
    try:
        return Traffic(*(number(counts[kind]) for kind in range(STATS_CONNECTIONS, STATS_BYTES_OUT + 1)))
    except KeyError as error:
        raise WireError(f"IPVS: counters without attribute {error}") from None


# ---------------------------------------------------------------- local address

LOCAL: Final = 7  # a top-level attribute, beside the service
LOCAL_ADDR, LOCAL_CONFLICTS, LOCAL_CONNECTIONS = 1, 2, 3


class LocalAddress(NamedTuple):
    """`conflicts`: ports that were taken when a connection wanted one; `connections`: now."""

    address: Address
    conflicts: int = 0
    connections: int = 0


def encode_local_address(address: Address) -> bytes:
    """A local address, to follow its service's key: for NEW_LOCAL and DEL_LOCAL."""
    return attribute(LOCAL, attribute(LOCAL_ADDR, address.packed.ljust(16, b"\0")))


def decode_local_address(payload: memoryview, family: Family) -> LocalAddress:
    """One answer to GET_LOCAL; `family` is that of the service. Raises WireError."""
    found = _nest(payload, LOCAL)
    if LOCAL_ADDR not in found:
        raise WireError("IPVS: local address without an address")
    return LocalAddress(
        _address(found[LOCAL_ADDR], family),
        _optional(found, LOCAL_CONFLICTS),
        _optional(found, LOCAL_CONNECTIONS),
    )


# ---------------------------------------------------------------- daemon, timeouts, version


def encode_daemon(daemon: LvsSyncDaemon, *, master: bool) -> bytes:
    """For NEW_DAEMON and DEL_DAEMON. What is 0 or None is left to the kernel."""
    parts = [
        attribute(DAEMON_STATE, _u32(DAEMON_MASTER if master else DAEMON_BACKUP)),
        _name(DAEMON_INTERFACE, daemon.interface),
        attribute(DAEMON_SYNC_ID, _u32(daemon.syncid)),
    ]
    if daemon.maxlen:
        parts.append(attribute(DAEMON_MAXLEN, struct.pack("=H", daemon.maxlen)))
    if daemon.group:
        kind = DAEMON_GROUP if daemon.group.version == 4 else DAEMON_GROUP6
        parts.append(attribute(kind, daemon.group.packed))
    if daemon.port:
        parts.append(attribute(DAEMON_PORT, struct.pack("=H", daemon.port)))
    if daemon.ttl:
        parts.append(attribute(DAEMON_TTL, struct.pack("=B", daemon.ttl)))
    return attribute(DAEMON, b"".join(parts))


def decode_daemon(payload: memoryview) -> tuple[LvsSyncDaemon, bool]:
    """A running daemon and whether it is the master, from a NEW_DAEMON message."""
    found = _nest(payload, DAEMON)
    try:
        daemon = LvsSyncDaemon(
            interface=text(found[DAEMON_INTERFACE]),
            syncid=number(found[DAEMON_SYNC_ID]),
            maxlen=_optional(found, DAEMON_MAXLEN),
            port=_optional(found, DAEMON_PORT),
            ttl=_optional(found, DAEMON_TTL),
            group=_group(found),
        )
        return daemon, number(found[DAEMON_STATE]) == DAEMON_MASTER
    except KeyError as error:
        raise WireError(f"IPVS: daemon without attribute {error}") from None


def _group(found: Attributes) -> Address | None:
    if DAEMON_GROUP in found:
        return _address(found[DAEMON_GROUP], Family.INET)
    if DAEMON_GROUP6 in found:
        return _address(found[DAEMON_GROUP6], Family.INET6)
    return None


def encode_timeouts(timeouts: LvsTimeouts) -> bytes:
    """For SET_CONFIG. The kernel leaves a timeout of 0 as it was."""
    pairs = ((TIMEOUT_TCP, timeouts.tcp), (TIMEOUT_TCP_FIN, timeouts.tcpfin), (TIMEOUT_UDP, timeouts.udp))
    return b"".join(attribute(kind, _u32(seconds)) for kind, seconds in pairs)


def decode_timeouts(payload: memoryview) -> LvsTimeouts:
    """From a SET_CONFIG message. 0: the kernel was built without that protocol."""
    found = generic_attributes(payload)
    return LvsTimeouts(
        _optional(found, TIMEOUT_TCP), _optional(found, TIMEOUT_TCP_FIN), _optional(found, TIMEOUT_UDP)
    )


def decode_version(payload: memoryview) -> Version:
    """From a SET_INFO message."""
    found = generic_attributes(payload)
    code = _optional(found, INFO_VERSION)
    return Version((code >> 16, code >> 8 & 0xFF, code & 0xFF), _optional(found, INFO_TABLE_SIZE))


# ---------------------------------------------------------------- values

_FAMILIES = {4: Family.INET, 6: Family.INET6}
_LENGTHS = {Family.INET: 4, Family.INET6: 16}


def _u32(value: int) -> bytes:
    return struct.pack("=I", value)


def _name(kind: int, name: str) -> bytes:
    return attribute(kind, name.encode() + b"\0")


def _nest(payload: memoryview, kind: int) -> Attributes:
    nest = generic_attributes(payload).get(kind)
    if nest is None:
        raise WireError(f"IPVS: message without attribute {kind}")
    return attributes(nest)


def _optional(found: Attributes, kind: int) -> int:
    return number(found[kind]) if kind in found else 0


def _family(value: memoryview) -> Family:
    try:
        return Family(number(value))
    except ValueError:
        raise Foreign(f"IPVS: address family {number(value)}") from None


def _protocol(value: memoryview) -> Protocol:
    try:
        return Protocol(number(value))
    except ValueError:
        raise Foreign(f"IPVS: protocol {number(value)}") from None


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value


def _port(value: memoryview) -> int:
    if len(value) != 2:
        raise WireError(f"IPVS: a port of {len(value)} bytes")
    return int.from_bytes(value, "big")


def _address(value: memoryview, family: Family) -> Address:
    """IPv4 addresses come in the first four bytes of the room for an IPv6 address."""
    if len(value) not in (16, _LENGTHS[family]):
        raise WireError(f"IPVS: an address of {len(value)} bytes")
    if family is Family.INET:
        return IPv4Address(bytes(value[:4]))
    return IPv6Address(bytes(value))
