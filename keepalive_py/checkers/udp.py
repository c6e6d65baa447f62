"""UDP_CHECK: a datagram that meets no ICMP error, or gets the reply it should. keepalived.conf(5).

Without `require_reply` silence is success, so a good check lasts the whole connect_timeout;
any datagram is success at once. With it there must be a reply, and with bytes behind it the
reply's length and first bytes must fit. An empty datagram fits no bytes (keepalived lets it pass).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from keepalive_py.checkers.wishes import (
    Checker,
    OpenDatagram,
    Probe,
    ProbeFailed,
    Receive,
    Send,
    source_of,
)
from keepalive_py.config.check import NetworkCheckConfig
from keepalive_py.config.kinds import HexBytes, HexPattern, Integer
from keepalive_py.config.schema import Draft, Empty, keyword
from keepalive_py.health.verdict import PASSED, Failed, Reason, Verdict
from keepalive_py.wire.filler import filler

__all__ = ["CHECKER", "UdpCheck", "udp_check"]

Pattern = tuple[bytes, bytes]  # the bytes, and a mask whose clear bits do not matter
LONGEST: Final = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpCheck(NetworkCheckConfig):
    KIND: ClassVar[str] = "UDP_CHECK"

    payload: bytes = keyword(
        "payload", HexBytes(), default=filler(32), empty=Empty.ERROR, doc="Bytes to send, in hex."
    )
    require_reply: Pattern | None = keyword(
        "require_reply",
        HexPattern(),
        default=None,
        doc="There must be a reply, which begins with these bytes; X is any digit.",
    )
    min_reply_length: int = keyword(
        "min_reply_length", Integer(0, LONGEST), default=0, doc="Fewest bytes of a reply."
    )
    max_reply_length: int = keyword(
        "max_reply_length", Integer(0, LONGEST), default=255, doc="Most bytes of a reply."
    )

    @classmethod
    def finish(cls, draft: Draft) -> None:
        least, most = draft.values["min_reply_length"], draft.values["max_reply_length"]
        if least > most:
            summary = f"min_reply_length {least} is above max_reply_length {most}: no reply can fit"
            draft.report("bad-range", summary, field="min_reply_length")

    def same_probe(self) -> tuple[object, ...]:
        """Unlike `identity`, which as in keepalived has no part of what is sent and wanted."""
        wanted = (self.require_reply, self.min_reply_length, self.max_reply_length)
        return (*NetworkCheckConfig.identity(self), self.payload, *wanted)


def udp_check(config: UdpCheck) -> Probe:
    yield OpenDatagram(config.target, source_of(config))
    yield Send(config.payload, config.connect_timeout)
    try:
        reply = yield Receive(config.max_reply_length + 1, config.connect_timeout)
    except ProbeFailed as failed:
        if failed.reason is Reason.TIMEOUT and config.require_reply is None:
            return PASSED
        raise
    return _judged(reply, config)


def _judged(reply: bytes, config: UdpCheck) -> Verdict:
    if not config.require_reply or not config.require_reply[0]:
        return PASSED
    least, most = max(config.min_reply_length, 1), config.max_reply_length
    if not least <= len(reply) <= most:
        return Failed(Reason.BAD_ANSWER, "reply length mismatch")
    return PASSED if _fits(reply, config.require_reply) else Failed(Reason.BAD_ANSWER, "reply data mismatch")


def _fits(reply: bytes, pattern: Pattern) -> bool:
    """Whether all the bytes that `reply` and `pattern` both have agree."""
    return all(got & mask == want for got, want, mask in zip(reply, *pattern, strict=False))


CHECKER: Final = Checker("UDP_CHECK", UdpCheck, udp_check, identical=UdpCheck.same_probe)
