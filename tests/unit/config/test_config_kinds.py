"""Kinds of values: what words mean, what is refused, and that what is written is read again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import BY_KIND, hex_patterns, values

from keepalive_py.config.diagnostics import Origin, Span
from keepalive_py.config.forwarding import Forwarding, Method, MethodKind, Tunnel, TunnelType
from keepalive_py.config.kinds import (
    Choice,
    Digest,
    Flag,
    HexBytes,
    HexPattern,
    Integer,
    Interface,
    IpAddress,
    LogOnly,
    Names,
    RegexLine,
    ScriptLine,
    Seconds,
    StatusCodes,
    Switch,
    Text,
    Word,
)
from keepalive_py.config.lexer import Place, logical_line
from keepalive_py.config.lexer import Text as Line
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.lines import Word as LineWord
from keepalive_py.config.schema import NOTHING, BadValue, MissingValue


def line(words):
    found, unclosed = logical_line(Line.of_line(f"keyword {words}".rstrip()), Place(Origin("f"), 1))
    assert found is not None
    assert unclosed is None
    return found


def used(kind, words):
    """What is taken of words that are refused, and the index of the word at fault."""
    with pytest.raises(BadValue) as caught:
        kind.parse(line(words))
    return caught.value.used, caught.value.word


GOOD = [
    (Integer(0, 9), "5", 5),
    (Integer(0, 9), "005", 5),
    (Integer(0, 9), "+5", 5),
    (Integer(0, 9), '" 5"', 5),
    (Integer(0, 9), '""', 0),
    (Integer(-9, 9), "-5", -5),
    (Integer(0, 9), "5 ignored", 5),
    (Seconds(), "5", 5.0),
    (Seconds(), "0.25", 0.25),
    (Seconds(), ".5", 0.5),
    (Seconds(), "5.", 5.0),
    (Seconds(), "0.000001", 0.000001),
    (Switch(), "", True),
    (Switch(), "yes", True),
    (Switch(), "no", False),
    (Flag(), "anything", True),
    (Word(), '"a b"', "a b"),
    (Choice({"TCP": 6}, fold=True), "tcp", 6),
    (Interface(), "eth0.100", "eth0.100"),
    (StatusCodes(), "404 200 201-204 203-210", ((200, 210), (404, 404))),
    (Digest(), "00" * 15 + "fF", bytes(15) + b"\xff"),
    (HexBytes(), "00 1 ff", b"\x00\x01\xff"),
    (HexBytes(), "001", b"\x00\x01"),
    (HexPattern(), "1X xx 5", (b"\x10\x00\x05", b"\xf0\x00\xff")),
    (HexPattern(), "", (b"", b"")),
    (Names(frozenset({"a", "b"})), "a b a", frozenset({"a", "b"})),
    (RegexLine(), r"'a\x20b'", "a b"),
    (MethodKind(), "DR", Method(Forwarding.DR, Tunnel())),
    (MethodKind(), "TUN type gue port 6080", Method(Forwarding.TUN, Tunnel(TunnelType.GUE, 6080))),
]


@pytest.mark.parametrize(("kind", "words", "value"), GOOD)
def test_words_become_a_value(kind, words, value):
    assert kind.parse(line(words)) == value


BAD = [
    (Integer(0, 9), "10", NOTHING, 1),
    (Integer(0, 9), "5x", NOTHING, 1),
    (Integer(0, 9), "0x5", NOTHING, 1),
    (Integer(0, 9), '"5 "', NOTHING, 1),
    (Integer(0, 9), "9" * 5000, NOTHING, 1),
    (Integer(0, 9, lenient=True), "5x", 5, 1),
    (Integer(0, 9, lenient=True), "99x", NOTHING, 1),
    (Integer(0, 9, lenient=True), "x", NOTHING, 1),
    (Integer(1, 9, clamp=True), "10", 9, 1),
    (Integer(1, 9, clamp=True), "0", 1, 1),
    (Integer(1, 9, fallback=1), "x", 1, 1),
    (Seconds(lenient=True), "5s", 5.0, 1),
    (Seconds(lenient=True), "5m", NOTHING, 1),
    (Seconds(lenient=True), "s", NOTHING, 1),
    (Seconds(), "5s", NOTHING, 1),
    (Seconds(), "1e3", NOTHING, 1),
    (Seconds(0.000001), "0", NOTHING, 1),
    (Seconds(), "1.1234567", 1.123457, 1),
    (Switch(), "maybe", NOTHING, 1),
    (Flag(), "off", True, 1),
    (Word(4), "abcdef", "abcd", 1),
    (Text(alone=True), "a b", NOTHING, 2),
    (Choice({"TCP": 6}), "tcp", NOTHING, 1),
    (IpAddress(), "example.org", NOTHING, 1),
    (IpAddress(), "fe80::1%eth0", NOTHING, 1),
    (IpAddress(), "010.0.0.1", NOTHING, 1),
    (Interface(), "0123456789abcdef", NOTHING, 1),
    (StatusCodes(), "200 99", NOTHING, 2),
    (StatusCodes(), "300-200", NOTHING, 1),
    (Digest(), "00", NOTHING, 1),
    (HexBytes(), "0g", NOTHING, 1),
    (HexBytes(), '""', NOTHING, 1),
    (Names(frozenset({"a"})), "a z", frozenset({"a"}), 2),
    (RegexLine(), "'a", NOTHING, 1),
    (ScriptLine(), "'a", NOTHING, 1),
    (ScriptLine(), '""', NOTHING, 1),
    (MethodKind(), "nat", NOTHING, 1),
    (MethodKind(), "TUN type gue", Method(Forwarding.TUN), 1),
    (MethodKind(), "TUN type ipip csum", Method(Forwarding.TUN), 1),
    (MethodKind(), "TUN type gre remcsum", Method(Forwarding.TUN), 1),
    (MethodKind(), "TUN what", Method(Forwarding.TUN), 2),
]


@pytest.mark.parametrize(("kind", "words", "value", "word"), BAD)
def test_words_are_refused(kind, words, value, word):
    assert used(kind, words) == (value, word)


@pytest.mark.parametrize(
    "kind",
    [
        Integer(),
        Seconds(),
        Word(),
        Choice({"a": 1}),
        IpAddress(),
        StatusCodes(),
        Digest(),
        HexBytes(),
        ScriptLine(),
    ],
)
def test_a_missing_value_is_told_apart(kind):
    with pytest.raises(MissingValue):
        kind.parse(line(""))


def test_a_range_where_one_address_is_wanted_is_its_first_address():
    value, _ = used(IpAddress(), "10.0.0.1-9")
    assert str(value) == "10.0.0.1"


def test_mistakes_that_only_go_to_the_log_do_not_count():
    with pytest.raises(BadValue) as caught:
        LogOnly(Integer(0, 9)).parse(line("x"))
    assert caught.value.exit_class is None


SCRIPTS = [
    ("/x", ("/x",), None, None),
    ("/x user group more", ("/x",), "user", "group"),
    ('"/x a b" user', ("/x", "a", "b"), "user", None),
    ("'/x \"a b\"'", ("/x", "a b"), None, None),
    (r'"/p/s.sh \'a b\' e\x20f g\ h"', ("/p/s.sh", "'a", "b'", "e f", "g h"), None, None),
    ('"/p/s.sh \'a b\' \\"c d\\" e\\x20f g\\ h"', ("/p/s.sh", "a b", '"c', 'd"', "e f", "g h"), None, None),
]


@pytest.mark.parametrize(("words", "argv", "user", "group"), SCRIPTS)
def test_commands_are_read_twice(words, argv, user, group):
    found = ScriptLine().parse(_raw(words))
    assert (found.argv, found.user, found.group) == (argv, user, group)


def _raw(words):
    """A line for those who read its raw text: the lexer's quotes and theirs differ."""
    span = Span(Origin("f"), 1)
    return LogicalLine((LineWord("keyword", span),), f"keyword {words}", span)


