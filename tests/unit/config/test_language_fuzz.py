"""Any bytes become lines and diagnostics, never an exception.

`FUZZ_SECONDS=60 pytest tests/unit/config/test_language_fuzz.py -k random` reads random
texts for a minute; the seed of a failure is in the message.
"""

from __future__ import annotations

import os
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepalive_py.config import preprocess
from keepalive_py.config.diagnostics import Span, exit_status
from keepalive_py.config.lexer import BLANKS
from keepalive_py.config.preprocess import Reading, ReadOptions, read_lines
from keepalive_py.config.render import SourceLines, render_json, render_text
from keepalive_py.config.source import Documents, SourceProblem

PIECES = [
    "a", "b ", "weight 1", "\t", "{", "}", '"', "'", "\\", "\\\n", "#", "!", "\\#", "(", ")", ",", "=",
    "\r\n", "\n", "\0", "\xff", "ü", "$A", "${A}", "$A=", "$B=", "${B}", "$i", "${i}",
    "${_PWD}", "${_RANDOM 1 2}", "${_ENV X}", "${_HASH}", "${U}", "@id ", "@^id ", "@no ",
    "~SEQ(i,3)", "~SEQ(i,$A)", "~SEQx(B,9,11) ", "~LST(i,a,b)", "~LST({i,A},{1,2},{3})", "~SEQ(", "~LST({",
    "include k ", "include s\n", "includea {s,n*}\n", "include ",
]  # fmt: skip
OPTIONS = ReadOptions(config_id="id", environment={"X": "$A"}, directory="/d")


@pytest.fixture(autouse=True)
def few_lines():
    """A sequence of millions of lines is allowed, and slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preprocess, "MOST_LINES_MADE", 2000)
        yield


texts = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
contents = st.one_of(
    st.binary(max_size=200),
    texts.map(lambda text: text.encode("utf-8")),
    texts.map(lambda text: text.encode("latin-1")),
)


def source_of(main: bytes, other: bytes) -> Documents:
    return Documents({"/d/k": main, "/d/s": other}, {"/d/x": SourceProblem.EXECUTABLE})


def read(main: bytes, other: bytes) -> Reading:
    return read_lines("/d/k", source_of(main, other), OPTIONS)


def assert_sound(reading: Reading, source: Documents) -> None:
    """What the block layer relies on."""
    shown = SourceLines(source)
    for line in reading.lines:
        assert line.words
        assert line.brace in {"", "{", "}"}
        assert not line.brace or line.raw == line.keyword == line.brace
        for span in (line.span, *(word.span for word in line.words)):
            assert_in_file(span, shown)
    for diagnostic in reading.diagnostics:
        if diagnostic.subject:
            assert_in_file(diagnostic.subject, shown)
        render_text(diagnostic, shown).encode()
    render_json(reading.diagnostics).encode()
    assert exit_status(reading.diagnostics) in {0, 5, 6}


def assert_in_file(span: Span, shown: SourceLines) -> None:
    text = shown.line(span.file, span.line)
    assert text is not None
    assert 1 <= span.column <= span.end_column <= len(text) + 2


@given(contents, contents)
@settings(max_examples=400, deadline=None)
def test_any_bytes_become_lines_and_diagnostics(main: bytes, other: bytes) -> None:
    assert_sound(read(main, other), source_of(main, other))


@given(contents, contents)
@settings(max_examples=200, deadline=None)
def test_the_fast_way_through_a_file_reads_what_the_slow_way_reads(main: bytes, other: bytes) -> None:
    fast = read(main, other)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preprocess, "_LONGEST_PLAIN", 0)
        slow = read(main, other)

    assert fast == slow


@given(st.text("ab1. \t{}\"'#!\n\r", max_size=80))
def test_without_references_a_word_is_what_stands_at_its_place(text: str) -> None:
    shown = SourceLines(Documents({"/d/k": text}))
    for line in read(text.encode(), b"").lines:
        for word in line.words:
            physical = shown.line(word.span.file, word.span.line) or ""
            assert physical[word.span.column - 1 : word.span.end_column - 1].strip('"') == word.text.strip(
                '"'
            )


@given(contents)
def test_blank_lines_comments_and_indentation_change_nothing(text: bytes) -> None:
    plain = [line for line in text.split(b"\n") if not {b"\\"[0], 0} & set(line)]
    padded = [b"", b"# x", *(b"\t " + line + b" \t\r" for line in plain), b"! y"]

    one, two = read(b"\n".join(plain), b""), read(b"\n".join(padded), b"")

    assert [line.raw for line in one.lines] == [line.raw for line in two.lines]


@given(texts.map(lambda text: text.encode()))
def test_reading_twice_answers_the_same(text: bytes) -> None:
    assert read(text, b"") == read(text, b"")


def test_words_never_hold_a_blank_unless_they_were_quoted() -> None:
    for line in read(b'a\x0bb \xc2\xa0c "d e"\x0c{', b"").lines:
        for word in line.words:
            assert not set(word.text) & set(BLANKS) or word.text == "d e"


@pytest.mark.slow
def test_random_texts_for_a_while() -> None:
    end = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "2"))
    seed = random.SystemRandom().randrange(1 << 48)
    while time.monotonic() < end:
        seed += 1
        chance = random.Random(seed)
        main, other = (random_text(chance) for _ in range(2))
        try:
            assert_sound(read(main, other), source_of(main, other))
        except Exception as error:
            raise AssertionError(f"seed {seed}: {main!r}, {other!r}") from error


def random_text(chance: random.Random) -> bytes:
    text = "".join(chance.choices(PIECES, k=chance.randrange(60))).encode("utf-8")
    noise = bytearray(text)
    for _ in range(chance.randrange(4)):
        noise.insert(chance.randint(0, len(noise)), chance.randrange(256))
    return bytes(noise)
