"""Events in keepalived's words: log lines, FIFO lines, scripts to run, mails. Pure.

Log parsers, FIFO readers and mail filters rely on these texts, so they are exact, and those of
keepalived 2.4.3. It differs from 2.2.7 in two of them: a failed SSL_GET is an `SSL_CHECK` (was
`HTTP_CHECK`), and the mail about it says `HTTP/SSL request failed` (was `HTTP request failed`).

Each table maps a type of event to the function that words it; an event without a row is silent
there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from keepalive_py.config.model import GlobalDefs, Script
from keepalive_py.health.check_wording import (
    Line,
    attempt_line,
    failed_line,
    mail_body,
    part_line,
    passed_line,
)
from keepalive_py.health.events import (
    AttemptFailed,
    CheckArmed,
    CheckFailed,
    CheckPassed,
    CheckReported,
    Event,
    GroupMemberAdded,
    GroupMemberGone,
    PartPassed,
    PoolEmptied,
    PoolRestored,
    QuorumGained,
    QuorumLost,
    ServerDown,
    ServerEvent,
    ServerGone,
    ServerHeld,
    ServerReleased,
    ServerSuppressed,
    ServerUp,
    ServerWithdrawn,
    ServiceGone,
    ServiceWithdrawn,
    SlowStart,
    SorryServerIn,
    SorryServerOut,
    WeightChanged,
)
from keepalive_py.health.names import rs_name, vs_name
from keepalive_py.health.verdict import Reason
from keepalive_py.net import Address, Endpoint


@dataclass(frozen=True, slots=True)
class MailText:
    subject: str
    body: str


def log_line(event: Event) -> str | None:
    """The line for the log, at level INFO; None: nothing is logged."""
    word = LOG.get(type(event))
    return word(event) if word is not None else None


def fifo_line(event: Event) -> str | None:
    """The line for lvs_notify_fifo and notify_fifo, without its line end."""
    state = STATES.get(type(event))
    if state is None or not _notifies(event):
        return None
    if isinstance(event, ServerEvent):
        return f"RS {_rs(event)} {vs_name(event.vs)} {state}"
    return f"VS {vs_name(event.vs)} {state}"


def script(event: Event) -> Script | None:
    """The script of the operator's to run."""
    choose = SCRIPTS.get(type(event))
    return choose(event) if choose is not None and _notifies(event) else None


def mail(event: Event, defs: GlobalDefs, router_id: str) -> MailText | None:
    """The mail to send, if the server wants mails (`smtp_alert`)."""
    if isinstance(event, CheckReported):
        if defs.no_checker_emails and not event.server_changed:
            return None
        return _server_mail(event, "UP" if event.server_up else "DOWN", mail_body(event), router_id)
    if isinstance(event, ServerWithdrawn) and event.notify:
        return _server_mail(event, "DOWN", f"=> {_leaving(event)} <=", router_id)
    body = QUORUM_MAILS.get(type(event))
    if body is None or not event.vs.smtp_alert:
        return None
    subject = f"[{router_id}] Virtualserver {vs_name(event.vs)} - {STATES[type(event)]}"
    return MailText(subject, f"=> {body(event)} <=")


def address_line(address: Address, *, added: bool) -> str:
    """The line for an address of this host that ha_suspend waits for."""
    return f"Netlink reflector reports IP {address} {'added' if added else 'removed'}"


def _notifies(event: Event) -> bool:
    return event.notify if isinstance(event, ServerWithdrawn) else True


def _server_mail(event: ServerEvent, state: str, body: Line, router_id: str) -> MailText | None:
    if body is None or not event.rs.smtp_alert:
        return None
    subject = f"[{router_id}] Realserver {_rs(event)} of virtual server {vs_name(event.vs)} - {state}"
    return MailText(subject, body)


def _rs(event: ServerEvent) -> str:
    return rs_name(event.vs, event.rs.endpoint)


def _server_up(event: ServerUp) -> Line:
    if event.quiet:
        return None
    if event.rs.inhibit_on_failure:
        return f"Enabling service {_rs(event)} of VS {vs_name(event.vs)}"
    return f"Adding service {_rs(event)} to VS {vs_name(event.vs)}"


def _server_down(event: ServerDown) -> Line:
    if event.quiet:
        return None
    if event.rs.inhibit_on_failure:
        return f"Disabling service {_rs(event)} of VS {vs_name(event.vs)}"
    return f"Removing service {_rs(event)} from VS {vs_name(event.vs)}"


def _leaving(event: Event) -> str:
    return "Shutting down" if event.reason is Reason.STOP else "Removing"


def _server_withdrawn(event: ServerWithdrawn) -> Line:
    inhibited = "(inhibited) " if event.inhibited else ""
    return f"{_leaving(event)} {inhibited}service {_rs(event)} from VS {vs_name(event.vs)}"


def _weight_changed(event: WeightChanged) -> Line:
    active = "active" if event.active else "inactive"
    return (
        f"Changing weight from {event.before} to {event.after} for {active} service {_rs(event)}"
        f" of VS {vs_name(event.vs)}"
    )


def _server_held(event: ServerHeld) -> Line:
    return (
        f"Holding service {_rs(event)} in VS {vs_name(event.vs)} although it is down:"
        f" depool_threshold {event.vs.depool_threshold}%, {event.serving} of {event.needed} needed serve"
    )


def _server_suppressed(event: ServerSuppressed) -> Line:
    return (
        f"Not adding service {_rs(event)} to VS {vs_name(event.vs)} although it is up:"
        f" it changed too often (penalty {event.penalty:g})"
    )


