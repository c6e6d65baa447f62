"""The exact texts. Those of 2.4.3 where it differs from 2.2.7 (SSL_GET)."""

from __future__ import annotations

import pytest
from health_scenario import VIP, Check, endpoint, name, notify, rs, vs

from keepalive_py.config.model import GlobalDefs
from keepalive_py.health import events
from keepalive_py.health.check_wording import KINDS
from keepalive_py.health.events import AttemptFailed, CheckFailed, CheckPassed, CheckReported, Event
from keepalive_py.health.names import rs_name, vs_name
from keepalive_py.health.verdict import PASSED, Failed, Passed, Reason
from keepalive_py.health.wording import LOG, STATES, fifo_line, log_line, mail, script
from keepalive_py.net import Endpoint, Family, parse_address

SERVICE, SERVER = vs(rs(1)), rs(1)
REFUSED = Failed(Reason.REFUSED, "Connection refused")
TIMEOUT = Failed(Reason.TIMEOUT, "read timeout from socket")
RS = name(1)


def about(kind: str, retry: int = 2) -> dict:  # type: ignore[type-arg]
    check = Check(kind=kind, name="/bin/probe", retry=retry)
    return {"at": 1.0, "reason": Reason.REFUSED, "vs": SERVICE, "rs": SERVER, "check": check}


def failed(kind: str, verdict: Failed = REFUSED, *, retry: int = 2, first_run: bool = False) -> str | None:
    return log_line(CheckFailed(verdict=verdict, first_run=first_run, **about(kind, retry)))


def attempt(kind: str, verdict: Failed = REFUSED, *, number: int = 0, last: bool = False) -> str | None:
    return log_line(AttemptFailed(verdict=verdict, attempt=number, last=last, **about(kind)))


def passed(kind: str, *, recovered: bool = True) -> str | None:
    return log_line(CheckPassed(verdict=PASSED, recovered=recovered, **about(kind)))


def body(kind: str, verdict: Passed | Failed) -> str | None:
    event = CheckReported(verdict=verdict, server_up=False, server_changed=True, **about(kind))
    text = mail(event, GlobalDefs(), "LAB")
    return text.body if text is not None else None


def test_names() -> None:
    v6 = Endpoint(parse_address("2001:db8::1"), 443)

    assert vs_name(vs(endpoint=v6)) == "[2001:db8::1]:tcp:443"
    assert vs_name(vs(fwmark=7, family=Family.INET6)) == "FWM 7"
    assert vs_name(vs(group="web", group_index=1)) == "[web]:1"
    assert rs_name(vs(fwmark=7), endpoint(1)) == "[10.0.0.1]:none:80"
    assert rs_name(vs(group="web", only_marks=True), endpoint(1)) == "[10.0.0.1]:none:80"
    assert rs_name(vs(group="web"), endpoint(1)) == "[10.0.0.1]:tcp:80"


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("TCP_CHECK", f"TCP connection to {RS} success."),
        ("UDP_CHECK", f"UDP connection to {RS} success."),
        ("PING_CHECK", f"ICMP connection to {RS} success."),
        ("HTTP_GET", f"Remote Web server {RS} succeed on service."),
        ("SSL_GET", f"Remote Web server {RS} succeed on service."),
        ("SMTP_CHECK", f"Remote SMTP server {RS} succeed on service."),
        ("DNS_CHECK", None),
        ("MISC_CHECK", f"Misc check for [{RS} VS {VIP}] by [/bin/probe] succeeded."),
        ("BFD_CHECK", f"BFD check of [/bin/probe] RS({RS}) is UP"),
        ("FILE_CHECK", f"({RS}): tracked file /bin/probe leaving FAULT state"),
        ("NEW_CHECK", f"NEW_CHECK on service {RS} success."),
    ],
)
def test_a_success(kind: str, line: str | None) -> None:
    assert passed(kind) == line


