"""SMTP_CHECK against scripted answers."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from conversing import converse

from keepalive_py.checkers.smtp import CHECKER, SmtpCheck, SmtpHost, smtp_check
from keepalive_py.checkers.wishes import Connect, ProbeFailed, Receive, Send, Source
from keepalive_py.health.verdict import PASSED, Failed, Reason
from keepalive_py.net import Endpoint

TARGET = Endpoint(ip_address("192.0.2.25"), 25)
CHECK = SmtpCheck(target=TARGET, connect_timeout=3.0, helo_name="lb.example")
PIECE = Receive(512, 3.0)


def test_the_whole_dialogue() -> None:
    wishes, verdict = converse(
        smtp_check(CHECK), None, b"220 ready\r\n", None, b"250 hello\r\n", None, b"221 bye\r\n"
    )
    assert verdict == PASSED
    helo, quit_ = Send(b"HELO lb.example\r\n", 3.0), Send(b"QUIT\r\n", 3.0)
    assert wishes == [Connect(TARGET, 3.0), PIECE, helo, PIECE, quit_, PIECE]


def test_answers_may_have_several_lines_and_come_in_pieces() -> None:
    greeting = (b"220-mail.example\r\n2", b"20-be gentle\r\n", b"220 ready\r\n")
    hello = (b"250-hello\r\n250 S", b"IZE\r\n")
    _, verdict = converse(smtp_check(CHECK), None, *greeting, None, *hello, None, b"221 bye\r\n")
    assert verdict == PASSED


@pytest.mark.parametrize("greeting", [b"220\r\n", b"220 \n"])
def test_a_greeting_of_the_bare_code_is_a_greeting(greeting: bytes) -> None:
    _, verdict = converse(smtp_check(CHECK), None, greeting, None, b"250 ok\r\n", None, b"221 x\r\n")
    assert verdict == PASSED


@pytest.mark.parametrize("greeting", [b"554 go away\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"221 x\r\n"])
def test_another_greeting_is_a_bad_one(greeting: bytes) -> None:
    _, verdict = converse(smtp_check(CHECK), None, greeting)
    assert verdict == Failed(Reason.BAD_ANSWER, "Bad greeting banner from server [192.0.2.25]:25")


@pytest.mark.parametrize("answer", [b"550 who are you\r\n", b"garbage\r\n"])
def test_another_answer_to_helo_is_a_bad_one(answer: bytes) -> None:
    _, verdict = converse(smtp_check(CHECK), None, b"220 x\r\n", None, answer)
    assert verdict == Failed(Reason.BAD_ANSWER, "Bad HELO response from server [192.0.2.25]:25")


@pytest.mark.parametrize("answer", [b"500 what\r\n", b"garbage\r\n"])
def test_any_line_answers_quit(answer: bytes) -> None:
    _, verdict = converse(smtp_check(CHECK), None, b"220 x\r\n", None, b"250 x\r\n", None, answer)
    assert verdict == PASSED


TIMEOUT = ProbeFailed(Reason.TIMEOUT, "late")


@pytest.mark.parametrize(
    ("answers", "reason", "detail"),
    [
        (
            [ProbeFailed(Reason.REFUSED)],
            Reason.REFUSED,
            "Could not connect to server [192.0.2.25]:25",
        ),
        ([TIMEOUT], Reason.TIMEOUT, "Connection timeout to server [192.0.2.25]:25"),
        (
            [ProbeFailed(Reason.UNREACHABLE)],
            Reason.UNREACHABLE,
            "Network unreachable for server 192.0.2.25",
        ),
        ([None, TIMEOUT], Reason.TIMEOUT, "Read timeout from server [192.0.2.25]:25"),
        ([None, b""], Reason.CLOSED, "Read failure from server [192.0.2.25]:25"),
        ([None, b"220 x", b""], Reason.CLOSED, "Read failure from server [192.0.2.25]:25"),
        (
            [None, b"220 x\r\n", ProbeFailed(Reason.RESET)],
            Reason.RESET,
            "Write failure to server [192.0.2.25]:25",
        ),
        ([None, b"220 x\r\n", TIMEOUT], Reason.TIMEOUT, "Write timeout to server [192.0.2.25]:25"),
        (
            [None, b"220 x\r\n", None, b"250 x\r\n", None, b""],
            Reason.CLOSED,
            "Read failure from server [192.0.2.25]:25",
        ),
    ],
)
def test_trouble_is_told_in_the_words_of_keepalived(
    answers: list[object], reason: Reason, detail: str
) -> None:
    assert converse(smtp_check(CHECK), *answers)[1] == Failed(reason, detail)


def test_without_host_blocks_a_check_is_one_check() -> None:
    assert CHECK.spread() == (CHECK,)


def test_each_host_block_becomes_a_check_of_its_own() -> None:
    first = SmtpHost(connect_ip=ip_address("192.0.2.1"), connect_timeout=1.0)
    second = SmtpHost(connect_port=587, bindto=ip_address("192.0.2.99"))
    check = SmtpCheck(target=TARGET, connect_timeout=3.0, helo_name="lb.example", hosts=(first, second))
    one, two = check.spread()
    assert one == SmtpCheck(
        target=Endpoint(ip_address("192.0.2.1"), 25), connect_timeout=1.0, helo_name="lb.example"
    )
    wishes, _ = converse(smtp_check(two), ProbeFailed(Reason.REFUSED))
    assert wishes == [Connect(Endpoint(TARGET.address, 587), 3.0, Source(ip_address("192.0.2.99")))]


def test_only_checks_that_say_the_same_to_the_same_server_are_one_probe() -> None:
    assert CHECKER.identical is not None
    assert CHECKER.identical(CHECK) == CHECKER.identical(
        SmtpCheck(target=TARGET, connect_timeout=3.0, helo_name="lb.example", retry=9)
    )
    assert CHECKER.identical(CHECK) != CHECKER.identical(SmtpCheck(target=TARGET, connect_timeout=3.0))
