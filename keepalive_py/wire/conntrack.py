"""ctnetlink: the kernel's connection tracking table. Pure.

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
# enum sctp_conntrack of linux/netfilter/nf_conntrack_sctp.h
SCTP_STATES = (
    "NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT",
    "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT", "HEARTBEAT_ACKED",
)  # fmt: skip
STATES = {int(Protocol.TCP): TCP_STATES, int(Protocol.SCTP): SCTP_STATES}
SEEN_REPLY = 1 << 1  # IPS_SEEN_REPLY of nf_conntrack_common.h

_PROTOCOLS = frozenset(int(protocol) for protocol in Protocol)
_STATUS, _PROTOINFO, _TIMEOUT = 3, 4, 7

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
    """One tracked connection. Addresses are packed bytes, so that a large table is cheap."""

    protocol: int
    client: bytes
    client_port: int
    virtual: bytes
    virtual_port: int
    local: bytes
    local_port: int
    server: bytes
    server_port: int


def dump_request(family: Family, sequence: int) -> bytes:
    """Ask for the whole table of one address family."""
    head = struct.pack("=IHHII", 20, SUBSYSTEM << 8 | GET, REQUEST | DUMP, sequence, 0)
    return head + struct.pack(">BBH", family, 0, 0)


def decode(raw: memoryview | bytes, start: int) -> Flow | None:
    """The entry at `start` (after the nfgenmsg); None when its destination was not translated, or
    it is of another protocol than TCP, UDP and SCTP. WireError when it is cut short."""
    try:
        length = _HEAD.unpack_from(raw, start)[0]
        layout = _TUPLES.get(length)
        if layout is None or _HEAD.unpack_from(raw, start + length)[0] != length:
            return None
        ends = layout.unpack_from(raw, start)
    except struct.error as error:
        raise WireError("a conntrack entry is cut short") from error
    client, virtual, protocol, client_port, virtual_port, server, local, _, server_port, local_port = ends
    if (server == virtual and server_port == virtual_port) or protocol not in _PROTOCOLS:
        return None
    return Flow(
        protocol, client, client_port, virtual, virtual_port, local, local_port, server, server_port
    )  # fmt: skip


def decode_state(raw: memoryview | bytes, start: int, end: int, protocol: int) -> tuple[str, int]:
    """State and timeout (s) of the entry between `start` and `end`. UDP has no state of its own:
    it was answered, or not. WireError when it is cut short."""
    status, timeout, state = _quickly(raw, start, end - start) or _in_order(raw, start, end)
    names = STATES.get(protocol)
    if names is None:
        return "ANSWERED" if status & SEEN_REPLY else "UNANSWERED", timeout
    return names[state] if state < len(names) else "NONE", timeout


def _in_order(raw: memoryview | bytes, start: int, end: int) -> tuple[int, int, int]:
    """Status, timeout and state, looking at every attribute; where they are is remembered."""
    status = timeout = state = 0
    places: dict[int, int] = {}
    offset = start
    while offset + 8 <= end:
        length, kind = _HEAD.unpack_from(raw, offset)
        if length < 4 or offset + length > end:
            raise WireError("a conntrack attribute is cut short")
        kind &= 0x3FFF
        places[kind] = offset - start
        if kind == _STATUS:
            status = _WORD.unpack_from(raw, offset + 4)[0]
        elif kind == _TIMEOUT:
            timeout = _WORD.unpack_from(raw, offset + 4)[0]
        elif kind == _PROTOINFO and length >= 13:
            # nest of the protocol, then its state, the first attribute, one byte
            state = raw[offset + 12]
        offset += (length + 3) & ~3
    _remember(raw, start, end - start, places)
    return status, timeout, state


# The kernel writes entries of one kind alike. For each length of an entry: one unpack of status,
# timeout and what precedes them, and what that must be for the places to be right.
_layouts: dict[int, tuple[struct.Struct, bytes, bytes, bytes]] = {}
_NOTHING = b"\0" * 4


def _remember(raw: memoryview | bytes, start: int, size: int, places: dict[int, int]) -> None:
    status, timeout, protocol = (places.get(kind, 0) for kind in (_STATUS, _TIMEOUT, _PROTOINFO))
    if not 0 < status < timeout or (protocol and not timeout < protocol <= size - 13):
        return
    form = f">{status}x4sI{timeout - status - 8}x4sI"
    form += f"{protocol - timeout - 8}x4s8xB" if protocol else ""
    heads = [
        bytes(raw[start + place : start + place + 4]) if place else _NOTHING
        for place in (status, timeout, protocol)
    ]
    if len(_layouts) < 256:
        _layouts[size] = (struct.Struct(form), heads[0], heads[1], heads[2])


def _quickly(raw: memoryview | bytes, start: int, size: int) -> tuple[int, int, int] | None:
    """As _in_order, where an entry of this length was seen before; None when this one differs."""
    layout = _layouts.get(size)
    if layout is None:
        return None
    form, status_head, timeout_head, protocol_head = layout
    try:
        found = form.unpack_from(raw, start)
    except struct.error:
        return None
    if found[0] != status_head or found[2] != timeout_head:
        return None
    if len(found) == 4:
        return found[1], found[3], 0
    return (found[1], found[3], found[5]) if found[4] == protocol_head else None
