"""HTTP_GET: the generator fed with answers, the sequence of urls, and the real thing once."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from keepalive_py.checkers.http import BODY_LIMIT, CHECKER, HttpGet, Sequence, Url, http_get, sequence
from keepalive_py.checkers.wishes import Connect, ProbeFailed, Receive, Send
from keepalive_py.health.verdict import Failed, Passed, Reason, Unknown, Verdict
from keepalive_py.net import Endpoint, parse_address

TARGET = Endpoint(parse_address("192.0.2.1"), 8080)
OK = b"HTTP/1.0 200 OK\r\n\r\n"


def check(*urls: Url, **more: Any) -> HttpGet:
    return HttpGet(target=TARGET, urls=urls or (Url(path="/"),), **more)


def run(config: HttpGet, *answers: Any, memory: Sequence | None = None) -> tuple[list[Any], Verdict]:
    """What the generator wanted, and its verdict; an exception as answer is thrown in."""
    probe = http_get(config, memory or sequence(config))
    wishes = [next(probe)]
    feed = iter(answers)
    try:
        while True:
            answer = next(feed) if isinstance(wishes[-1], Receive) else None
            if isinstance(answer, Exception):
                wishes.append(probe.throw(answer))
            else:
                wishes.append(probe.send(answer))
    except StopIteration as end:
        return wishes, end.value
    except ProbeFailed as failure:
        return wishes, Failed(failure.reason, failure.detail)


def verdict(config: HttpGet, *answers: Any) -> Verdict:
    return run(config, *answers)[1]


def test_it_connects_asks_and_reads_to_the_end() -> None:
    wishes, found = run(check(connect_timeout=2.0), OK, b"body", b"")

    assert [type(wish) for wish in wishes] == [Connect, Send, Receive, Receive, Receive]
    assert [wish.timeout for wish in wishes] == [2.0] * 5
    assert wishes[0].target == TARGET
    assert found == Passed("HTTP status code", part="/")


def test_a_length_makes_it_stop_reading() -> None:
    wishes, found = run(check(), b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")

    assert len(wishes) == 3
    assert isinstance(found, Passed)


@pytest.mark.parametrize(
    ("url", "config", "host"),
    [
        (None, None, "192.0.2.1:8080"),
        (None, "config.example", "config.example"),
        ("url.example", "config.example", "url.example"),
    ],
)
def test_the_host_is_the_nearest_virtualhost(url: str | None, config: str | None, host: str) -> None:
    wishes, _ = run(check(Url(path="/x", virtualhost=url), virtualhost=config), b"")

    assert wishes[1].data.endswith(b"\r\nHost: " + host.encode() + b"\r\n\r\n")


def test_the_host_of_an_ipv6_target_has_brackets_and_port() -> None:
    target = Endpoint(parse_address("2001:db8::1"), 80)
    wishes, _ = run(HttpGet(target=target, urls=(Url(path="/"),)), b"")

    assert b"\r\nHost: [2001:db8::1]:80\r\n" in wishes[1].data


# Criteria.


@pytest.mark.parametrize(
    ("status", "answer", "passes"),
    [
        (((200, 299),), b"200", True),
        (((200, 299),), b"299", True),
        (((200, 299),), b"301", False),
        (((200, 200), (301, 302)), b"302", True),
        (((404, 404),), b"404", True),
        (((404, 404),), b"200", False),
    ],
)
def test_the_status_must_be_a_wanted_one(status: Any, answer: bytes, passes: bool) -> None:
    found = verdict(check(Url(path="/", status=status)), b"HTTP/1.0 " + answer + b" X\r\n\r\n", b"")

    assert isinstance(found, Passed) is passes
    if not passes:
        assert found.reason is Reason.STATUS  # type: ignore[union-attr]


def test_a_wrong_status_says_what_was_wanted() -> None:
    config = check(Url(path="/", status=((200, 299), (404, 404))))

    assert verdict(config, b"HTTP/1.0 503 X\r\n\r\n", b"") == Failed(
        Reason.STATUS, "status 503, wanted 200-299 404"
    )


def test_no_data_is_a_failure_of_its_own() -> None:
    assert verdict(check(), b"") == Failed(Reason.NO_DATA, "the connection was closed without an answer")


def test_an_answer_that_is_no_http_has_no_status() -> None:
    assert verdict(check(), b"220 mail.example ESMTP\r\n", b"") == Failed(
        Reason.STATUS, "no HTTP status in the answer"
    )


def test_the_digest_is_of_the_body_alone() -> None:
    config = check(Url(path="/", digest=hashlib.md5(b"body").digest()))

    assert verdict(config, OK, b"bo", b"dy", b"") == Passed("MD5 digest", part="/")
    assert verdict(config, OK + b"body", b"") == Passed("MD5 digest", part="/")
    assert verdict(config, OK, b"other", b"").reason is Reason.DIGEST  # type: ignore[union-attr]


def test_the_length_bounds_the_digest() -> None:
    config = check(Url(path="/", digest=hashlib.md5(b"body").digest()))

    found = verdict(config, b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody\r\nmore")
    assert isinstance(found, Passed)


def test_the_status_counts_before_the_digest() -> None:
    config = check(Url(path="/", digest=bytes(16)))

    assert verdict(config, b"HTTP/1.0 500 X\r\n\r\nbody", b"").reason is Reason.STATUS  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("pattern", "passes"), [("hel+o", True), ("^hello", True), ("world$", True), ("^HTTP", False)]
)
@pytest.mark.parametrize("pieces", [(OK + b"hello world",), (OK, b"hello", b" world")])
def test_the_regex_sees_the_whole_body_and_only_that(
    pattern: str, passes: bool, pieces: tuple[bytes, ...]
) -> None:
    found = verdict(check(Url(path="/", regex=pattern)), *pieces, b"")

    assert isinstance(found, Passed) is passes
    if passes:
        assert found == Passed("Regex match", part="/")


def test_the_regex_may_have_to_be_absent() -> None:
    config = check(Url(path="/", regex="error", regex_no_match=True))

    assert isinstance(verdict(config, OK + b"fine", b""), Passed)
    assert verdict(config, OK + b"an error", b"") == Failed(Reason.REGEX, "the pattern was found")


def test_offsets_bound_where_a_match_may_begin() -> None:
    def matches(least: int, most: int | None) -> bool:
        url = Url(path="/", regex="b", regex_min_offset=least, regex_max_offset=most)
        return isinstance(verdict(check(url), OK + b"abcb", b""), Passed)

    assert matches(0, None)
    assert matches(1, 1)
    assert matches(2, 3)
    assert not matches(0, 0)
    assert not matches(2, 2)
    assert not matches(4, None)


@pytest.mark.parametrize("no_match", [False, True])
def test_a_pattern_that_cannot_be_used_always_fails(no_match: bool) -> None:
    config = check(Url(path="/", regex="(", regex_no_match=no_match))

    found = verdict(config, OK + b"(", b"")
    assert isinstance(found, Failed)
    assert found.reason is Reason.REGEX


def test_no_more_than_the_limit_is_kept_for_the_regex() -> None:
    config = check(Url(path="/", regex="END"))

    within = verdict(config, OK, b"x" * (BODY_LIMIT - 3), b"END", b"")
    beyond = verdict(config, OK, b"x" * (BODY_LIMIT - 2), b"END", b"")
    assert isinstance(within, Passed)
    assert isinstance(beyond, Failed)


def test_a_search_that_takes_too_long_says_nothing_about_the_server() -> None:
    found = verdict(check(Url(path="/", regex="(?:a|a)*$")), OK, b"a" * 40 + b"b", b"")

    assert isinstance(found, Unknown)
    assert "still searching" in found.detail


def test_a_wish_that_fails_is_the_verdict() -> None:
    assert verdict(check(), OK, ProbeFailed(Reason.RESET, "gone")) == Failed(Reason.RESET, "gone")


# The sequence of urls.

PASS, FAIL = (OK, b""), (b"HTTP/1.0 500 X\r\n\r\n", b"")
THREE = (Url(path="/a"), Url(path="/b"), Url(path="/c"))


def asked(config: HttpGet, memory: Sequence, answers: tuple[bytes, ...]) -> tuple[str, Verdict]:
    wishes, found = run(config, *answers, memory=memory)
    return wishes[1].data.split()[1].decode(), found


def walk(outcomes: str) -> list[tuple[str, str]]:
    """One run for each letter (p passes, f fails): the path asked for and the kind of verdict."""
    config = check(*THREE)
    memory = sequence(config)
    steps = []
    for letter in outcomes:
        path, found = asked(config, memory, PASS if letter == "p" else FAIL)
        kind = "failed" if isinstance(found, Failed) else "part" if found.partial else "whole"  # type: ignore[union-attr]
        steps.append((path, kind))
    return steps


def test_one_url_a_run_and_the_last_makes_it_whole() -> None:
    assert walk("pppp") == [("/a", "part"), ("/b", "part"), ("/c", "whole"), ("/a", "part")]


def test_a_url_that_fails_is_repeated_and_then_all_begin_anew() -> None:
    assert walk("pffppp") == [
        ("/a", "part"),
        ("/b", "failed"),
        ("/b", "failed"),
        ("/b", "part"),
        ("/a", "part"),
        ("/b", "part"),
    ]


def test_the_last_url_alone_does_not_make_it_whole_after_a_failure() -> None:
    assert walk("ppfpppp")[3:] == [("/c", "part"), ("/a", "part"), ("/b", "part"), ("/c", "whole")]


def test_a_single_url_must_pass_twice_after_a_failure() -> None:
    memory = sequence(check())
    assert run(check(), *FAIL, memory=memory)[1].reason is Reason.STATUS  # type: ignore[union-attr]
    assert run(check(), *PASS, memory=memory)[1] == Passed("HTTP status code", partial=True, part="/")
    assert run(check(), *PASS, memory=memory)[1] == Passed("HTTP status code", part="/")


def test_a_failed_connection_repeats_the_url_too() -> None:
    config = check(*THREE)
    memory = sequence(config)
    asked(config, memory, PASS)
    probe = http_get(config, memory)
    next(probe)
    with pytest.raises(ProbeFailed):
        probe.throw(ProbeFailed(Reason.REFUSED))

    assert asked(config, memory, PASS)[0] == "/b"
    assert asked(config, memory, PASS)[0] == "/a"


# What the engine and the health room ask.


def test_fast_recovery_does_not_wait_for_the_next_url() -> None:
    assert check(delay_loop=9.0).partial_delay() == 9.0
    assert check(delay_loop=9.0, fast_recovery=True).partial_delay() == 0.0


def test_a_run_has_a_bound() -> None:
    assert CHECKER.at_most is not None
    assert CHECKER.at_most(check(delay_loop=60.0, connect_timeout=5.0)) == 60.0
    assert CHECKER.at_most(check(delay_loop=1.0, connect_timeout=5.0)) == 15.0


def test_only_checks_with_one_url_are_shared() -> None:
    assert CHECKER.identical is not None
    assert CHECKER.identical(check()) == CHECKER.identical(check(retry=7))
    assert CHECKER.identical(check()) != CHECKER.identical(check(Url(path="/other")))
    assert CHECKER.identical(check()) != CHECKER.identical(check(http_protocol="1.1"))
    assert CHECKER.identical(check(*THREE)) is None


@pytest.mark.parametrize(
    "same", [{"http_protocol": "1.1"}, {"fast_recovery": True}, {"enable_sni": True}, {"retry": 5}]
)
def test_what_a_reload_does_not_compare(same: dict[str, Any]) -> None:
    assert check(**same).identity() == check().identity()


@pytest.mark.parametrize(
    "change", [{"virtualhost": "a"}, {"sni_name": "a"}, {"connect_timeout": 1.0}, {"bind_port": 5}]
)
def test_what_a_reload_compares(change: dict[str, Any]) -> None:
    assert check(**change).identity() != check().identity()
