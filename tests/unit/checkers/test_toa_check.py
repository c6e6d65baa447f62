"""TOA_CHECK against scripted answers, and its block."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from conversing import converse
from strategies import loaded

from keepalive_py.checkers.toa import CHECKER, ToaCheck, toa_check
from keepalive_py.checkers.wishes import AskCarrying, ProbeFailed
from keepalive_py.config.diagnostics import Severity
from keepalive_py.health.verdict import PASSED, Failed, Passed, Reason, Verdict
from keepalive_py.net import Endpoint
from keepalive_py.wire.toa import Layout, Layouts, decode

TARGET = Endpoint(ip_address("192.0.2.7"), 6604)
TARGET6 = Endpoint(ip_address("fd00::7"), 6604)


def asked(check: ToaCheck, answer: str) -> tuple[AskCarrying, Verdict]:
    """`{}` in the answer is the client that was told."""
    probe = toa_check(check)
    wish = next(probe)
    assert isinstance(wish, AskCarrying)
    told = decode(layout_of(check), wish.option)
    assert told is not None
    try:
        probe.send(answer.replace("{}", str(told.address)).encode())
    except StopIteration as stop:
        return wish, stop.value
    raise AssertionError("it wishes for more")


def layout_of(check: ToaCheck) -> Layout:
    name = check.layout or f"toa{check.target.address.version}"
    layout = Layouts[name.upper()].value
    return Layout(layout.name, check.option_kind or layout.kind, layout.version, layout.magic)


def page(body: str) -> str:
    return f"HTTP/1.1 200 OK\r\nServer: 10.0.0.1\r\n\r\n{body}"


@pytest.mark.parametrize(
    ("target", "more", "body"),
    [
        (TARGET, {}, '{"accept": {"address": "{}", "port": 1}}'),
        (TARGET, {}, "client={};"),
        (TARGET, {}, "::ffff:{}"),
        (TARGET, {"layout": "ucloud"}, "{}"),
        (TARGET, {"option_kind": 77}, "you are {}."),
        (TARGET6, {}, "{}"),
        (TARGET6, {"layout": "toa4"}, "{}"),
    ],
)
def test_a_server_that_sees_the_told_client_is_well(
    target: Endpoint, more: dict[str, Any], body: str
) -> None:
    _, verdict = asked(ToaCheck(target=target, **more), page(body))

    assert verdict == PASSED


def test_a_server_that_sees_us_is_not() -> None:
    check = ToaCheck(target=TARGET, client=ip_address("198.18.0.9"))
    _, verdict = asked(check, page('{"accept": "192.0.2.1", "getpeername": "192.0.2.1"}'))

    assert verdict == Failed(Reason.BAD_ANSWER, "told client 198.18.0.9, the server saw 192.0.2.1")


def test_an_address_that_only_begins_like_it_is_another() -> None:
    check = ToaCheck(target=TARGET, client=ip_address("198.18.0.9"))

    assert isinstance(asked(check, page("198.18.0.99"))[1], Failed)


def test_report_only_keeps_the_server_and_says_what_it_saw() -> None:
    check = ToaCheck(target=TARGET, client=ip_address("198.18.0.9"), report_only=True)
    _, verdict = asked(check, page("192.0.2.1"))

    assert verdict == Passed("wrong client: told client 198.18.0.9, the server saw 192.0.2.1")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("", Failed(Reason.NO_DATA, "no HTTP answer")),
        ("SSH-2.0", Failed(Reason.BAD_ANSWER, "no HTTP answer")),
    ],
)
def test_what_is_no_answer(answer: str, verdict: Verdict) -> None:
    assert asked(ToaCheck(target=TARGET), answer)[1] == verdict


def test_the_address_in_the_head_does_not_count() -> None:
    _, verdict = asked(ToaCheck(target=TARGET), "HTTP/1.1 200 OK\r\nX: {}\r\n\r\nnothing")

    assert isinstance(verdict, Failed)
    assert verdict.detail.endswith("none that it would say")


def test_it_asks_over_http_from_where_it_is_told() -> None:
    here = ip_address("192.0.2.1")
    check = ToaCheck(target=TARGET, page="/who", host="shop.test", bindto=here, connect_timeout=2.0)
    wish, _ = asked(check, page("{}"))

    assert wish.request == b"GET /who HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"
    assert (wish.timeout, wish.source.address) == (2.0, here)
    assert b"Host: [fd00::7]\r\n" in asked(ToaCheck(target=TARGET6), page("{}"))[0].request


def test_each_run_tells_another_client() -> None:
    options = {asked(ToaCheck(target=TARGET), page("{}"))[0].option for _ in range(20)}

    assert len(options) > 15


def test_no_connection_is_a_failure() -> None:
    failure = ProbeFailed(Reason.REFUSED, "why")

    assert converse(toa_check(ToaCheck(target=TARGET)), failure)[1] == Failed(Reason.REFUSED, "why")


def test_checks_of_two_layouts_are_two_probes() -> None:
    assert CHECKER.identical is not None
    one, other = ToaCheck(target=TARGET), ToaCheck(target=TARGET, layout="ucloud")

    assert CHECKER.identical(one) == CHECKER.identical(ToaCheck(target=TARGET))
    assert CHECKER.identical(one) != CHECKER.identical(other)


def test_a_client_of_the_wrong_family_is_left_out() -> None:
    block = "TOA_CHECK {\n client 2001:db8::1\n connect_port 6604\n}"
    text = f"virtual_server 192.0.2.1 80 {{\nprotocol TCP\nreal_server 192.0.2.7 80 {{\n{block}\n}}\n}}\n"
    answer = loaded(text)
    (check,) = answer.config.virtual_servers[0].real_servers[0].checks

    assert "family" in [each.code for each in answer.diagnostics if each.severity is Severity.ERROR]
    assert isinstance(check, ToaCheck)
    assert (check.client, check.target) == (None, TARGET)
