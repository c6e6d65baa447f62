"""The registry of checkers: one file per kind, one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keepalive_py.checkers import agent, bfd, dns, file, http, misc, ping, smtp, ssl, tcp, toa, udp
from keepalive_py.checkers.wishes import Checker

CHECKERS: Final = (
    tcp.CHECKER,
    http.CHECKER,
    ssl.CHECKER,
    misc.CHECKER,
    smtp.CHECKER,
    dns.CHECKER,
    udp.CHECKER,
    ping.CHECKER,
    file.CHECKER,
    bfd.CHECKER,
    toa.CHECKER,
    agent.CHECKER,
)
REGISTRY: Final[Mapping[str, Checker]] = {checker.kind: checker for checker in CHECKERS}