ANSWER_OTHERWISE = {"NotHere", "TimeoutsLine"}  # these read a line, or a part of a value


@pytest.mark.parametrize(
    "kind_class",
    [each for each in BY_KIND if each.__name__ not in ANSWER_OTHERWISE],
    ids=lambda each: each.__name__,
)
def test_what_is_written_is_read_again(kind_class):
    kind = _example(kind_class)

    @given(values(kind))
    def law(value):
        text = kind.write(value)
        again = kind.parse(_line_of(text, kind))
        assert kind.write(again) == text

    law()


@given(hex_patterns())
def test_a_hex_pattern_is_read_as_itself(pattern):
    assert HexPattern().parse(line(HexPattern().write(pattern))) == pattern


@given(st.text("ab.*\"'\\$#{}()é \x01\n", min_size=1, max_size=9))
def test_a_pattern_is_read_as_itself(pattern):
    assert RegexLine().parse(line(RegexLine().write(pattern))) == pattern


def _example(kind_class):
    """A kind of the class, with what it must be told."""
    if kind_class is Choice:
        return Choice({"a": 1, "b": 2})
    if kind_class is Names:
        return Names(frozenset({"a", "b", "c"}))
    if kind_class is LogOnly:
        return LogOnly(Integer())
    special = {"OptionalWord": ("",), "OptionalNumber": (0, 9, 9), "NotHere": (False,)}
    return kind_class(*special.get(kind_class.__name__, ()))


def _line_of(text, kind):
    """Lines of lists have no keyword of their own."""
    if kind.__class__.__name__ in {"MemberLine", "LocalLine"}:
        found, _ = logical_line(Line.of_line(text), Place(Origin("f"), 1))
        assert found is not None
        return found
    return line(text)
