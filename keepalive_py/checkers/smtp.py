"""SMTP_CHECK: greeting, HELO, QUIT, each answered as RFC 5321 wants. keepalived.conf(5).

keepalived reads one line of each answer and so fails a server that greets with several; here
a reply may have any number of lines. `host { }` is its old way to check several addresses: each
such block becomes a check of its own, and the server is well when all of them pass.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from keepalive_py.checkers.wishes import (
    Checker,
    Probe,
    ProbeFailed,
    Receive,
    Send,
    Wish,
    connection,
)
from keepalive_py.config.check import TIMEOUT, CheckConfig, NetworkCheckConfig
from keepalive_py.config.kinds import UINT32, Block, Integer, Interface, IpAddress, Word
from keepalive_py.config.schema import Empty, keyword
from keepalive_py.errors import WireError
from keepalive_py.health.verdict import PASSED, Failed, Reason
from keepalive_py.net import Address, Endpoint
from keepalive_py.wire.smtp import Reply, ReplyReader, command

__all__ = ["CHECKER", "SmtpCheck", "SmtpHost", "smtp_check"]

PIECE: Final = 512
ANY: Final = 0
HOST_FIELDS: Final = ("bindto", "bind_port", "bind_if", "connect_timeout", "fwmark")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpHost:
    """One `host` block. What is None comes from the SMTP_CHECK around it."""

    connect_ip: Address | None = keyword("connect_ip", IpAddress(), default=None, doc="Address to check.")
    connect_port: int | None = keyword("connect_port", Integer(1, 65535), default=None, doc="Port to check.")
    bindto: Address | None = keyword("bindto", IpAddress(), default=None, doc="Source address.")
    bind_port: int | None = keyword("bind_port", Integer(1, 65535), default=None, doc="Source port.")
    bind_if: str | None = keyword("bind_if", Interface(), default=None, doc="Interface to check through.")
    connect_timeout: float | None = keyword(
        "connect_timeout", TIMEOUT, default=None, unit="s", doc="Time for connecting and each answer."
    )
    fwmark: int | None = keyword("fwmark", Integer(0, UINT32), default=None, doc="Firewall mark.")

    def applied_to(self, check: SmtpCheck) -> SmtpCheck:
        written = {name: getattr(self, name) for name in HOST_FIELDS if getattr(self, name) is not None}
        address, port = check.target.address, check.target.port
        target = Endpoint(self.connect_ip or address, self.connect_port or port)
        return dataclasses.replace(check, hosts=(), target=target, **written)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpCheck(NetworkCheckConfig):
    KIND: ClassVar[str] = "SMTP_CHECK"

    helo_name: str = keyword(
        "helo_name",
        Word(),
        default="smtpchecker.keepalived.org",
        empty=Empty.ERROR,
        doc="Name given with HELO.",
    )
    hosts: tuple[SmtpHost, ...] = keyword(
        "host",
        Block(SmtpHost),
        repeated=True,
        default=(),
        deprecated="one SMTP_CHECK for each host",
        quietly=True,
        doc="Another address to check; all of them must pass.",
    )

    def identity(self) -> tuple[object, ...]:
        return (*NetworkCheckConfig.identity(self), self.helo_name)

    def spread(self) -> tuple[CheckConfig, ...]:
        """One check for each `host`; this one when there is none."""
        return tuple(host.applied_to(self) for host in self.hosts) or (self,)


def smtp_check(config: SmtpCheck) -> Probe:
    server, reader = f"[{config.target.address}]:{config.target.port}", ReplyReader()
    try:
        yield connection(config)
    except ProbeFailed as failed:
        return Failed(failed.reason, _not_connected(failed.reason, config.target))
    for said, wanted, complaint in _dialogue(config.helo_name):
        try:
            if said:
                yield Send(said, config.connect_timeout)
        except ProbeFailed as failed:
            return _trouble("Write", "to", server, failed.reason)
        try:
            reply = yield from _reply(reader, config.connect_timeout)
        except ProbeFailed as failed:
            return _trouble("Read", "from", server, failed.reason)
        if wanted != ANY and (reply is None or reply.code != wanted):
            return Failed(Reason.BAD_ANSWER, f"{complaint} from server {server}")
    return PASSED


def _dialogue(helo_name: str) -> tuple[tuple[bytes, int, str], ...]:
    """What we say, the code that must answer it, and the complaint if another does."""
    return (
        (b"", 220, "Bad greeting banner"),
        (command("HELO", helo_name), 250, "Bad HELO response"),
        (command("QUIT"), ANY, ""),
    )


def _reply(reader: ReplyReader, timeout: float) -> Generator[Wish, Any, Reply | None]:
    """The next reply; None for lines that are none. Each piece may take `timeout` seconds."""
    try:
        while (reply := reader.reply()) is None:
            piece = yield Receive(PIECE, timeout)
            if not piece:
                raise ProbeFailed(Reason.CLOSED, "the server closed the connection")
            reader.feed(piece)
    except WireError:
        return None
    return reply


def _trouble(doing: str, direction: str, server: str, reason: Reason) -> Failed:
    what = "timeout" if reason is Reason.TIMEOUT else "failure"
    return Failed(reason, f"{doing} {what} {direction} server {server}")


def _not_connected(reason: Reason, target: Endpoint) -> str:
    """The words of keepalived, as observed."""
    if reason is Reason.UNREACHABLE:
        return f"Network unreachable for server {target.address}"
    what = "Connection timeout" if reason is Reason.TIMEOUT else "Could not connect"
    return f"{what} to server [{target.address}]:{target.port}"


CHECKER: Final = Checker("SMTP_CHECK", SmtpCheck, smtp_check, identical=SmtpCheck.identity)
