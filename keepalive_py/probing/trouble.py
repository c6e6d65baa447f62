"""Whose fault an errno is: the other side's (the probe failed) or ours (nothing is known).

connect(2), socket(7), ip(7), tcp(7) and ipv6(7) say which call gives which number.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from keepalive_py.checkers.wishes import ProbeFailed
from keepalive_py.health.verdict import Reason

PEER: Final = {
    errno.ECONNREFUSED: Reason.REFUSED,
    errno.ETIMEDOUT: Reason.TIMEOUT,
    errno.ECONNRESET: Reason.RESET,
    errno.ECONNABORTED: Reason.RESET,
    errno.EPIPE: Reason.CLOSED,
    errno.ENOTCONN: Reason.CLOSED,
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.EHOSTDOWN: Reason.UNREACHABLE,
    errno.ENETDOWN: Reason.UNREACHABLE,
    errno.ENETRESET: Reason.UNREACHABLE,
    errno.ENONET: Reason.UNREACHABLE,
    errno.ENOPROTOOPT: Reason.UNREACHABLE,
    errno.EPROTO: Reason.UNREACHABLE,
    # What connect() says of a `prohibit` and of a `blackhole` route (ip-route(8)).
    errno.EACCES: Reason.UNREACHABLE,
    errno.EINVAL: Reason.UNREACHABLE,
}
OWN: Final = {
    errno.EMFILE: Reason.NO_DESCRIPTORS,
    errno.ENFILE: Reason.NO_DESCRIPTORS,
    errno.EADDRNOTAVAIL: Reason.LOCAL_ADDRESS,
    errno.EADDRINUSE: Reason.LOCAL_ADDRESS,
    errno.ENODEV: Reason.LOCAL_ADDRESS,
}


class ProbeUnknown(Exception):
    """Our own trouble: the probe ends with an `Unknown` verdict."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def own(number: int, doing: str) -> ProbeUnknown:
    """Trouble before anything could reach the other side."""
    return ProbeUnknown(OWN.get(number, Reason.LOCAL_ERROR), f"{doing}: {os.strerror(number)}")


def peer_or_own(number: int, doing: str) -> ProbeFailed | ProbeUnknown:
    """What errno `number` of connect, send or receive says, as the exception to raise."""
    reason = PEER.get(number)
    if reason is None:
        return own(number, doing)
    return ProbeFailed(reason, os.strerror(number))
