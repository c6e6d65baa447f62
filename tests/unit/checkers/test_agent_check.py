"""AGENT_CHECK against scripted agents."""

from __future__ import annotations

import pytest
from conversing import converse
from hypothesis import given
from hypothesis import strategies as st
from strategies import loaded

from keepalive_py.checkers.agent import CHECKER, LONGEST_LINE, AgentCheck, agent_check, judge
from keepalive_py.checkers.wishes import REMAINING, Connect, ProbeFailed, Receive, Send
from keepalive_py.config.writer import write
from keepalive_py.health.verdict import Failed, Passed, Reason, Unknown, Verdict
from keepalive_py.net import Endpoint, parse_address

TARGET = Endpoint(parse_address("192.0.2.5"), 9999)


def check(**more: object) -> AgentCheck:
    return AgentCheck(**{"target": TARGET, "connect_timeout": 2.0, "server_weight": 40, **more})  # type: ignore[arg-type]


def after(*pieces: object, **more: object) -> Verdict:
    return converse(agent_check(check(**more)), None, *pieces)[1]


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("75%", Passed("75%", weight=30)),
        ("100%", Passed("100%")),
        ("150%", Passed("150%", weight=60)),
        ("1%", Passed("1%", weight=1)),
        ("0%", Passed("0%", weight=0)),
        ("up", Passed("up")),
        ("UP, ready\t50%", Passed("UP, ready\t50%", weight=20)),
        ("ready", Passed("ready")),
        ("drain", Passed("drain", weight=0)),
        ("drain 50%", Passed("drain 50%", weight=0)),
        ("50% drain", Passed("50% drain", weight=0)),
        ("maxconn:30", Passed("maxconn:30")),
        ("up bread 20%", Passed("up bread 20%", weight=8)),
        ("down", Failed(Reason.AGENT, "down")),
        ("fail#disk is full", Failed(Reason.AGENT, "disk is full")),
        ("failed", Failed(Reason.AGENT, "failed")),
        ("stopped #  by hand", Failed(Reason.AGENT, "by hand")),
        ("maint", Failed(Reason.AGENT, "maint")),
        ("75% down", Failed(Reason.AGENT, "down")),
        ("up # at 50%", Passed("up # at 50%")),
    ],
)
def test_words_of_an_agent(line: str, verdict: Verdict) -> None:
    assert judge(line, 40) == verdict


@pytest.mark.parametrize("line", ["", "  ", "bread", "%", "-5%", "75", "12345678%", "# down"])
def test_what_is_no_word_of_an_agent_says_nothing(line: str) -> None:
    assert judge(line, 40) is None


def test_a_server_without_weight_gets_none() -> None:
    assert judge("50%", 0) == Passed("50%", weight=0)


@given(line=st.text(), weight=st.integers(0, 2**31 - 1))
def test_any_line_is_a_verdict_or_nothing_and_a_weight_fits_the_kernel(line: str, weight: int) -> None:
    verdict = judge(line, weight)
    assert verdict is None or isinstance(verdict, Passed | Failed)
    if isinstance(verdict, Passed) and verdict.weight is not None:
        assert 0 <= verdict.weight <= 2**31 - 1


def test_the_line_may_come_in_pieces_and_ends_at_its_end() -> None:
    wishes, verdict = converse(agent_check(check()), None, b"7", b"5%\r\ndown\n")
    assert wishes == [Connect(TARGET, 2.0), Receive(512, 2.0), Receive(512, REMAINING)]
    assert verdict == Passed("75%", weight=30)


def test_the_end_of_the_stream_ends_the_line() -> None:
    assert after(b"drain", b"") == Passed("drain", weight=0)


def test_what_is_to_be_sent_is_sent_first() -> None:
    wishes, _ = converse(agent_check(check(send=r"web pool\n")), None, None, b"up\n")
    assert wishes[1] == Send(b"web pool\n", 2.0)


def test_an_agent_that_talks_for_ever_is_cut_off() -> None:
    pieces = [b"x" * 512] * (LONGEST_LINE // 512)
    assert isinstance(after(*pieces), Unknown)


@pytest.mark.parametrize("answer", [ProbeFailed(Reason.TIMEOUT, "too late"), b"\n", b""])
def test_an_agent_that_says_nothing_leaves_the_server_alone(answer: object) -> None:
    verdict = after(answer)
    assert isinstance(verdict, Unknown)
    assert "agent 192.0.2.5:9999: " in verdict.detail
    assert isinstance(after(answer, required=True), Failed)


def test_an_agent_that_is_not_there_is_unknown() -> None:
    refused = ProbeFailed(Reason.REFUSED, "connection refused")
    assert converse(agent_check(check()), refused)[1] == Unknown(
        Reason.REFUSED, "agent 192.0.2.5:9999: connection refused"
    )


TEXT = """
virtual_server 192.0.2.1 80 {
    protocol TCP
    lb_algo wrr
    lb_kind NAT
    weight 40
    real_server 192.0.2.2 80 {
        AGENT_CHECK {
            connect_port 9999
            agent_send "web"
            agent_required
        }
        AGENT_CHECK {
        }
    }
}
"""


def test_the_configuration_of_an_agent() -> None:
    found = loaded(TEXT)
    first, second = found.config.virtual_servers[0].real_servers[0].checks
    assert (first.server_weight, first.send, first.required, first.retry) == (40, "web", True, 0)
    assert first.target.port == 9999
    assert (second.send, second.required) == ("", False)
    assert [each.code for each in found.diagnostics if each.code != "own-keyword"] == ["agent-without-port"]
    assert loaded(write(found.config)).config.virtual_servers == found.config.virtual_servers


def test_servers_of_one_weight_share_a_probe() -> None:
    assert CHECKER.identical is not None
    assert CHECKER.identical(check()) == CHECKER.identical(check(retry=3))
    assert CHECKER.identical(check()) != CHECKER.identical(check(server_weight=41))