def _slow_start(event: SlowStart) -> Line:
    if event.over:
        return f"Slow start of service {_rs(event)} of VS {vs_name(event.vs)} is over: weight {event.weight}"
    begins = f"weight {event.weight}, {event.vs.slow_start:g} s"
    return f"Slow start of service {_rs(event)} of VS {vs_name(event.vs)}: {begins}"


def _quorum_gained(event: QuorumGained) -> Line:
    return f"Gained quorum {_reached(event)} for VS {vs_name(event.vs)}"


def _quorum_lost(event: QuorumLost) -> Line:
    quorum, hysteresis = event.vs.quorum, event.vs.hysteresis
    # At a start keepalived prints a minus and the sum.
    words, total = (
        ("Starting with quorum down", quorum + hysteresis)
        if event.initial
        else ("Lost quorum", quorum - hysteresis)
    )
    return f"{words} {quorum}-{hysteresis}={total} > {event.weight} for VS {vs_name(event.vs)}"


def _reached(event: QuorumGained | QuorumLost) -> str:
    quorum, hysteresis = event.vs.quorum, event.vs.hysteresis
    return f"{quorum}+{hysteresis}={quorum + hysteresis} <= {event.weight}"


def _gained_mail(event: QuorumGained) -> str:
    return f"{'Starting with quorum up' if event.initial else 'Gained quorum'} {_reached(event)}"


def _lost_mail(event: QuorumLost) -> str:
    return f"{'Starting with quorum down' if event.initial else 'Lost quorum'} {_reached(event)}"


def _withdrawn_mail(event: ServiceWithdrawn) -> str:
    if event.reason is Reason.STOP:
        return "Shutting down"
    quorum, hysteresis = event.vs.quorum, event.vs.hysteresis
    return f"Lost quorum {quorum}+{hysteresis}={quorum + hysteresis} <= 0"


def _sorry_in(event: SorryServerIn) -> Line:
    verb = "Enabling" if event.sorry.inhibit else "Adding"
    return f"{verb} sorry server {rs_name(event.vs, event.sorry.endpoint)} to VS {vs_name(event.vs)}"


def _sorry_out(event: SorryServerOut) -> Line:
    verb = "Disabling" if event.sorry.inhibit else "Removing"
    return f"{verb} sorry server {rs_name(event.vs, event.sorry.endpoint)} from VS {vs_name(event.vs)}"


def _check_armed(event: CheckArmed) -> Line:
    verb = "Activating"
    if not event.active:
        verb = "Suspending" if event.reason is Reason.SUSPENDED else "Deactivating"
    return f"{verb} healthchecker for service {_rs(event)} for VS {vs_name(event.vs)}"


def _service_gone(event: ServiceGone) -> Line:
    if event.vs.group is not None:
        return f"Removing Virtual Server Group [{event.vs.group}]"
    return f"Removing Virtual Server {vs_name(event.vs)}"


def _member_added(event: GroupMemberAdded) -> Line:
    mark = f"FWM {event.member.fwmark}"
    return f"VS [{_member(event) or mark}] added into group {event.vs.group}"


def _member_gone(event: GroupMemberGone) -> Line:
    return f"VS [{_member(event) or event.member.fwmark}] in group {event.vs.group} no longer exists"


def _member(event: GroupMemberAdded | GroupMemberGone) -> str:
    """`[FIRST]:tcp:PORT`, with `-LAST` for a range; empty for a mark."""
    span = event.member.addresses
    if span is None:
        return ""
    first = rs_name(event.vs, Endpoint(span.first, event.member.port))
    return first if span.first == span.last else f"{first}-{span.last}"


LOG: Final[Mapping[type[Event], Callable[[Any], Line]]] = {
    CheckPassed: passed_line,
    PartPassed: part_line,
    AttemptFailed: attempt_line,
    CheckFailed: failed_line,
    CheckArmed: _check_armed,
    ServerUp: _server_up,
    ServerDown: _server_down,
    WeightChanged: _weight_changed,
    ServerHeld: _server_held,
    ServerReleased: lambda event: f"Service {_rs(event)} of VS {vs_name(event.vs)} is up again: held no more",
    ServerSuppressed: _server_suppressed,
    SlowStart: _slow_start,
    ServerGone: lambda event: f"service {_rs(event)} no longer exist",
    ServerWithdrawn: _server_withdrawn,
    QuorumGained: _quorum_gained,
    QuorumLost: _quorum_lost,
    SorryServerIn: _sorry_in,
    SorryServerOut: _sorry_out,
    PoolRestored: lambda event: f"Adding alive servers to the pool for VS {vs_name(event.vs)}",
    PoolEmptied: lambda event: f"Removing alive servers from the pool for VS {vs_name(event.vs)}",
    GroupMemberAdded: _member_added,
    GroupMemberGone: _member_gone,
    ServiceGone: _service_gone,
}

# The state that an event announces; those without one tell neither FIFO nor script.
STATES: Final[Mapping[type[Event], str]] = {
    ServerUp: "UP",
    ServerDown: "DOWN",
    ServerWithdrawn: "DOWN",
    QuorumGained: "UP",
    QuorumLost: "DOWN",
    ServiceWithdrawn: "DOWN",
}

SCRIPTS: Final[Mapping[type[Event], Callable[[Any], Script | None]]] = {
    ServerUp: lambda event: event.rs.notify_up,
    ServerDown: lambda event: event.rs.notify_down,
    ServerWithdrawn: lambda event: event.rs.notify_down,
    QuorumGained: lambda event: event.vs.quorum_up,
    QuorumLost: lambda event: event.vs.quorum_down,
    ServiceWithdrawn: lambda event: event.vs.quorum_down,
}

QUORUM_MAILS: Final[Mapping[type[Event], Callable[[Any], str]]] = {
    QuorumGained: _gained_mail,
    QuorumLost: _lost_mail,
    ServiceWithdrawn: _withdrawn_mail,
}
