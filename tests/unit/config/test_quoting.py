"""The shell-like reader of scripts and regular expressions (keepalived.conf(5))."""

from __future__ import annotations

import os

import pytest

from keepalive_py.config.quoting import argv, regex_words, shell_words
from keepalive_py.config.schema import BadValue


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("notify_up /p/s.sh alice wheel", ["notify_up", "/p/s.sh", "alice", "wheel"]),
        ("notify_up  \t'/p/s.sh a b'  alice", ["notify_up", "/p/s.sh a b", "alice"]),
        ('k a" b "c', ["k", "a b c"]),
        ("k ''", ["k", ""]),
        ("k '\"' \"'\"", ["k", '"', "'"]),
        (r'k "a \" b"', ["k", r"a \" b"]),
        (r"k a\ b", ["k", r"a\ b"]),
        ("k \\", ["k", "\\"]),
        ("", []),
        (" \t", []),
    ],
)
def test_the_first_pass_groups_by_both_quotes_and_keeps_backslashes(raw: str, words: list[str]) -> None:
    assert shell_words(raw) == words


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("/p/s.sh 'a b' \"c d\"", ("/p/s.sh", "a b", "c d")),
        (r"s \a\b\E\f\n\r\t\v", ("s", "\a\b\x1b\f\n\r\t\v")),
        (r"s \101\60\7", ("s", "A0\a")),
        (r"s \x41\x4g", ("s", "A\x04g")),
        (r"s \xg", ("s", "xg")),
        (r"s \cA\c[", ("s", "\x01\x1b")),
        (r"s \\ \' g\ h", ("s", "\\", "'", "g h")),
        (r"s '\''", ("s", "'")),
        ("s \\", ("s", "\\")),
        ("", ()),
    ],
)
def test_the_second_pass_resolves_escapes(command: str, arguments: tuple[str, ...]) -> None:
    assert argv(command) == arguments


def test_both_passes_together_make_the_arguments_that_keepalived_makes() -> None:
    raw = r"""misc_path "/p/s.sh 'a b' \"c d\" e\x20f g\ h" """

    assert argv(shell_words(raw)[1]) == ("/p/s.sh", "a b", '"c', 'd"', "e f", "g h")


def test_an_escaped_byte_reaches_the_program_as_that_byte() -> None:
    assert [os.fsencode(each) for each in argv(r"s \xc3\xa9 \377")] == [b"s", b"\xc3\xa9", b"\xff"]


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize("read", [shell_words, argv, regex_words])
def test_an_open_quote_is_an_error_that_names_the_word(read, quote: str) -> None:
    with pytest.raises(BadValue) as caught:
        read(f"one two {quote}three")
    assert caught.value.summary == f"missing terminating {quote}"
    assert caught.value.word == 2


def test_an_argument_cannot_hold_a_nul() -> None:
    with pytest.raises(BadValue):
        argv(r"s a\0b")


def test_a_regex_is_read_with_escapes_in_one_pass() -> None:
    assert regex_words(r'regex "^a\\.b\"c$"') == ["regex", r'^a\.b"c$']
