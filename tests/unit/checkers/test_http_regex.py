"""PCRE2's patterns and options on `regex`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.checkers.regex import MOST_TIME, OPTIONS, TooSlow, UnusablePattern, compile_pattern


def matches(pattern: str, body: bytes, *options: str, least: int = 0, most: int | None = None) -> bool:
    return compile_pattern(pattern, frozenset(options)).matches(body, least, most)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("[[:digit:]]+x", b"12x", b"x"),
        ("[a[:digit:]b]z", b"5z", b"cz"),
        ("[^[:space:]]end", b"xend", b" end"),
        ("[]a]+$", b"]a]", b"b"),
        ("[^]]x", b"ax", b"]x"),
        ("[[]x", b"[x", b"x"),
        ("[a^]x", b"^x", b"bx"),
        ("(?<word>ab)\\1", b"abab", b"ab"),
        (r"\Qa.b[\E$", b"a.b[", b"axb["),
        (r"\x{41}\x41", b"AA", b"A"),
        (r"a\hb", b"a\tb", b"a\nb"),
        (r"a\Rb", b"a\r\nb", b"a b"),
        (r"end\z", b"end", b"end\n"),
        (r"end\Z", b"end\n", b"end\n\n"),
        ("end$", b"end\n", b"end\n\n"),
        ("a++b", b"aab", b"ac"),
        (r"\[[0-9]\]", b"[5]", b"5"),
        (r"^\((?:[^()]|(?R))*\)$|\((?:[^()]|(?R))*\)", b"(a(b)c)", b"(a(b"),
        (r"id=\K7", b"id=7", b"7"),
        (r"\p{Lu}x", b"Ax", b"ax"),
    ],
)
def test_pcre2_spelling(pattern: str, good: bytes, bad: bytes) -> None:
    assert matches(pattern, good)
    assert not matches(pattern, bad)


@pytest.mark.parametrize(
    ("option", "pattern", "body", "without"),
    [
        ("caseless", "OK", b"ok", False),
        ("dotall", "a.b", b"a\nb", False),
        ("multiline", "^b", b"a\nb", False),
        ("extended", "a b # both", b"ab", False),
        ("utf", "^.$", "é".encode(), False),
        ("dollar_endonly", "a$", b"a\n", True),
        ("firstline", "b", b"a\nb", True),
    ],
)
def test_an_option_makes_the_difference(option: str, pattern: str, body: bytes, without: bool) -> None:
    assert matches(pattern, body) is without
    assert matches(pattern, body, option) is not without


def test_offsets_are_bytes_even_where_characters_are_matched() -> None:
    body = "éb".encode()

    assert matches("b", body, "utf", least=2, most=2)
    assert not matches("b", body, "utf", most=1)
    assert not matches("b", body, "utf", least=3)


def test_ucp_gives_classes_their_unicode_meaning() -> None:
    body = "é".encode()

    assert not matches(r"^\w$", body, "utf")
    assert matches(r"^\w$", body, "utf", "ucp")


@pytest.mark.parametrize(
    "pattern", ["(", "[a", "(?C1)a", "(*ACCEPT)a", "[:alpha:]", "[[:nosuch:]]", r"\x{FFFFFFFF}"]
)
def test_what_regex_cannot_do_is_said(pattern: str) -> None:
    with pytest.raises(UnusablePattern):
        compile_pattern(pattern, frozenset())


ENDLESS = "(a|a)*$"  # 2 to the power of the number of a's


def test_a_search_without_end_is_given_up_sooner_each_time() -> None:
    pattern = compile_pattern(ENDLESS, frozenset())
    body = b"a" * 40 + b"b"

    for _ in range(3):
        with pytest.raises(TooSlow):
            pattern.matches(body, 0, None)

    assert pattern.allowed == MOST_TIME / 8
    assert pattern.matches(b"aaa", 0, None)


def test_what_is_slow_in_the_end_still_has_some_time() -> None:
    pattern = compile_pattern(ENDLESS + "x{0}", frozenset())
    pattern.allowed = 0.0101

    with pytest.raises(TooSlow):
        pattern.matches(b"a" * 40 + b"b", 0, None)

    assert pattern.allowed == 0.01


@given(st.text(max_size=30), st.sets(st.sampled_from(sorted(OPTIONS))), st.binary(max_size=20))
def test_any_text_is_a_pattern_or_is_refused(pattern: str, options: set[str], body: bytes) -> None:
    try:
        compiled = compile_pattern(pattern, frozenset(options))
    except UnusablePattern:
        return
    assert compiled.matches(body, 0, None) in (True, False)