@pytest.mark.parametrize(
    ("kind", "later", "first"),
    [
        (
            "TCP_CHECK",
            f"TCP_CHECK on service {RS} failed after 2 retries.",
            f"TCP_CHECK on service {RS} failed.",
        ),
        (
            "UDP_CHECK",
            f"UDP_CHECK on service {RS} failed after 2 retries.",
            f"UDP_CHECK on service {RS} failed.",
        ),
        (
            "PING_CHECK",
            f"ICMP CHECK on service {RS} failed after 2 retries.",
            f"ICMP CHECK on service {RS} failed.",
        ),
        ("HTTP_GET", *[f"HTTP_CHECK on service {RS} failed after 2 retries."] * 2),
        ("SSL_GET", *[f"SSL_CHECK on service {RS} failed after 2 retries."] * 2),
        ("BFD_CHECK", *[f"BFD check of [/bin/probe] RS({RS}) is DOWN"] * 2),
        ("FILE_CHECK", *[f"({RS}): tracked file /bin/probe now FAULT state"] * 2),
        (
            "NEW_CHECK",
            f"NEW_CHECK on service {RS} failed after 2 retries.",
            f"NEW_CHECK on service {RS} failed.",
        ),
    ],
)
def test_a_failure_later_and_at_the_first_run(kind: str, later: str, first: str) -> None:
    assert failed(kind) == later
    assert failed(kind, first_run=True) == first


def test_a_failure_without_retries_counts_none() -> None:
    assert failed("TCP_CHECK", retry=0) == f"TCP_CHECK on service {RS} failed."
    assert failed("HTTP_GET", retry=0) == f"HTTP_CHECK on service {RS} failed."


def test_dns_and_smtp_say_what_the_check_says() -> None:
    greeting = Failed(Reason.BAD_ANSWER, "Bad greeting banner from server [10.0.0.1]:25")

    assert failed("DNS_CHECK", TIMEOUT) == f"DNS_CHECK ({RS}) read timeout from socket after 2 retries"
    assert failed("DNS_CHECK", TIMEOUT, first_run=True) == f"DNS_CHECK ({RS}) read timeout from socket"
    assert failed("SMTP_CHECK", greeting) == "SMTP_CHECK Bad greeting banner from server [10.0.0.1]:25"
    assert attempt("SMTP_CHECK", greeting) == "SMTP_CHECK Bad greeting banner from server [10.0.0.1]:25"
    assert attempt("SMTP_CHECK", greeting, last=True) is None
    assert attempt("DNS_CHECK", TIMEOUT) == f"DNS_CHECK ({RS}) read timeout from socket"
    assert attempt("DNS_CHECK", TIMEOUT, last=True) is None
    assert body("SMTP_CHECK", greeting) == (
        "=> CHECK failed on service : Bad greeting banner from server [10.0.0.1]:25 <="
    )


@pytest.mark.parametrize(
    ("verdict", "retry", "end"),
    [
        (Failed(Reason.EXIT_STATUS, exit_status=3), 2, "failed after 2 retries (exited with status 3)."),
        (Failed(Reason.EXIT_STATUS, exit_status=3), 1, "failed after 1 retry (exited with status 3)."),
        (Failed(Reason.EXIT_STATUS, exit_status=3), 0, "failed with retry disabled (exited with status 3)."),
        (Failed(Reason.KILLED, signal=9), 0, "failed with retry disabled (due to signal 9)."),
        (Failed(Reason.TIMEOUT, signal=15), 2, "timed out after 2 retries."),
        (Failed(Reason.FAULT, "cannot execute"), 0, "failed with retry disabled."),
    ],
)
@pytest.mark.parametrize("first_run", [True, False])
def test_a_failed_script(verdict: Failed, retry: int, end: str, first_run: bool) -> None:
    line = failed("MISC_CHECK", verdict, retry=retry, first_run=first_run)

    assert line == f"Misc check for [{RS} VS {VIP}] by [/bin/probe] {end}"


def test_attempts_of_a_script_count_up() -> None:
    verdict = Failed(Reason.EXIT_STATUS, exit_status=3)
    head = f"Misc check for [{RS} VS {VIP}] by [/bin/probe]"

    assert attempt("MISC_CHECK", verdict) == f"{head} failed, will do 2 retries (exited with status 3)."
    assert attempt("MISC_CHECK", TIMEOUT, number=1) == f"{head} timed out on retry 1/2."
    assert attempt("MISC_CHECK", verdict, number=2, last=True) is None


