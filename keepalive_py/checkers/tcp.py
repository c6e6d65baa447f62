"""TCP_CHECK: the server is well when it accepts a connection. keepalived.conf(5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from keepalive_py.checkers.wishes import Checker, Connect, Probe, connection
from keepalive_py.config.check import NetworkCheckConfig
from keepalive_py.health.verdict import PASSED


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpCheck(NetworkCheckConfig):
    """No keywords beyond those of every network check."""

    KIND: ClassVar[str] = "TCP_CHECK"


def tcp_check(config: TcpCheck, connect: Connect) -> Probe:
    yield connect
    return PASSED


CHECKER: Final = Checker("TCP_CHECK", TcpCheck, tcp_check, identical=TcpCheck.identity, memory=connection)
