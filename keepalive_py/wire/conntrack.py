"""ctnetlink: the kernel's connection tracking table, as FULLNAT sessions. Pure.

A FULLNAT connection is one entry whose original tuple is client -> virtual address and
whose reply tuple is real server -> local address; so the four ends of a session are all
in it. The decoder is written for tables of a hundred thousand entries: tuples of TCP, UDP
and SCTP have one fixed layout, known by its length, and are read with one unpack.

Standards: linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from keepalive_py.errors import WireError
from keepalive_py.net import Family, Protocol

SUBSYSTEM = 1  # NFNL_SUBSYS_CTNETLINK
GET = 1  # IPCTNL_MSG_CT_GET
REQUEST, DUMP = 0x1, 0x300

# enum tcp_conntrack of linux/netfilter/nf_conntrack_tcp.h
TCP_STATES = (
    "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT",
    "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2",
)  # fmt: skip
SEEN_REPLY, ASSURED = 1 << 1, 1 << 2  # IPS_* of nf_conntrack_common.h

_PROTOCOLS = frozenset(int(protocol) for protocol in Protocol)
_STATUS, _PROTOINFO, _TIMEOUT, _MARK = 3, 4, 7, 8

# A nested tuple: nest, nest of addresses, source, destination, nest of the protocol, its
# number, source port, destination port; twice, original and reply.
_TUPLE4 = "4x4x 4x4s 4x4s 4x 4xB3x 4xH2x 4xH2x"
_TUPLE6 = "4x4x 4x16s 4x16s 4x 4xB3x 4xH2x 4xH2x"
_TUPLES = {
    52: struct.Struct(">" + _TUPLE4 + _TUPLE4),
    76: struct.Struct(">" + _TUPLE6 + _TUPLE6),
}
_HEAD = struct.Struct("=HH")
_WORD = struct.Struct(">I")


class Flow(NamedTuple):
    """One tracked connection. Addresses are packed bytes, so that a large table is cheap:
    `ipaddress.ip_address` makes them readable. `timeout` in seconds, `state` an index of
    TCP_STATES (0 for other protocols)."""

    protocol: int
    client: bytes
    client_port: int
    virtual: bytes
    virtual_port: int
    server: bytes
    server_port: int
    local: bytes
    local_port: int
    status: int
    state: int
    timeout: int
    mark: int


def dump_request(family: Family, sequence: int) -> bytes:
    """Ask for the whole table of one address family."""
    head = struct.pack("=IHHII", 20, SUBSYSTEM << 8 | GET, REQUEST | DUMP, sequence, 0)
    return head + struct.pack(">BBH", family, 0, 0)


def decode(raw: memoryview | bytes, start: int, end: int) -> Flow | None:
    """The entry between `start` (after the nfgenmsg) and `end`; None when it is of another
    protocol than TCP, UDP and SCTP. WireError when it is cut short."""
    try:
        length = _HEAD.unpack_from(raw, start)[0]
        layout = _TUPLES.get(length)
        if layout is None or _HEAD.unpack_from(raw, start + length)[0] != length:
            return None
        ends = layout.unpack_from(raw, start)
    except struct.error as error:
        raise WireError("a conntrack entry is cut short") from error
    client, virtual, protocol, client_port, virtual_port, server, local, _, server_port, local_port = ends
    if protocol not in _PROTOCOLS:
        return None
    status, state, timeout, mark = _rest(raw, start + 2 * length, end)
    return Flow(
        protocol, client, client_port, virtual, virtual_port,
        server, server_port, local, local_port, status, state, timeout, mark,
    )  # fmt: skip


def _rest(raw: memoryview | bytes, offset: int, end: int) -> tuple[int, int, int, int]:
    """Status, TCP state, timeout and mark, from the attributes after the tuples."""
    status = state = timeout = mark = 0
    while offset + 8 <= end:
        length, kind = _HEAD.unpack_from(raw, offset)
        if length < 4 or offset + length > end:
            raise WireError("a conntrack attribute is cut short")
        kind &= 0x3FFF
        if kind == _STATUS:
            status = _WORD.unpack_from(raw, offset + 4)[0]
        elif kind == _TIMEOUT:
            timeout = _WORD.unpack_from(raw, offset + 4)[0]
        elif kind == _MARK:
            mark = _WORD.unpack_from(raw, offset + 4)[0]
        elif kind == _PROTOINFO and length >= 13:
            # nest of TCP, then its state, the first attribute, one byte
            state = raw[offset + 12]
        offset += (length + 3) & ~3
    return status, state, timeout, mark
