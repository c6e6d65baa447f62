"""Diagnostics as a person and as a tool see them."""

from __future__ import annotations

import json
import re

import pytest

from keepalive_py.config.diagnostics import Diagnostic, ExitClass, Origin, Severity, Span
from keepalive_py.config.render import SourceLines, as_json, render_json, render_text
from keepalive_py.config.source import Documents

MAIN = Origin("/etc/keepalived/keepalived.conf")
WEB = Origin("/etc/keepalived/web.conf", Span(MAIN, 3))
TEXT = "\n" * 11 + "virtual_server 203.0.113.10 443 {\n    # ours\n    lvs_shed wrr\n}\n"
FILES = SourceLines(Documents({WEB.file: TEXT}))

MISSPELT = Diagnostic(
    Severity.ERROR,
    "unknown-keyword",
    "`lvs_shed` is not a keyword of virtual_server",
    subject=Span(WEB, 14, 5, 13),
    context=Span(WEB, 12, 1, 32),
    context_title="virtual_server 203.0.113.10 443",
    label="did you mean `lvs_sched`?",
    notes=("keepalived skips this line and runs with wlc; so do we, unless --strict",),
    exit_class=ExitClass.UNKNOWN_KEYWORD,
)


def lines_of(text: str) -> SourceLines:
    return SourceLines(Documents({"k": text}))


def at(column: int, end: int, line: int = 1, **more: str) -> Diagnostic:
    return Diagnostic(Severity.WARNING, "code", "summary", Span(Origin("k"), line, column, end), **more)  # type: ignore[arg-type]


def test_an_error_shows_its_line_its_place_and_its_block() -> None:
    assert render_text(MISSPELT, FILES) == (
        "/etc/keepalived/web.conf:14:5: error[unknown-keyword]:"
        " `lvs_shed` is not a keyword of virtual_server\n"
        "   14 |     lvs_shed wrr\n"
        "      |     ^^^^^^^^ did you mean `lvs_sched`?\n"
        "  note: in virtual_server 203.0.113.10 443 (line 12),"
        " included from /etc/keepalived/keepalived.conf:3\n"
        "  note: keepalived skips this line and runs with wlc; so do we, unless --strict"
    )


def test_a_problem_without_a_place_is_one_line_and_its_notes() -> None:
    problem = Diagnostic(Severity.WARNING, "several-files", "k* matches 2 files", notes=("k1", "k2"))

    assert render_text(problem, FILES) == (
        "warning[several-files]: k* matches 2 files\n  note: k1\n  note: k2"
    )


def test_a_file_that_is_gone_leaves_the_headline() -> None:
    assert render_text(at(1, 2), SourceLines(Documents({}))) == "k:1:1: warning[code]: summary"
    assert render_text(at(1, 2, line=9), lines_of("a")) == "k:9:1: warning[code]: summary"


def test_the_whole_chain_of_includes_is_named() -> None:
    middle = Origin("b", Span(Origin("a"), 1))
    problem = Diagnostic(Severity.NOTE, "code", "summary", Span(Origin("c", Span(middle, 2)), 3))

    assert render_text(problem, lines_of("")).endswith("  note: included from b:2, from a:1")


def test_a_block_of_another_file_is_named_with_it() -> None:
    inner = Span(Origin("k", Span(MAIN, 8)), 1)
    problem = Diagnostic(Severity.NOTE, "code", "s", inner, context=Span(MAIN, 2), context_title="SSL")

    assert "note: in SSL (/etc/keepalived/keepalived.conf:2), included" in render_text(problem, lines_of("x"))


@pytest.mark.parametrize(
    ("text", "column", "end", "pointer"),
    [
        ("ab cd", 4, 6, "   ^^"),
        ("\tab cd", 5, 7, "\t   ^^"),
        ("日本 cd", 4, 6, "     ^^"),
        ("cd 日本", 4, 6, "   ^^^^"),
        ("u\u0308 cd", 4, 6, "  ^^"),
        (" ", 1, 1, "^"),
        ("ab", 3, 3, "  ^"),
        ("ab", 1, 99, "^^"),
    ],
)
def test_the_caret_stands_under_the_place(text: str, column: int, end: int, pointer: str) -> None:
    assert render_text(at(column, end), lines_of(text)).splitlines()[2] == f"      | {pointer}"


def test_a_long_line_is_shown_around_the_place() -> None:
    text = "a" * 500 + "WRONG" + "b" * 500
    _, shown, pointer = render_text(at(501, 506), lines_of(text)).splitlines()

    assert len(shown) < 140
    assert shown[pointer.index("^") : pointer.index("^") + 5] == "WRONG"


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x07", "\x9b", "\u202e", "\udcff", "\x00", "\r"])
def test_a_file_cannot_drive_the_terminal(hostile: str) -> None:
    problem = Diagnostic(
        Severity.ERROR,
        "code",
        f"summary {hostile}",
        Span(Origin(f"k{hostile}"), 1, 1, 3),
        context=Span(Origin("k"), 1),
        context_title=hostile,
        label=hostile,
        notes=(hostile,),
    )
    text = render_text(problem, SourceLines(Documents({f"k{hostile}": f"a{hostile}b"})))

    assert hostile not in text
    text.encode()


def test_colour_changes_nothing_but_colour() -> None:

    coloured = render_text(MISSPELT, FILES, color=True)

    assert "\x1b[1;31merror[unknown-keyword]\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render_text(MISSPELT, FILES)


def test_each_file_is_read_once() -> None:
    class Counting(Documents):
        def read(self, path: str):  # type: ignore[no-untyped-def]
            reads.append(path)
            return super().read(path)

    reads: list[str] = []
    files = SourceLines(Counting({"k": "a\r\nb"}))

    assert [files.line("k", number) for number in (0, 1, 2, 3)] == [None, "a", "b", None]
    assert reads == ["k"]


def test_json_holds_everything_and_the_exit_status() -> None:
    whole = json.loads(render_json([MISSPELT]))

    assert whole["exit_status"] == 5
    assert whole["diagnostics"] == [as_json(MISSPELT)]
    assert whole["diagnostics"][0] == {
        "severity": "error",
        "code": "unknown-keyword",
        "summary": "`lvs_shed` is not a keyword of virtual_server",
        "label": "did you mean `lvs_sched`?",
        "notes": ["keepalived skips this line and runs with wlc; so do we, unless --strict"],
        "where": {
            "file": "/etc/keepalived/web.conf",
            "line": 14,
            "column": 5,
            "end_column": 13,
            "included_from": {
                "file": "/etc/keepalived/keepalived.conf",
                "line": 3,
                "column": 1,
                "end_column": 1,
                "included_from": None,
            },
        },
        "block": "virtual_server 203.0.113.10 443",
        "block_where": {
            "file": "/etc/keepalived/web.conf",
            "line": 12,
            "column": 1,
            "end_column": 32,
            "included_from": {
                "file": "/etc/keepalived/keepalived.conf",
                "line": 3,
                "column": 1,
                "end_column": 1,
                "included_from": None,
            },
        },
        "exit_class": "unknown_keyword",
    }


def test_json_of_nothing_and_of_bytes_that_are_no_utf8() -> None:
    bare = Diagnostic(Severity.NOTE, "code", "\udcff")

    assert json.loads(render_json([])) == {"exit_status": 0, "diagnostics": []}
    assert json.loads(render_json([bare]))["diagnostics"][0]["where"] is None
    render_json([bare]).encode()
