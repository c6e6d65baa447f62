"""`real_server IP [PORT] { }`, inside a virtual_server. Pure.

What it does not say it takes from its virtual server, whose lines may still follow; so it is
completed when the whole file is known. One thing is taken when the block opens: the forwarding
method, as it is then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from keepalive_py.config import check, guards
from keepalive_py.config.check import DELAY, INTERVAL, TIMEOUT, CheckConfig, CheckContext
from keepalive_py.config.diagnostics import Span
from keepalive_py.config.forwarding import Forwarding, MethodKind, Tunnel, split_method
from keepalive_py.config.kinds import UINT32, Integer, Script, ScriptLine, Switch, Text, Word, read_address
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import (
    NOTHING,
    Again,
    BadValue,
    Draft,
    Empty,
    Keyword,
    Kind,
    MissingValue,
    constructed,
    keyword,
    loose,
)
from keepalive_py.net import Endpoint

__all__ = ["CHECK_DEFAULTS", "RealServer", "ServerHead"]

MOST_WEIGHT: Final = 2**31 - 1
PORT: Final = Integer(0, 65535)


@dataclass(frozen=True, slots=True)
class ServerHead(Kind):
    """IP [PORT]; port 0 when there is none."""

    name: str = "IP [port]"

    def parse(self, line: LogicalLine) -> Endpoint:
        address, port = line.text(1), line.text(2)
        if address is None:
            raise MissingValue(line.keyword, "an IP address")
        number = 0 if port is None else PORT.read(port, 2)
        try:
            return Endpoint(read_address(address), number)
        except BadValue as bad:
            if bad.used is not NOTHING:
                bad.used = Endpoint(bad.used, number)
            raise

    def write(self, value: Endpoint) -> str:
        return f"{value.address} {value.port}" if value.port else str(value.address)


CHECK_DEFAULTS: Final = (
    loose("retry", Integer(1, UINT32), doc="Default of its checks."),
    *guards.COUNT_DEFAULTS,
    loose("delay_before_retry", DELAY, unit="s", doc="Default of its checks."),
    loose("warmup", DELAY, unit="s", doc="Default of its checks."),
    loose("connect_timeout", TIMEOUT, unit="s", doc="Default of its checks."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealServer:
    """`endpoint` is the destination in the kernel, after keepalived's port repairs."""

    LOOSE: ClassVar[tuple[Keyword, ...]] = (
        loose("delay_loop", INTERVAL, unit="s", doc="Default of its checks."),
        *CHECK_DEFAULTS,
    )

    endpoint: Endpoint
    weight: int = keyword(
        "weight", Integer(0, MOST_WEIGHT, lenient=True), default=1, inherit=True, doc="Share of the traffic."
    )
    forwarding: Forwarding = keyword(
        "lvs_method",
        MethodKind(),
        default=Forwarding.NAT,
        inherit=True,
        check=split_method,
        doc="How packets reach it; not written: the virtual server's, as set above this block.",
    )
    tunnel: Tunnel = Tunnel()
    uthreshold: int = keyword(
        "uthreshold", Integer(0, UINT32), default=0, doc="No new connections above this many; 0: no limit."
    )
    lthreshold: int = keyword(
        "lthreshold", Integer(0, UINT32), default=0, doc="New connections again below this many."
    )
    inhibit_on_failure: bool = keyword(
        "inhibit_on_failure",
        Switch(),
        default=False,
        inherit=True,
        doc="When it fails, weight 0 instead of removal.",
    )
    notify_up: Script | None = keyword(
        "notify_up", ScriptLine(), default=None, again=Again.REFUSED, doc="Run when it becomes alive."
    )
    notify_down: Script | None = keyword(
        "notify_down", ScriptLine(), default=None, again=Again.REFUSED, doc="Run when it fails."
    )
    alpha: bool = keyword("alpha", Switch(), default=False, inherit=True, doc="Its checks start as down.")
    smtp_alert: bool = keyword(
        "smtp_alert", Switch(), default=True, inherit=True, doc="Mail when it becomes alive or fails."
    )
    virtualhost: str | None = keyword(
        "virtualhost",
        Word(),
        default=None,
        again=Again.WARNS,
        empty=Empty.ERROR,
        doc="Host of its HTTP checks.",
    )
    snmp_name: str | None = keyword(
        "snmp_name",
        Text(alone=True),
        default=None,
        empty=Empty.ERROR,
        doc="Its name in SNMP.",
        idle="there is no SNMP agent: docs/migration.md says what replaces it",
    )
    checks: tuple[CheckConfig, ...] = ()
    unproven: bool = False  # a check with alpha cannot run on this host, so it never passes
    where: Span | None = field(default=None, compare=False)

    @classmethod
    def opened(cls, draft: Draft) -> None:
        """Copies the forwarding method as it is now."""
        service = draft.parent
        assert service is not None
        for name in ("forwarding", "tunnel"):
            if name in service.values:
                draft.values[name] = service.values[name]
        endpoint = draft.head
        if endpoint.port == 0 and service.head.endpoint is not None:
            endpoint = Endpoint(endpoint.address, service.head.endpoint.port)
        everything = service.parent.values if service.parent else {}
        draft.context = CheckContext(
            endpoint, everything.get("track_files", {}), everything.get("bfd_instances", {})
        )

    @classmethod
    def closed(cls, draft: Draft) -> None:
        """Its family must be the virtual server's, unless it is reached through a tunnel."""
        service = draft.parent
        assert service is not None
        if draft.values.get("forwarding") is Forwarding.TUN:
            return
        family = service.values.setdefault("family", draft.head.family)
        if family is not draft.head.family:
            draft.refuse(
                "family",
                f"{draft.head.address} is not of the virtual server's family",
                "the server is left out",
            )


def complete(draft: Draft, service: Mapping[str, Any], defaults: Mapping[str, Any]) -> RealServer:
    """The real server. `service` holds the finished values of its virtual server, `defaults` of
    the globals. Ports are still as written."""
    values = draft.values
    for name in ("forwarding", "tunnel", "weight", "alpha", "inhibit_on_failure"):
        if name not in values and name in service:
            values[name] = service[name]
    values.setdefault("smtp_alert", defaults.get("smtp_alert", True))
    values["endpoint"] = draft.head
    draft.context.service_delay_loop = service["delay_loop"]
    outer = (values, service, defaults)
    checks = [check.complete(each, outer) for each in values.pop("checks", ())]
    values["checks"] = tuple(part for each in checks if each is not None for part in each.spread())
    if checks and not values["checks"]:
        draft.warn("no-check-left", f"{draft.title} has no check left: it counts as always up")
    result: RealServer = constructed(draft)
    return result
