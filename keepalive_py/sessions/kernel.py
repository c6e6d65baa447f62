"""Reads the kernel's two tables of connections.

A hundred thousand entries take about a second; callers that must not block the event
loop read in a thread. All of it must run in the network namespace that is meant.
"""

from __future__ import annotations

import errno
import itertools
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from keepalive_py.errors import FeatureMissing, KernelRefused
from keepalive_py.net import Family
from keepalive_py.sessions.model import Session
from keepalive_py.sessions.proc import Services, parse, parse_services
from keepalive_py.wire import conntrack

NETLINK_NETFILTER = 12
NLMSG_ERROR, NLMSG_DONE = 2, 3
NET = Path("/proc/thread-self/net")  # a thread may be in another namespace
CONNECTIONS, SERVICES = NET / "ip_vs_conn", NET / "ip_vs"
CONNTRACK_STATISTICS = NET / "stat/nf_conntrack"
COUNT, LIMIT = (Path("/proc/sys/net/netfilter", name) for name in ("nf_conntrack_count", "nf_conntrack_max"))
TRACKED = Path("/proc/sys/net/ipv4/vs/conntrack")
_HEAD = struct.Struct("=IH")


def services() -> Services:
    """What is balanced, and how many connections each real server has. Raises FeatureMissing."""
    try:
        with SERVICES.open() as listed:
            return parse_services(listed)
    except FileNotFoundError:
        raise FeatureMissing("the session table", "a kernel with IPVS (module ip_vs)") from None


def read() -> Iterator[Session]:
    """Every session of IPVS. FeatureMissing when the kernel has no IPVS.

    NAT and FULLNAT come from conntrack, which knows all four ends and gives a hundred thousand of
    them in half a second. Of IPVS's own table the kernel searches the beginning anew for every
    4 KiB that are read, so it is read only for what conntrack does not know: connections to
    servers of other methods, or all of them where IPVS's are not tracked or local addresses are
    its own. (NAT connections that are older than their being tracked are not seen then.)
    """
    balanced = services()
    with CONNECTIONS.open() as lines:
        heading = next(lines, "")
        if "LocalIP" in heading or not _are_tracked():
            yield from parse(itertools.chain([heading], lines))
        else:
            yield from _tracked(balanced, () if balanced.only_nat else lines)


def _are_tracked() -> bool:
    return TRACKED.exists() and TRACKED.read_text().strip() == "1"


def _tracked(services: Services, others: Iterable[str]) -> Iterator[Session]:
    known: set[tuple[object, ...]] = set()
    for family in Family:
        for one in filter(services.has, tracked(family)):
            if others:
                known.add(one[:5])
            yield one
    for one in parse(others):
        if one[:5] not in known:
            yield one


def conntrack_entries() -> tuple[int, int]:
    """How many there are, of all namespaces' limit; (0, 0) when the kernel tracks no connections."""
    try:
        return int(COUNT.read_text()), int(LIMIT.read_text())
    except FileNotFoundError:
        return 0, 0


def conntrack_statistics() -> str:
    """Of this network namespace; "" when the kernel tracks no connections."""
    try:
        return CONNTRACK_STATISTICS.read_text()
    except FileNotFoundError:
        return ""


def tracked(family: Family) -> Iterator[Session]:
    """The connections of one family whose destination was translated, ours or not. Nothing when
    the kernel tracks no connections."""
    share = {b"": b""}.setdefault  # one object for each address: few are in many sessions
    for view, start, end in _entries(family):
        flow = conntrack.decode(view, start)
        if flow is None:
            continue
        protocol, client, client_port, virtual, virtual_port, local, local_port, server, server_port = flow
        state, timeout = conntrack.decode_state(view, start, end, protocol)
        if local == client and local_port == client_port:
            local, local_port = b"", 0
        yield Session(
            protocol, share(client, client), client_port, share(virtual, virtual), virtual_port,
            share(local, local), local_port, share(server, server), server_port, state, timeout,
        )  # fmt: skip


def _entries(family: Family) -> Iterator[tuple[memoryview, int, int]]:
    """Where the attributes of each entry begin and end. The view is used again for the next."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.bind((0, 0))
        sock.send(conntrack.dump_request(family, 1))
        view = memoryview(bytearray(1 << 18))
        while True:
            size = sock.recv_into(view)
            offset = 0
            while offset < size:
                length, kind = _HEAD.unpack_from(view, offset)
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    _refused(view, offset)
                    return
                yield view, offset + 20, offset + length
                offset += (length + 3) & ~3


def _refused(view: memoryview, offset: int) -> None:
    """EINVAL: no ctnetlink in this kernel, so there is no source NAT either."""
    code = -struct.unpack_from("=i", view, offset + 16)[0]
    if code not in (0, errno.EINVAL, errno.EOPNOTSUPP):
        hint = "needs CAP_NET_ADMIN" if code in (errno.EPERM, errno.EACCES) else ""
        raise KernelRefused("reading the conntrack table", code, hint)
