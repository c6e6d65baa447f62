"""The canonical layout keeps what a text means."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepalive_py.config import preprocess
from keepalive_py.config.fmt import format_text
from keepalive_py.config.preprocess import ReadOptions, read_lines
from keepalive_py.config.source import Documents

PIECES = [
    "a", "b ", "weight 1", "\t", "  ", "{", "}", " {", "{}", '"', "'", "\\", "\\\n", "# c", "!", "\\#", "(",
    ")", ",", "\r\n", "\n", "\n\n", "\n   \n", "\0", "$A", "${A}", "$A=", "$B=", "${B}", "$i",
    "${_HASH}", "${U}", "@id ", "@^id ", "@no ", "~SEQ(i,2) ", "~LST({i,A},{1,2},{3}) ",
    "include s", '"q { r"', "x" * 1015,
]  # fmt: skip


def dedent(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


@pytest.fixture(autouse=True)
def few_lines():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preprocess, "MOST_LINES_MADE", 2000)
        yield


def meaning(text: str, config_id: str) -> object:
    source = Documents({"/d/k": text, "/d/s": "s {\n"})
    reading = read_lines("/d/k", source, ReadOptions(config_id=config_id))
    lines = [([word.text for word in line.words], line.raw, line.brace) for line in reading.lines]
    return lines, sorted(diagnostic.code for diagnostic in reading.diagnostics)


@pytest.mark.parametrize(
    ("text", "laid_out"),
    [
        ("", ""),
        ("\n \n\n", ""),
        ("a", "a\n"),
        (
            """
            ! Configuration File for keepalived


            global_defs {

            router_id LVS_1   # who we are
              notification_email {
            a@b
            }

            }
            # The web.
            virtual_server 10.0.0.1 80{
            real_server 10.0.0.2 80 {
                    TCP_CHECK{connect_timeout 3}
            }
            real_server 10.0.0.3 80 {}


            delay_loop 5
            }
            """,
            """
            ! Configuration File for keepalived

            global_defs {
                router_id LVS_1   # who we are
                notification_email {
                    a@b
                }
            }

            # The web.
            virtual_server 10.0.0.1 80 {
                real_server 10.0.0.2 80 {
                    TCP_CHECK { connect_timeout 3 }
                }
                real_server 10.0.0.3 80 { }

                delay_loop 5
            }
            """,
        ),
        (
            """
            virtual_server 1 80
            {
            real_server 2 80

            {   # one
            weight 1
            }
            real_server 3 80 # not joined
            {
            }
            }
            """,
            """
            virtual_server 1 80 {
                real_server 2 80 {   # one
                    weight 1
                }
                real_server 3 80 # not joined
                {
                }
            }
            """,
        ),
        (
            """
            $VIP=10.0.0.1
              $RS=\\
                real_server 10.0.0.${i} 80 { \\

            virtual_server ${VIP} 80 {
            include rs/{a,b}.conf
            ~SEQ(i,2) $RS
            ~LST({a,b},{1,2}) real_server ${a} ${b} {
            weight 1
            }
            @one weight 1
            }
            """,
            """
            $VIP=10.0.0.1
              $RS=\\
                real_server 10.0.0.${i} 80 { \\


            virtual_server ${VIP} 80 {
                include rs/{a,b}.conf
                ~SEQ(i,2) $RS
                ~LST({a,b},{1,2}) real_server ${a} ${b} {
                    weight 1
                }
                @one weight 1
            }
            """,
        ),
        (
            """
            @one virtual_server 1 80 {
            @two virtual_server 2 80 {
            weight 1
            }
            include x
            """,
            """
            @one virtual_server 1 80 {
            @two virtual_server 2 80 {
                weight 1
            }

            include x
            """,
        ),
        ("a {\n}\n}\n}\nb\n", "a {\n}\n\n}\n}\nb\n"),
        ("x {\r\n y\r\n}\r\n", "x {\n    y\n}\n"),
        ("a { b {\nc\n}}\nd\n", "a { b {\n        c\n} }\n\nd\n"),
    ],
)
def test_the_layout(text: str, laid_out: str) -> None:
    assert format_text(dedent(text)) == dedent(laid_out)


def test_the_indentation_can_be_chosen() -> None:
    assert format_text("a {\nb {\n c\n}\n}", indent="\t") == "a {\n\tb {\n\t\tc\n\t}\n}\n"


def test_a_line_that_would_become_too_long_stays() -> None:
    text = "a {\n" + "x" * 1020 + "\n}\n"

    assert format_text(text) == text


texts = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


@given(texts | st.text(max_size=60), st.sampled_from(["id", "no"]))
@settings(max_examples=200, deadline=None)
def test_formatting_changes_no_logical_line(text: str, config_id: str) -> None:
    assert meaning(format_text(text), config_id) == meaning(text, config_id)


@given(texts)
@settings(max_examples=200, deadline=None)
def test_formatting_twice_is_formatting_once(text: str) -> None:
    once = format_text(text)

    assert format_text(once) == once


@given(texts)
def test_no_two_blank_lines_and_no_blanks_at_the_ends(text: str) -> None:
    if "\\" in text:
        return
    once = format_text(text)

    assert "\n\n\n" not in once
    assert not once.startswith("\n")
    assert once in {"", "\n"} or once.endswith("\n")


@given(texts)
def test_every_comment_is_kept(text: str) -> None:
    assert format_text(text).count("# c") == text.count("# c")
