"""The lines and mails of each kind of check. Pure.

One row of `KINDS` per kind of check. Texts are keepalived's, with the differences its kinds have:
TCP, UDP, PING and DNS leave out the retries when the check never ran before, HTTP and MISC do
not; DNS says nothing of a success; FILE sends no mail; only MISC names the virtual server. What
went wrong is worded by reason for HTTP, and by the check itself (`detail`) for SMTP and DNS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from keepalive_py.health.events import (
    AttemptFailed,
    CheckEvent,
    CheckFailed,
    CheckPassed,
    CheckReported,
    PartPassed,
)
from keepalive_py.health.names import rs_name, vs_name
from keepalive_py.health.verdict import Failed, Passed, Reason

Line = str | None

HTTP_WORDS: Final[Mapping[Reason, str]] = {
    Reason.STATUS: "HTTP status code error to",
    Reason.DIGEST: "MD5 digest error to",
    Reason.REGEX: "Regex match failed",
    Reason.NO_DATA: "Read, no data received from",
    Reason.TIMEOUT: "Timeout HTTP read",
    Reason.TLS: "SSL handshake/communication error connecting to",
}


@dataclass(frozen=True, slots=True)
class CheckWording:
    """`attempt` words one failure under log_all_failures; `mail` the body of a mail."""

    passed: Callable[[CheckPassed], Line]
    failed: Callable[[CheckFailed], Line]
    attempt: Callable[[AttemptFailed], Line]
    mail: Callable[[CheckReported], Line]


def passed_line(event: CheckPassed) -> Line:
    return KINDS.get(event.check.KIND, OTHER).passed(event)


def failed_line(event: CheckFailed) -> Line:
    return KINDS.get(event.check.KIND, OTHER).failed(event)


def attempt_line(event: AttemptFailed) -> Line:
    return KINDS.get(event.check.KIND, OTHER).attempt(event)


def mail_body(event: CheckReported) -> Line:
    return KINDS.get(event.check.KIND, OTHER).mail(event)


def part_line(event: PartPassed) -> Line:
    return f"{event.verdict.detail} success to {_rs(event)} url({event.verdict.part})"


def _connection(transport: str, check: str, mail: str) -> CheckWording:
    """TCP, UDP and PING differ only in their nouns."""
    return CheckWording(
        passed=lambda event: f"{transport} connection to {_rs(event)} success.",
        failed=lambda event: f"{check} on service {_rs(event)} failed{_after(event)}.",
        attempt=lambda event: f"{transport} connection to {_rs(event)} {_how(event.verdict)}.",
        mail=lambda event: f"=> {mail} {_outcome(event, 'succeed')} on service <=",
    )


def _http(check: str) -> CheckWording:
    return CheckWording(
        passed=lambda event: f"Remote Web server {_rs(event)} succeed on service.",
        failed=lambda event: f"{check} on service {_rs(event)} failed{_after_always(event)}.",
        attempt=lambda event: f"{_words(HTTP_WORDS, event.verdict)} server {_rs(event)}.",
        mail=_http_mail,
    )


def _http_mail(event: CheckReported) -> Line:
    if isinstance(event.verdict, Passed):
        return "=> CHECK succeed on service <="
    return "=> CHECK failed on service : HTTP/SSL request failed <="


def _smtp_mail(event: CheckReported) -> Line:
    if isinstance(event.verdict, Passed):
        return "=> CHECK succeed on service <="
    return f"=> CHECK failed on service : {event.verdict.detail} <="


def _dns(event: CheckFailed | AttemptFailed) -> str:
    return f"DNS_CHECK ({_rs(event)}) {event.verdict.detail}"


def _misc(event: CheckEvent, outcome: str) -> str:
    return f"Misc check for [{_rs(event)} VS {vs_name(event.vs)}] by [{event.check.label()}] {outcome}."


def _misc_failed(event: CheckFailed) -> Line:
    retry = event.check.retry
    retries = f" after {retry} {_retries(retry)}" if retry else " with retry disabled"
    return _misc(event, _misc_how(event.verdict) + retries + _exit(event.verdict))


def _misc_attempt(event: AttemptFailed) -> Line:
    if event.last:
        return None
    retry = event.check.retry
    will = f" on retry {event.attempt}/{retry}" if event.attempt else f", will do {retry} {_retries(retry)}"
    return _misc(event, _misc_how(event.verdict) + will + _exit(event.verdict))


def _misc_how(verdict: Failed) -> str:
    return "timed out" if verdict.reason is Reason.TIMEOUT else "failed"


def _misc_mail(event: CheckReported) -> Line:
    outcome = "succeeded" if isinstance(event.verdict, Passed) else _misc_how(event.verdict)
    return f"=> MISC CHECK {outcome} on service <="


def _exit(verdict: Failed) -> str:
    if verdict.reason is Reason.TIMEOUT:
        return ""
    if verdict.signal is not None:
        return f" (due to signal {verdict.signal})"
    return f" (exited with status {verdict.exit_status})" if verdict.exit_status is not None else ""


def _words(table: Mapping[Reason, str], verdict: Failed) -> str:
    return table.get(verdict.reason, "Connection failed")


def _file(event: CheckEvent, verb: str) -> str:
    return f"({_rs(event)}): tracked file {event.check.label()} {verb} FAULT state"


def _outcome(event: CheckReported, success: str) -> str:
    return success if isinstance(event.verdict, Passed) else "failed"


def _detail(verdict: Passed | Failed) -> str:
    return f": {verdict.detail}" if verdict.detail else ""


def _how(verdict: Failed) -> str:
    return "timeout" if verdict.reason is Reason.TIMEOUT else "failed"


def _retries(count: int) -> str:
    return "retry" if count == 1 else "retries"


def _after(event: CheckFailed) -> str:
    return "" if event.first_run else _after_always(event)


def _after_always(event: CheckFailed) -> str:
    return f" after {event.check.retry} retries" if event.check.retry else ""


def _rs(event: CheckEvent) -> str:
    return rs_name(event.vs, event.rs.endpoint)


def _detailed(check: str) -> CheckWording:
    """Of our own kinds, which say what they found."""
    return CheckWording(
        passed=lambda event: f"{check} on service {_rs(event)} success{_detail(event.verdict)}.",
        failed=lambda event: (
            f"{check} on service {_rs(event)} failed{_after(event)}{_detail(event.verdict)}."
        ),
        attempt=lambda event: f"{check} on service {_rs(event)} failed{_detail(event.verdict)}.",
        mail=lambda event: f"=> {check} {_outcome(event, 'succeed')} on service <=",
    )


def _silent(event: CheckEvent) -> Line:
    return None


KINDS: Final[Mapping[str, CheckWording]] = {
    "TCP_CHECK": _connection("TCP", "TCP_CHECK", "TCP CHECK"),
    "UDP_CHECK": _connection("UDP", "UDP_CHECK", "UDP CHECK"),
    "PING_CHECK": _connection("ICMP", "ICMP CHECK", "ICMP CHECK"),
    "HTTP_GET": _http("HTTP_CHECK"),
    "SSL_GET": _http("SSL_CHECK"),
    "SMTP_CHECK": CheckWording(
        passed=lambda event: f"Remote SMTP server {_rs(event)} succeed on service.",
        failed=lambda event: f"SMTP_CHECK {event.verdict.detail}",
        attempt=lambda event: None if event.last else f"SMTP_CHECK {event.verdict.detail}",
        mail=_smtp_mail,
    ),
    "DNS_CHECK": CheckWording(
        passed=_silent,
        failed=lambda event: _dns(event) + _after(event),
        attempt=lambda event: None if event.last else _dns(event),
        mail=lambda event: f"=> DNS_CHECK: {_outcome(event, 'succeed')} on service <=",
    ),
    "MISC_CHECK": CheckWording(
        passed=lambda event: _misc(event, "succeeded"),
        failed=_misc_failed,
        attempt=_misc_attempt,
        mail=_misc_mail,
    ),
    "BFD_CHECK": CheckWording(
        passed=lambda event: f"BFD check of [{event.check.label()}] RS({_rs(event)}) is UP",
        failed=lambda event: f"BFD check of [{event.check.label()}] RS({_rs(event)}) is DOWN",
        attempt=_silent,
        mail=lambda event: f"=> BFD CHECK {event.check.label()} {_outcome(event, 'succeeded')} on service <=",
    ),
    "FILE_CHECK": CheckWording(
        passed=lambda event: _file(event, "leaving") if event.recovered else None,
        failed=lambda event: _file(event, "now"),
        attempt=_silent,
        mail=_silent,
    ),
    "TOA_CHECK": _detailed("TOA_CHECK"),
    "AGENT_CHECK": _detailed("AGENT_CHECK"),
}  # fmt: skip

# Kinds that keepalived does not have.
OTHER: Final = CheckWording(
    passed=lambda event: f"{event.check.KIND} on service {_rs(event)} success.",
    failed=lambda event: f"{event.check.KIND} on service {_rs(event)} failed{_after(event)}.",
    attempt=lambda event: f"{event.check.KIND} on service {_rs(event)} {_how(event.verdict)}.",
    mail=lambda event: f"=> {event.check.KIND} {_outcome(event, 'succeed')} on service <=",
)