@pytest.mark.parametrize(
    ("kind", "verdict", "line"),
    [
        ("TCP_CHECK", REFUSED, f"TCP connection to {RS} failed."),
        ("TCP_CHECK", TIMEOUT, f"TCP connection to {RS} timeout."),
        ("HTTP_GET", REFUSED, f"Connection failed server {RS}."),
        ("HTTP_GET", Failed(Reason.STATUS, "status 404"), f"HTTP status code error to server {RS}."),
        ("HTTP_GET", Failed(Reason.DIGEST), f"MD5 digest error to server {RS}."),
        ("SSL_GET", Failed(Reason.REGEX), f"Regex match failed server {RS}."),
        ("BFD_CHECK", REFUSED, None),
        ("FILE_CHECK", REFUSED, None),
        ("NEW_CHECK", TIMEOUT, f"NEW_CHECK on service {RS} timeout."),
    ],
)
def test_an_attempt(kind: str, verdict: Failed, line: str | None) -> None:
    assert attempt(kind, verdict) == line
    assert attempt(kind, verdict, last=True) == line


@pytest.mark.parametrize(
    ("kind", "success", "failure"),
    [
        ("TCP_CHECK", "=> TCP CHECK succeed on service <=", "=> TCP CHECK failed on service <="),
        ("UDP_CHECK", "=> UDP CHECK succeed on service <=", "=> UDP CHECK failed on service <="),
        ("PING_CHECK", "=> ICMP CHECK succeed on service <=", "=> ICMP CHECK failed on service <="),
        (
            "HTTP_GET",
            "=> CHECK succeed on service <=",
            "=> CHECK failed on service : HTTP/SSL request failed <=",
        ),
        ("DNS_CHECK", "=> DNS_CHECK: succeed on service <=", "=> DNS_CHECK: failed on service <="),
        ("MISC_CHECK", "=> MISC CHECK succeeded on service <=", "=> MISC CHECK failed on service <="),
        (
            "BFD_CHECK",
            "=> BFD CHECK /bin/probe succeeded on service <=",
            "=> BFD CHECK /bin/probe failed on service <=",
        ),
        ("FILE_CHECK", None, None),
        ("NEW_CHECK", "=> NEW_CHECK succeed on service <=", "=> NEW_CHECK failed on service <="),
    ],
)
def test_bodies_of_mails(kind: str, success: str | None, failure: str | None) -> None:
    assert body(kind, PASSED) == success
    assert body(kind, REFUSED) == failure


def test_a_script_that_timed_out_says_so_in_the_mail() -> None:
    assert body("MISC_CHECK", TIMEOUT) == "=> MISC CHECK timed out on service <="
    assert body("SMTP_CHECK", PASSED) == "=> CHECK succeed on service <="


def test_a_file_that_was_never_in_fault_leaves_none() -> None:
    assert passed("FILE_CHECK", recovered=False) is None


def test_a_quiet_change_notifies_without_a_line() -> None:
    up = events.ServerUp(at=0.0, reason=Reason.START, vs=SERVICE, rs=SERVER, weight=1, quiet=True)

    assert log_line(up) is None
    assert fifo_line(up) == f"RS {RS} {VIP} UP"
    assert script(up) == notify("up 1")


def test_a_withdrawal_without_notice_has_a_line_only() -> None:
    gone = events.ServerWithdrawn(
        at=0.0, reason=Reason.STOP, vs=SERVICE, rs=SERVER, inhibited=False, notify=False
    )

    assert log_line(gone) == f"Shutting down service {RS} from VS {VIP}"
    assert (fifo_line(gone), script(gone), mail(gone, GlobalDefs(), "LAB")) == (None, None, None)


def test_every_event_is_worded_or_known_to_be_silent() -> None:
    all_events = {cls for cls in vars(events).values() if isinstance(cls, type) and issubclass(cls, Event)}
    bases = {events.Event, events.CheckEvent, events.ServerEvent}
    silent = {CheckReported, events.ServiceWithdrawn}  # a mail; scripts, FIFO and mail

    assert set(LOG) == all_events - bases - silent
    assert set(STATES) <= all_events


def test_every_kind_of_check_has_its_words() -> None:
    assert set(KINDS) == {
        "TOA_CHECK",  # ours
        "TCP_CHECK",
        "HTTP_GET",
        "SSL_GET",
        "SMTP_CHECK",
        "DNS_CHECK",
        "MISC_CHECK",
        "UDP_CHECK",
        "PING_CHECK",
        "FILE_CHECK",
        "BFD_CHECK",
        "AGENT_CHECK",
    }
