"""Reads the kernel's two tables of connections.

A hundred thousand entries take about a second; callers that must not block the event
loop run `read` in a thread.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from keepalive_py.errors import FeatureMissing, KernelRefused
from keepalive_py.net import Family
from keepalive_py.sessions.model import Session
from keepalive_py.sessions.proc import parse
from keepalive_py.wire import conntrack
from keepalive_py.wire.conntrack import Flow

NETLINK_NETFILTER = 12
NLMSG_ERROR, NLMSG_DONE = 2, 3
IP_VS_CONN = Path("/proc/thread-self/net/ip_vs_conn")  # a thread may be in another namespace
CONNTRACK_STATISTICS = Path("/proc/thread-self/net/stat/nf_conntrack")
_HEAD = struct.Struct("=IH")


def read() -> list[Session]:
    """Every session of IPVS, and FULLNAT's with their local address.

    IPVS's own table says which connections are its; conntrack adds the local address where
    source NAT gave one. FeatureMissing when the kernel has no IPVS.
    """
    try:
        with IP_VS_CONN.open() as lines:
            sessions = list(parse(lines))
    except FileNotFoundError:
        raise FeatureMissing("the session table", "a kernel with IPVS (module ip_vs)") from None
    translated = {_key(flow): flow for family in Family for flow in flows(family) if _translated(flow)}
    return [_with_local(one, translated) for one in sessions] if translated else sessions


def conntrack_statistics() -> str:
    """Of this network namespace; "" when the kernel tracks no connections."""
    try:
        return CONNTRACK_STATISTICS.read_text()
    except FileNotFoundError:
        return ""


def _key(flow: Flow) -> tuple[int, bytes, int, bytes, int]:
    return flow.protocol, flow.client, flow.client_port, flow.virtual, flow.virtual_port


def _translated(flow: Flow) -> bool:
    """The real server answers to something else than the client: source NAT was done."""
    return flow.local != flow.client or flow.local_port != flow.client_port


def _with_local(one: Session, translated: dict[tuple[int, bytes, int, bytes, int], Flow]) -> Session:
    flow = translated.get(one[:5])
    return one if flow is None else one._replace(local=flow.local, local_port=flow.local_port)


def flows(family: Family) -> Iterator[Flow]:
    """The conntrack table of one family. Nothing when the kernel tracks no connections."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.bind((0, 0))
        sock.send(conntrack.dump_request(family, 1))
        buffer = bytearray(1 << 18)
        view = memoryview(buffer)
        while True:
            size = sock.recv_into(buffer)
            offset = 0
            while offset < size:
                length, kind = _HEAD.unpack_from(view, offset)
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    _refused(view, offset)
                    return
                flow = conntrack.decode(view, offset + 20, offset + length)
                if flow is not None:
                    yield flow
                offset += (length + 3) & ~3


def _refused(view: memoryview, offset: int) -> None:
    """EINVAL: no ctnetlink in this kernel, so there is no source NAT either."""
    code = -struct.unpack_from("=i", view, offset + 16)[0]
    if code not in (0, errno.EINVAL, errno.EOPNOTSUPP):
        hint = "needs CAP_NET_ADMIN" if code in (errno.EPERM, errno.EACCES) else ""
        raise KernelRefused("reading the conntrack table", code, hint)
