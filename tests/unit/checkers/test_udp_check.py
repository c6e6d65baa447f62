"""UDP_CHECK against scripted answers."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from conversing import converse

from keepalive_py.checkers.udp import CHECKER, UdpCheck, udp_check
from keepalive_py.checkers.wishes import OpenDatagram, ProbeFailed, Receive, Send
from keepalive_py.health.verdict import PASSED, Failed, Reason
from keepalive_py.net import Endpoint

TARGET = Endpoint(ip_address("192.0.2.5"), 514)
SILENCE = ProbeFailed(Reason.TIMEOUT, "no answer in time")
ANY = (b"", b"")


def check(**more: object) -> UdpCheck:
    return UdpCheck(target=TARGET, connect_timeout=2.0, **more)  # type: ignore[arg-type]


def after(config: UdpCheck, reply: object) -> object:
    return converse(udp_check(config), None, None, reply)[1]


def test_the_filler_is_sent_when_no_payload_is_configured() -> None:
    wishes, _ = converse(udp_check(check()), None, None, b"x")
    filler = b"keepalived check - keepalived ch"
    assert wishes == [OpenDatagram(TARGET), Send(filler, 2.0), Receive(256, 2.0)]


def test_without_require_reply_silence_is_success() -> None:
    assert after(check(), SILENCE) == PASSED


@pytest.mark.parametrize("reply", [b"", b"anything", bytes(256)])
def test_without_require_reply_any_datagram_is_success(reply: bytes) -> None:
    assert after(check(min_reply_length=9), reply) == PASSED


@pytest.mark.parametrize("reason", [Reason.REFUSED, Reason.UNREACHABLE])
def test_an_icmp_error_is_a_failure(reason: Reason) -> None:
    assert after(check(), ProbeFailed(reason, "told by ICMP")) == Failed(reason, "told by ICMP")


def test_with_require_reply_silence_is_a_failure() -> None:
    assert after(check(require_reply=ANY), SILENCE) == Failed(Reason.TIMEOUT, "no answer in time")


@pytest.mark.parametrize("reply", [b"", b"anything", bytes(256)])
def test_a_required_reply_without_bytes_is_any_datagram(reply: bytes) -> None:
    assert after(check(require_reply=ANY, min_reply_length=9), reply) == PASSED


@pytest.mark.parametrize(
    ("reply", "fits"),
    [
        (b"\x01\x2a\x03", True),
        (b"\x01\x2f\x03 and more", True),
        (b"\x01", True),  # only the bytes that both have are compared
        (b"\x01\x3a\x03", False),
        (b"\x02\x2a\x03", False),
    ],
)
def test_the_bytes_of_a_reply_must_fit_the_pattern(reply: bytes, fits: bool) -> None:
    config = check(require_reply=(b"\x01\x20\x03", b"\xff\xf0\xff"))
    assert (after(config, reply) == PASSED) is fits


@pytest.mark.parametrize(("size", "fits"), [(2, False), (3, True), (5, True), (6, False)])
def test_the_length_of_a_reply_must_fit_when_bytes_are_wanted(size: int, fits: bool) -> None:
    config = check(require_reply=(b"\x00", b"\xff"), min_reply_length=3, max_reply_length=5)
    assert (after(config, bytes(size)) == PASSED) is fits


def test_an_empty_datagram_fits_no_bytes() -> None:
    assert after(check(require_reply=(b"\x01", b"\xff")), b"") != PASSED


def test_a_longer_datagram_than_allowed_is_seen_as_longer() -> None:
    config = check(require_reply=(b"\x00", b"\xff"), max_reply_length=5)
    wishes, _ = converse(udp_check(config), None, None, bytes(6))
    assert wishes[-1] == Receive(6, 2.0)


def test_payload_and_reply_make_another_probe_but_not_another_check() -> None:
    one, other = check(), check(payload=b"x")
    assert CHECKER.identical is not None
    assert CHECKER.identical(one) != CHECKER.identical(other)
    assert one.identity() == other.identity()
