"""One line of text: comments, quotes, braces, words, and where each word stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.config.diagnostics import Origin
from keepalive_py.config.lexer import (
    PLAIN,
    Place,
    Text,
    logical_line,
    plain_logical_lines,
    split_brace,
    uncomment,
)

HERE = Place(Origin("k.conf"), 7)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("a b", "a b"),
        ("  a b \t\r", "a b"),
        ("a # b", "a"),
        ("a ! b", "a"),
        ("A#c", "A"),
        ("delay_loop 5#x", "delay_loop 5"),
        ("quorum 1!y", "quorum 1"),
        ('a "x # y" b # c', 'a "x # y" b'),
        ("'x # y'", "'x"),
        (r"a\#b", "a#b"),
        (r"a \! b # c", "a ! b"),
        (r'"a\#b" # c', r'"a\#b"'),
        (r"a \" # b", r"a \""),
        (r'"x \" # y" # z', r'"x \" # y"'),
        (r"a\\#b", r"a\\"),
        ("#", ""),
        ("", ""),
        ("a \\", "a \\"),
    ],
)
def test_a_comment_begins_anywhere_outside_double_quotes(line: str, kept: str) -> None:
    assert uncomment(Text.of_line(line))[0].text == kept


@pytest.mark.parametrize(
    ("line", "unclosed"), [('a "b', '"b'), ('"a" "b # c', '"b # c'), ('a "b"', None), (r"a \"b", None)]
)
def test_an_open_quote_is_found(line: str, unclosed: str | None) -> None:
    found = uncomment(Text.of_line(line))[1]
    assert (found.text if found else None) == unclosed


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("a b", ("a b", "", "")),
        ("a { b }", ("a", "{", "b }")),
        ("80{", ("80", "{", "")),
        ('"a{b" c } d', ('"a{b" c', "}", "d")),
        ("'{' x", ("'", "{", "' x")),
        ("}", ("", "}", "")),
        ('a "b { c', ('a "b { c', "", "")),
    ],
)
def test_the_first_brace_outside_double_quotes_cuts_the_line(line: str, parts: tuple[str, ...]) -> None:
    assert tuple(part.text for part in split_brace(Text.of_line(line))) == parts


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a  b\tc\vd\fe", ["a", "b", "c", "d", "e"]),
        ('"a b" ""', ["a b", ""]),
        ('a"b"c', ["a", "b", "c"]),
        ("'A b'", ["'A", "b'"]),
        ('protocol "TCP"', ["protocol", "TCP"]),
        ("a\xa0b", ["a\xa0b"]),
        ('a "b', ["a"]),
    ],
)
def test_words_are_cut_at_blanks_and_double_quotes(line: str, words: list[str]) -> None:
    made, _ = logical_line(Text.of_line(line), HERE)
    assert made is not None
    assert [word.text for word in made.words] == words


def test_a_line_that_is_only_an_open_quote_has_no_words() -> None:
    made, unclosed = logical_line(Text.of_line('"a b'), HERE)

    assert made is None
    assert unclosed is not None


def test_each_word_tells_where_it_stands() -> None:
    text, _ = uncomment(Text.of_line(r'  weight\#x "a b" c # d'))
    line, _ = logical_line(text, HERE)

    assert line is not None
    assert [(w.text, w.span.column, w.span.end_column) for w in line.words] == [
        ("weight#x", 3, 12),
        ("a b", 13, 18),
        ("c", 19, 20),
    ]
    assert (line.span.line, line.span.column, line.span.end_column) == (7, 3, 20)
    assert line.raw == 'weight#x "a b" c'


def test_replaced_text_stands_where_the_reference_stood() -> None:
    text = Text.of_line("a ${X} b").replace(2, 6, "one two")
    line, _ = logical_line(text, HERE)

    assert line is not None
    assert [(w.text, w.span.column, w.span.end_column) for w in line.words] == [
        ("a", 1, 2),
        ("one", 3, 7),
        ("two", 3, 7),
        ("b", 8, 9),
    ]


@given(st.text('ab {}\t"', max_size=40))
def test_the_fast_way_reads_what_the_slow_way_reads(line: str) -> None:
    match = PLAIN.match(line)
    if not match or match.end() != len(line):
        assert line.count('"') % 2 == 1
        return
    slow = []
    rest = Text.of_line(line).strip()
    while rest.text:
        before, brace, rest = split_brace(rest)
        made, _ = logical_line(before, HERE)
        slow += [made] if made else []
        slow += [logical_line(brace, HERE)[0]] if brace.text else []
    fast = list(plain_logical_lines(line, HERE.origin, HERE.line))

    assert [(each.words, each.raw, each.span) for each in fast] == [
        (each.words, each.raw, each.span) for each in slow if each
    ]
