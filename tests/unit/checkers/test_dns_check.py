"""DNS_CHECK against scripted answers."""

from __future__ import annotations

import os
from errno import ECONNREFUSED
from ipaddress import ip_address

import pytest
from conversing import converse
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.checkers.dns import DnsCheck, askable, dns_check
from keepalive_py.checkers.wishes import OpenDatagram, Probe, ProbeFailed, Receive, Send
from keepalive_py.config.schema import BadValue
from keepalive_py.health.verdict import PASSED, Failed, Reason, Verdict
from keepalive_py.net import Endpoint
from keepalive_py.wire.dns import Header, Rcode, RecordType, decode_query, encode_header

TARGET = Endpoint(ip_address("2001:db8::53"), 53)
CHECK = DnsCheck(target=TARGET, connect_timeout=2.0)


def asked(probe: Probe) -> tuple[int, Send]:
    """Open the socket and read the query: its identifier and the wish that sent it."""
    assert next(probe) == OpenDatagram(TARGET)
    sent = probe.send(None)
    assert isinstance(sent, Send)
    assert probe.send(None) == Receive(4096, 2.0)
    return decode_query(sent.data).identifier, sent


def verdict_after(probe: Probe, message: bytes) -> Verdict | None:
    """The verdict, or None when the checker still waits."""
    try:
        assert probe.send(message) == Receive(4096)
    except StopIteration as stop:
        return stop.value
    return None


def answer(identifier: int, rcode: int = 0, *, response: bool = True, truncated: bool = False) -> bytes:
    return encode_header(Header(identifier, response, rcode, truncated))


def test_the_root_is_asked_for_its_soa_by_default() -> None:
    _, sent = asked(dns_check(CHECK))
    query = decode_query(sent.data)
    assert (query.name, query.type) == (".", RecordType.SOA)


def test_what_is_configured_is_asked() -> None:
    check = DnsCheck(target=TARGET, connect_timeout=2.0, name="www.example.org", type=RecordType.AAAA)
    query = decode_query(asked(dns_check(check))[1].data)
    assert (query.name, query.type) == ("www.example.org.", RecordType.AAAA)


@pytest.mark.parametrize("truncated", [False, True])
def test_noerror_is_success_even_without_data(truncated: bool) -> None:
    probe = dns_check(CHECK)
    identifier, _ = asked(probe)
    assert verdict_after(probe, answer(identifier, truncated=truncated)) == PASSED


@pytest.mark.parametrize("rcode", [Rcode.FORMERR, Rcode.SERVFAIL, Rcode.NXDOMAIN, Rcode.REFUSED, 15])
def test_an_error_code_is_a_failure_at_once(rcode: int) -> None:
    probe = dns_check(CHECK)
    identifier, _ = asked(probe)
    failed = Failed(Reason.BAD_ANSWER, f"read error occurred. (rcode = {rcode})")
    assert verdict_after(probe, answer(identifier, rcode)) == failed


@given(st.binary(max_size=11))
def test_short_packets_are_passed_over(packet: bytes) -> None:
    probe = dns_check(CHECK)
    identifier, _ = asked(probe)
    assert verdict_after(probe, packet) is None
    assert verdict_after(probe, answer(identifier)) == PASSED


def test_other_identifiers_and_queries_are_passed_over() -> None:
    probe = dns_check(CHECK)
    identifier, _ = asked(probe)
    assert verdict_after(probe, answer(identifier ^ 1, Rcode.REFUSED)) is None
    assert verdict_after(probe, answer(identifier, response=False)) is None
    assert verdict_after(probe, answer(identifier)) == PASSED


def test_identifiers_differ_from_one_query_to_the_next() -> None:
    assert len({asked(dns_check(CHECK))[0] for _ in range(20)}) > 10


@pytest.mark.parametrize(
    ("answers", "detail"),
    [
        ([ProbeFailed(Reason.UNREACHABLE, "x")], "network unreachable for [2001:db8::53]:53"),
        ([None, None, ProbeFailed(Reason.TIMEOUT, "x")], "read timeout from socket"),
        (
            [None, None, ProbeFailed(Reason.REFUSED, os.strerror(ECONNREFUSED))],
            "failed to read socket; errno 111 (Connection refused)",
        ),
    ],
)
def test_trouble_is_told_in_the_words_of_keepalived(answers: list[object], detail: str) -> None:
    _, verdict = converse(dns_check(CHECK), *answers)
    assert isinstance(verdict, Failed)
    assert verdict.detail == detail


@pytest.mark.parametrize("name", [".a", "a..b", "x" * 64])
def test_a_name_nobody_can_be_asked_for_is_a_bad_value(name: str) -> None:
    with pytest.raises(BadValue):
        askable(name, None)  # type: ignore[arg-type]


def test_type_and_name_are_part_of_what_a_check_is() -> None:
    other = DnsCheck(target=TARGET, connect_timeout=2.0, name="a.example")
    assert CHECK.identity() != other.identity()
