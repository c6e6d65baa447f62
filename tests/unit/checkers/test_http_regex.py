"""PCRE2's patterns and options on `re`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.checkers.regex import OPTIONS, UnusablePattern, compile_pattern


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
    "pattern", ["(", "[a", r"a\Kb", "(?R)", "[:alpha:]", "[[:nosuch:]]", r"\x{FFFFFFFF}"]
)
def test_what_re_cannot_do_is_said(pattern: str) -> None:
    with pytest.raises(UnusablePattern):
        compile_pattern(pattern, frozenset())


@given(st.text(max_size=30), st.sets(st.sampled_from(sorted(OPTIONS))), st.binary(max_size=20))
def test_any_text_is_a_pattern_or_is_refused(pattern: str, options: set[str], body: bytes) -> None:
    try:
        compiled = compile_pattern(pattern, frozenset(options))
    except UnusablePattern:
        return
    assert compiled.matches(body, 0, None) in (True, False)
