"""DNS_CHECK: one question over UDP, answered without an error code. keepalived.conf(5).

As in keepalived the answer section is not looked at, so NOERROR without data is well, and a
truncated answer too: there is no second try over TCP. Packets that do not answer our question
(too short, another identifier, a query) are passed over until the time is up.
"""

from __future__ import annotations

import errno
import os
import secrets
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
from keepalive_py.config.kinds import Choice, Word
from keepalive_py.config.schema import Again, BadValue, Draft, SameAs, keyword
from keepalive_py.errors import WireError
from keepalive_py.health.verdict import PASSED, Failed, Reason
from keepalive_py.wire.dns import Header, Query, RecordType, encode_query, parse_header

__all__ = ["CHECKER", "DnsCheck", "dns_check"]

LARGEST: Final = 4096
TYPES: Final = {kind.name: kind for kind in RecordType}
# ProbeFailed has the words of the errno; keepalived's line has its number as well.
NUMBERS: Final = {os.strerror(number): number for number in errno.errorcode}


def askable(name: str, _draft: Draft) -> str:
    try:
        encode_query(Query(0, name, RecordType.A))
    except WireError as error:
        raise BadValue(f"`{name}` is not a domain name: {error}", code="bad-domain-name") from None
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsCheck(NetworkCheckConfig):
    KIND: ClassVar[str] = "DNS_CHECK"
    DEFAULTS: ClassVar = {"retry": 3, "delay_before_retry": SameAs("delay_loop")}

    type: RecordType = keyword(
        "type", Choice(TYPES, fold=True), default=RecordType.SOA, doc="Type of the record to ask for."
    )
    name: str = keyword(
        "name",
        Word(),
        default=".",
        again=Again.REFUSED,
        check=askable,
        doc="Domain name to ask for; `.` is the root.",
    )

    def identity(self) -> tuple[object, ...]:
        return (*NetworkCheckConfig.identity(self), self.type, self.name)


def dns_check(config: DnsCheck) -> Probe:
    query = Query(secrets.randbits(16), config.name, config.type)
    try:
        yield OpenDatagram(config.target, source_of(config))
    except ProbeFailed as failed:
        server = f"[{config.target.address}]:{config.target.port}"
        return Failed(failed.reason, f"network unreachable for {server}")
    try:
        yield Send(encode_query(query), config.connect_timeout)
        header = parse_header((yield Receive(LARGEST, config.connect_timeout)))
        while not _answers(header, query):
            header = parse_header((yield Receive(LARGEST)))
    except ProbeFailed as failed:
        return Failed(failed.reason, _no_answer(failed))
    assert header is not None
    if header.rcode:
        return Failed(Reason.BAD_ANSWER, f"read error occurred. (rcode = {header.rcode})")
    return PASSED


def _answers(header: Header | None, query: Query) -> bool:
    return header is not None and header.is_response and header.identifier == query.identifier


def _no_answer(failed: ProbeFailed) -> str:
    """The words of keepalived, as observed."""
    if failed.reason is Reason.TIMEOUT:
        return "read timeout from socket"
    return f"failed to read socket; errno {NUMBERS.get(failed.detail, 0)} ({failed.detail})"


CHECKER: Final = Checker("DNS_CHECK", DnsCheck, dns_check, identical=DnsCheck.identity)
