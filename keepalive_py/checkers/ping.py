"""PING_CHECK: one ICMP echo request and its reply. keepalived.conf(5).

The engine sends all of them over one socket for each family and source. That is an
unprivileged ICMP socket where net.ipv4.ping_group_range allows it, else a raw one
(CAP_NET_RAW). keepalived widens that sysctl for itself; we leave the host's settings alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from keepalive_py.checkers.wishes import ANYWHERE, Checker, Ping, Probe, Source
from keepalive_py.config.check import NetworkCheckConfig
from keepalive_py.config.schema import Draft
from keepalive_py.health.verdict import PASSED

__all__ = ["CHECKER", "PingCheck", "ping_check"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PingCheck(NetworkCheckConfig):
    """No keywords beyond those of every network check; ports mean nothing here."""

    KIND: ClassVar[str] = "PING_CHECK"
    PORTLESS: ClassVar[bool] = True

    @classmethod
    def finish(cls, draft: Draft) -> None:
        if "fwmark" in draft.written:
            draft.warn("ignored-keyword", "PING_CHECK does not use fwmark, as in keepalived", field="fwmark")

    def same_probe(self) -> tuple[object, ...]:
        return (self.KIND, self.target.address, self.bindto, self.bind_if, self.connect_timeout)


def ping_check(config: PingCheck) -> Probe:
    yield Ping(config.target.address, config.connect_timeout, source=_source(config))
    return PASSED


def _source(config: PingCheck) -> Source:
    if config.bindto is None and config.bind_if is None:
        return ANYWHERE
    return Source(config.bindto, interface=config.bind_if)


CHECKER: Final = Checker("PING_CHECK", PingCheck, ping_check, identical=PingCheck.same_probe)
