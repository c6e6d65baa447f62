"""What happened, in words that a test can ask for and a failure can show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from keepalive_py.health import wording
from keepalive_py.health.events import CheckEvent, Event, ServerEvent
from keepalive_py.health.facts import kind
from keepalive_py.health.names import vs_name

SHOWN = 12  # events that a failure shows


@dataclass(frozen=True, slots=True)
class Happening:
    """One event. `at` counts seconds from the daemon's start; `kind` is as in the JSON log
    (server_down, quorum_lost, …), `reason` the word of a Reason. `service` and `server` are
    ADDRESS:PORT, or what else names them (FWM 7, [group]:0); `text` is the line of the log, which
    not every event has."""

    at: float
    kind: str
    reason: str
    service: str
    server: str = ""
    check: str = ""
    text: str = ""

    def __str__(self) -> str:
        whom = f"{self.server} of {self.service}" if self.server else self.service
        return f"{self.at:9.3f} s  {self.kind:16} {self.reason:12} {whom}" + (
            f"  {self.check}" if self.check else ""
        )


def happening(event: Event, began: float) -> Happening:
    vs = event.vs
    return Happening(
        round(event.at - began, 6),
        kind(type(event).__name__),
        event.reason.value,
        str(vs.endpoint) if vs.endpoint is not None and vs.group is None else vs_name(vs),
        str(event.rs.endpoint) if isinstance(event, ServerEvent) else "",
        event.check.KIND if isinstance(event, CheckEvent) else "",
        wording.log_line(event) or "",
    )


def asked_for(wanted: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {value}" for name, value in wanted.items() if value is not None)


def matches(one: Happening, wanted: Mapping[str, str | None]) -> bool:
    return all(value is None or getattr(one, name) == value for name, value in wanted.items())


def recent(happenings: Iterable[Happening]) -> str:
    """The end of the story, for a failure."""
    lines = [f"  {each}" for each in happenings]
    if not lines:
        return "events: none"
    left_out = len(lines) - SHOWN
    head = f"events (the last {SHOWN} of {len(lines)}):" if left_out > 0 else "events:"
    return "\n".join([head, *lines[-SHOWN:]])


Weights = Mapping[str, Mapping[str, int]]


def differences(wanted: Weights, have: Weights) -> str:
    """Both tables in one, as a patch: `-` is wanted and not there, `+` is there and not wanted."""
    lines: list[str] = []
    for service in sorted({*wanted, *have}):
        lines.append(f"{_sign(service, wanted, have)} {service}")
        mine, theirs = wanted.get(service, {}), have.get(service, {})
        for server in sorted({*mine, *theirs}):
            if mine.get(server) == theirs.get(server):
                lines.append(f"      {server}  weight {mine[server]}")
                continue
            lines += [f"-     {server}  weight {mine[server]}"] if server in mine else []
            lines += [f"+     {server}  weight {theirs[server]}"] if server in theirs else []
    return "\n".join(lines) or "  (both are empty)"


def _sign(name: str, wanted: Mapping[str, object], have: Mapping[str, object]) -> str:
    if name in wanted and name in have:
        return " "
    return "-" if name in wanted else "+"
