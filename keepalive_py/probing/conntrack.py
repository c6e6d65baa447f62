"""Whether this host tracks as many connections as it may.

Then our own kernel drops the first packet of any other one. It says so of a datagram (EPERM), and not
of TCP, where a dropped SYN looks like a server that is silent. nf_conntrack-sysctl of the kernel's
documentation; __nf_conntrack_alloc in net/netfilter/nf_conntrack_core.c.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

DIRECTORY: Final = Path("/proc/sys/net/netfilter")
FULL: Final = "no connection in time, and conntrack is full: raise net.netfilter.nf_conntrack_max"


def is_full(directory: Path = DIRECTORY) -> bool:
    """False also where no connections are tracked, or nobody knows."""
    try:
        entries, most = (int((directory / f"nf_conntrack_{name}").read_text()) for name in ("count", "max"))
    except (OSError, ValueError):
        return False
    return 0 < most <= entries
