"""From files to logical lines.

Most cases were observed with keepalived 2.2.7 and 2.4.3, which agree on them.
"""

from __future__ import annotations

import time

import pytest

from keepalive_py.config.diagnostics import Diagnostics, ExitClass, Severity, exit_status
from keepalive_py.config.preprocess import (
    IncludeCheck,
    LineReader,
    Reading,
    ReadOptions,
    iterate_lines,
    read_lines,
)
from keepalive_py.config.source import Documents, SourceProblem

OPTIONS = ReadOptions(
    config_id="exp", environment={"HOME": "/root", "EMPTY": ""}, random=lambda low, high: high, directory="/e"
)


def read(
    text: str | bytes, others: dict[str, str | bytes] | None = None, **problems: SourceProblem
) -> Reading:
    source = Documents(
        {"/e/k.conf": text, **(others or {})}, {f"/e/{k}.conf": v for k, v in problems.items()}
    )
    return read_lines("/e/k.conf", source, OPTIONS)


def shape(reading: Reading) -> list[str]:
    """Each logical line as its words, with a bar between them."""
    return ["|".join(word.text for word in line.words) for line in reading.lines]


def codes(reading: Reading) -> list[str]:
    return [diagnostic.code for diagnostic in reading.diagnostics]


# Lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("\n\n  \n\t\n# c\n! c\n", []),
        ("a b", ["a|b"]),
        ("a\r\n\r\nb\r\n", ["a", "b"]),
        ("a\r", ["a"]),
        ("vs 1 80 {\n}\n", ["vs|1|80", "{", "}"]),
        ("vs 1 80\n{\n}\n", ["vs|1|80", "{", "}"]),
        (
            "vs 1 80{TCP_CHECK{connect_port 81}}",
            ["vs|1|80", "{", "TCP_CHECK", "{", "connect_port|81", "}", "}"],
        ),
        ("{ } { } c", ["{", "}", "{", "}", "c"]),
        ("protocol TCP lb_algo rr", ["protocol|TCP|lb_algo|rr"]),
        ('"protocol" "TCP"', ["protocol|TCP"]),
        ('x "{" y', ["x|{|y"]),
        ("weight 1 {", ["weight|1", "{"]),
        (r"router_id a\#b", ["router_id|a#b"]),
        ("router_id ${NOPE}", ["router_id|$", "{", "NOPE", "}"]),
        ("X${UNDEF}Y", ["X$", "{", "UNDEF", "}", "Y"]),
    ],
)
def test_text_becomes_logical_lines(text: str, lines: list[str]) -> None:
    assert shape(read(text)) == lines


def test_a_quoted_brace_is_a_word_and_no_brace_line() -> None:
    first, second = read('"{"\n{').lines

    assert (first.keyword, first.brace) == ("{", "")
    assert (second.keyword, second.brace) == ("{", "{")


def test_lines_and_columns_are_those_of_the_file() -> None:
    reading = read("a {\n\n  b  c } d\r\n# x\ne")

    assert [(line.raw, line.span.line, line.span.column, line.span.end_column) for line in reading.lines] == [
        ("a", 1, 1, 2),
        ("{", 1, 3, 4),
        ("b  c", 3, 3, 7),
        ("}", 3, 8, 9),
        ("d", 3, 10, 11),
        ("e", 5, 1, 2),
    ]


def test_columns_count_characters_and_bytes_that_are_no_utf8_survive() -> None:
    line = read("ü \xff".encode("latin-1") + "é x".encode()).lines[0]

    assert [word.text for word in line.words] == ["\udcfc", "\udcffé", "x"]
    assert [word.span.column for word in line.words] == [1, 3, 6]


def test_a_byte_order_mark_is_told() -> None:
    reading = read("\ufeffa b\ninclude more\n", {"/e/more": "\ufeffc"})
    assert shape(reading) == ["\ufeffa|b", "\ufeffc"]
    assert codes(reading) == ["byte-order-mark", "byte-order-mark"]


def test_an_open_quote_is_told_once_and_the_words_before_it_are_kept() -> None:
    reading = read('global_defs {\nrouter_id "abc\n}\n')

    assert shape(reading) == ["global_defs", "{", "router_id", "}"]
    (problem,) = reading.diagnostics
    assert (problem.code, problem.exit_class) == ("unterminated-quote", ExitClass.QUOTE)
    assert problem.subject is not None
    assert (problem.subject.line, problem.subject.column) == (2, 11)


def test_a_nul_spoils_only_its_line() -> None:
    reading = read(b"a\nb \0 c\nd # \0\ne\n")

    assert shape(reading) == ["a", "e"]
    assert codes(reading) == ["nul-byte", "nul-byte"]


@pytest.mark.parametrize(("length", "kept"), [(1022, True), (1023, False)])
def test_a_line_has_at_most_1022_bytes(length: int, kept: bool) -> None:
    plain = read("x" * length + "\na")
    wide = read("x" * (length - 2) + "ü\na")
    quoted = read("x" * (length - 2) + '""\na')

    for reading in (plain, wide, quoted):
        assert len(reading.lines) == (2 if kept else 1)
        assert codes(reading) == ([] if kept else ["line-too-long"])


def test_a_backslash_at_the_end_does_not_continue_a_line() -> None:
    reading = read("A \\\nB\nC # d \\\nE\n")

    assert shape(reading) == ["A\\", "B", "C", "E"]
    assert codes(reading) == ["trailing-backslash"]
    assert exit_status(reading.diagnostics) == 0


# Conditions


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("@exp a b", ["a|b"]),
        ("@other a", []),
        ("@^exp a", []),
        ("@^other a", ["a"]),
        ("  @exp\ta", ["a"]),
        ("@exp", []),
        ("@exp{", []),
        ("@^other", []),
        ("@!exp foo 1", []),
        ("@exp @exp a", ["@exp|a"]),
        ("a { @other b\n@exp c }", ["a", "{", "c", "}"]),
        ("@exp $A=1\nx $A", ["x|1"]),
        ("@other $A=1\nx ${A}", ["x|$", "{", "A", "}"]),
        ("@exp ~SEQ(i,2) x$i", ["x1", "x2"]),
        ("@other $A=1 \\\n  b \\\n  c\nd", ["d"]),
        ("$A=@exp\n$A foo", ["@exp|foo"]),
    ],
)
def test_a_condition_keeps_or_drops_the_rest_of_its_line(text: str, lines: list[str]) -> None:
    assert shape(read(text)) == lines


# Definitions


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("$P=80\n$IP=10.0.0.1\nvs $IP ${P} {", ["vs|10.0.0.1|80", "{"]),
        ("$P = 80", ["$P|=|80"]),
        ("$A=1 # c\nx $A,$A)", ["x|1,1)"]),
        ("$A=1\nx $A.x $AB", ["x|$A.x|$AB"]),
        ("$A=1\nx${A}y ${A}", ["x1y|1"]),
        ("$A=1\nx$A$A", ["x$A1"]),
        ("$A=\nx [${A}] $A", ["x|[]"]),
        ("$A=  a b  \n${A}", ["a|b"]),
        ('$A="a # b"\n${A} $A', ["a # b|a # b"]),
        ('$A=1\n"x ${A} y"', ["x 1 y"]),
        ('$A=1\n"$A"', ["$A"]),
        ("$A=${B}\n$B=2\nx $A", ["x|2"]),
        ("$A=1\n$A=2\nx $A", ["x|2"]),
        ("$A=1 $B=2\nx $A", ["x|1|$B=2"]),
        ("$A=$B=5\n$A\nx $B", ["x|5"]),
        ("a { $X=1\nb ${X} }", ["a", "{", "b|1", "}"]),
        ("$B=}\na {\n$B", ["a", "{", "}"]),
        ("$A=~SEQ(i,2)\n$A x$i", ["x1", "x2"]),
        ("$1=x\n$=y", ["$1=x", "$=y"]),
        ("$A=\\#x\n${A}", []),
        ("$_PWD=zz\n${_PWD}", ["zz"]),
    ],
)
def test_a_reference_becomes_what_its_definition_says(text: str, lines: list[str]) -> None:
    assert shape(read(text)) == lines


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${_PWD}", "/e"),
        ("${_INSTANCE}", "exp"),
        ("$_INSTANCE", "exp"),
        ("${_RANDOM}", "32767"),
        ("${_RANDOM 5}", "32767"),
        ("${_RANDOM 5 9}", "9"),
        ("${_RANDOM 9 5}", "9"),
        ("${_ENV HOME}", "/root"),
        ('"[${_ENV EMPTY}${_ENV UNSET}]"', "[]"),
        ('"${_HASH}${_BANG}"', "#!"),
    ],
)
def test_the_predefined_names(text: str, value: str) -> None:
    assert shape(read(text)) == [value]


def test_a_random_number_is_drawn_at_each_use() -> None:
    numbers = iter(range(10))
    options = ReadOptions(random=lambda low, high: next(numbers))
    reading = read_lines("k", Documents({"k": "${_RANDOM} ${_RANDOM}\n${_RANDOM 1 2}"}), options)

    assert shape(reading) == ["0|1", "2"]


@pytest.mark.parametrize("text", ["${_RANDOM a}", "${_RANDOM 1 2 3}", "${_ENV}", "${_PWD x}"])
def test_a_predefined_name_with_wrong_arguments_is_left_alone(text: str) -> None:
    assert shape(read(f'"{text}"')) == [text]


def test_a_hash_out_of_a_definition_begins_a_comment_and_that_is_told() -> None:
    reading = read("a ${_HASH} b")

    assert shape(reading) == ["a"]
    assert codes(reading) == ["comment-after-expansion"]
    assert exit_status(reading.diagnostics) == 0


def test_a_definition_may_switch_lines_off() -> None:
    reading = read("$OFF=${_HASH}\n$ON=\n$OFF a 1\n$ON b 2\n")
    assert shape(reading) == ["b|2"]
    assert codes(reading) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x ${NOPE}", ["undefined-reference"]),
        ("x '${NOPE}'", ["undefined-reference"]),
        ('sh "echo ${HOME}"', []),
        ('$VIP=1\nsh "echo ${VPI}"', ["undefined-reference"]),
        ("x $NOPE", []),
    ],
)
def test_an_undefined_reference_is_told_where_it_does_harm(text: str, told: list[str]) -> None:
    assert codes(read(text)) == told


def test_a_misspelt_reference_gets_a_suggestion() -> None:
    (problem,) = read("$BACKEND=1\nx ${BACKED}").diagnostics

    assert problem.label == "did you mean `BACKEND`?"
    assert problem.subject is not None
    assert (problem.subject.column, problem.subject.end_column) == (3, 12)


@pytest.mark.parametrize(
    "text",
    [
        "$A=${A}x\nx ${A}",
        "$A=$B\n$B=$A\nx $A",
        "$A=${B}\n$B=${A}\n${A}",
        "$A=$A${_HASH}\n$A",
        "$A=a \\\nb $A\n$A",
        "$A=b$B \\\nc\n$B=x \\\n$A\n$A",
    ],
)
def test_a_definition_that_leads_back_to_itself_is_an_error(text: str) -> None:
    reading = read(f"{text}\nend")

    assert "endless-definition" in codes(reading)
    assert shape(reading)[-1] == "end"
    assert exit_status(reading.diagnostics) == 5


MULTI = "$M=\\\n  a1 x \\\n# comment\n   \n  a2 y \\\n  a3\n"


@pytest.mark.parametrize("comment", ["# x", "  # x", "# x \\", "a2 # x \\"])
def test_a_comment_does_not_end_a_definition(comment: str) -> None:
    reading = read(f"$M=\\\na1 \\\n{comment}\na3\n$M")
    assert [line for line in shape(reading) if line != "a2"] == ["a1", "a3"]
    assert codes(reading) == []


@pytest.mark.parametrize(
    ("use", "lines"),
    [
        ("$M", ["a1|x", "a2|y", "a3"]),
        ("${M}", ["a1|x", "a2|y", "a3"]),
        ("pre $M", ["pre|a1|x", "a2|y", "a3"]),
        ("pre$M", ["prea1|x", "a2|y", "a3"]),
        ("$M # c", ["a1|x", "a2|y", "a3"]),
        ("o { $M", ["o", "{", "a1|x", "a2|y", "a3"]),
        ("@exp $M", ["a1|x", "a2|y", "a3"]),
        ("~SEQ(i,2) $M", ["a1|x", "a2|y", "a3"] * 2),
        ("$M post", ["$M|post"]),
        ("o { $M }", ["o", "{", "$M", "}"]),
        ('"$M"', ["$M"]),
        ("$N=1\nx $N $M", ["x|1|a1|x", "a2|y", "a3"]),
        ("$N=p \\\n$M \\\nq\n$N", ["p", "a1|x", "a2|y", "a3", "q"]),
    ],
)
def test_a_definition_of_several_lines_is_used_at_the_end_of_a_line(use: str, lines: list[str]) -> None:
    assert shape(read(MULTI + use)) == lines


def test_a_definition_of_several_lines_elsewhere_is_told() -> None:
    assert codes(read(MULTI + "o { $M }")) == ["definition-not-last"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("$A=a \\\n\nb\n$A", ["b", "a"]),
        ("$A=\\\n\nx $A", ["x"]),
        ("$A=x", []),
        ("$A=x \\", []),
        ("$A=a # c \\\nb\n$A", ["a", "b"]),
        ("$A=a \\ # c\nb\n$A", ["a", "b"]),
        ("$A=a \\ \nb\n$A", ["a", "b"]),
        ("$A=a \\\r\nb\r\n$A\r\n", ["a", "b"]),
        ("$A=a \\\n\r\n$A", ["a"]),
        ("$A=a \\\n@exp b \\\n@other c \\\nd\n$A", ["a", "b", "d"]),
        ("$A=a \\\n$B=3 \\\nx$B\n$A\n$B", ["a", "x3", "3"]),
        ("$A=a \\\n~SEQ(i,2) s$i \\\nb\n$A", ["a", "s1", "s2", "b"]),
        ("$A=a { \\\nb } \\\nc\n$A", ["a", "{", "b", "}", "c"]),
        ("$A=x$i \\\ny$i\n~SEQ(i,2) $A", ["x1", "y1", "x2", "y2"]),
        (
            "$RS=\\\n rs 1 { \\\n  weight 2 \\\n }\nvs {\n$RS\n}",
            ["vs", "{", "rs|1", "{", "weight|2", "}", "}"],
        ),
    ],
)
def test_how_a_definition_of_several_lines_begins_and_ends(text: str, lines: list[str]) -> None:
    assert shape(read(text)) == lines


def test_what_a_definition_stands_for_is_placed_where_it_is_used() -> None:
    reading = read("$M=a b \\\nc\n\n  pre $M")

    assert [(w.text, w.span.line, w.span.column) for line in reading.lines for w in line.words] == [
        ("pre", 4, 3),
        ("a", 4, 7),
        ("b", 4, 7),
        ("c", 4, 7),
    ]


def test_definitions_nested_deeply_are_refused() -> None:
    chain = "".join(f"$A{i}=x \\\n$A{i + 1}\n" for i in range(500))
    reading = read(f"{chain}$A500=y \\\nz\n$A0\nend")

    assert codes(reading) == ["too-deep"]
    assert shape(reading)[-1] == "end"


# Sequences


@pytest.mark.parametrize(
    ("head", "values"),
    [
        ("~SEQ(N,3)", "1 2 3"),
        ("~SEQ(N,0)", "1 0"),
        ("~SEQ(N,-2)", "-1 -2"),
        ("~SEQ(N,2,4)", "2 3 4"),
        ("~SEQ(N,6,4)", "6 5 4"),
        ("~SEQ(N,1,2,6)", "1 3 5"),
        ("~SEQ(N,6,-2,1)", "6 4 2"),
        ("~SEQ(N,5,-1,5)", "5"),
        ("~SEQ(N,1,9,3)", "1"),
        ("~SEQ(N,0x10,0x12)", "16 17 18"),
        ("~SEQ(N,06,010)", "6 7 8"),
        ("~SEQ(N,+2)", "1 2"),
        ("~SEQ ( N , 2 , 4 )", "2 3 4"),
        ("~SEQx(N,9,12)", "9 a b c"),
        ("~SEQx(N,144,16,192)", "90 a0 b0 c0"),
        ("~SEQ(N,$LOW,${HIGH})", "2 3"),
        ("~LST(N,a,b)", "a b"),
        ("~LST(N, a , b )", "a b"),
        ("~LST (N,a)", "a"),
        ("~LST(N,a,,b)", "a [] b"),
        ("~LST(N,)", "[]"),
        ("~LST({N},{a},{b})", "a b"),
        ("~LST(N,${HIGH},c)", "3 c"),
    ],
)
def test_a_sequence_makes_a_line_for_each_value(head: str, values: str) -> None:
    reading = read(f'$LOW=2\n$HIGH=3\n{head} "${{N}}"')

    assert [line.keyword or "[]" for line in reading.lines] == values.split()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("~LST({a,p},{10.0.0.2,80},{10.0.0.3,81}) rs ${a} ${p} { }", "rs|10.0.0.2|80 { } rs|10.0.0.3|81 { }"),
        ("~LST({i,j},{a,b},{c}) x${i}y${j}", "xayb xcy"),
        ("~LST({i, j}, {1 , 2},3) x${i}y${j}", "x1y2 x3y"),
        ("~SEQ(i,2) ~SEQ(j,$i,2) x${i}y${j}", "x1y1 x1y2 x2y2"),
        ("~LST(i,a,b) ~SEQ(j,2) x${i}${j}", "xa1 xa2 xb1 xb2"),
        ("~SEQ(i,2)x${i}", "x1 x2"),
        ("~SEQ(i,2)", ""),
        ("~SEQ(i,2) {", "{ {"),
        ("a { ~SEQ(i,2) b$i } c", "a { b1 } c b2 } c"),
        ("~SEQ(i,2) $X=$i\ny$i z${X}", "y2|z2"),
        ("~SEQ(i,1) @exp x$i", "x1"),
        ("~SEQ(i,2) ~SEQ(i,5,6) x$i", "x5 x6 x5 x6"),
        ("~SEQ(i,2) x$i\n~SEQ(i,7,8) x$i", "x1 x2 x7 x8"),
        ("x~SEQ(i,2) b", "x~SEQ(i,2)|b"),
        ("~FOO(i,2) b", "~FOO(i,2)|b"),
    ],
)
def test_sequences_nest_and_their_text_is_a_line(text: str, lines: str) -> None:
    assert shape(read(text)) == lines.split()


@pytest.mark.parametrize(
    "head",
    [
        "~SEQ(i,1,0,4)",
        "~SEQ(i,1,-1,4)",
        "~SEQ(i)",
        "~SEQ()",
        "~SEQ(,2)",
        "~SEQ(1a,2)",
        "~SEQ(i,1,2,3,4)",
        "~SEQ(i,a)",
        "~SEQ(i,1x)",
        "~SEQ(i,09)",
        "~SEQ(i,2",
        "~SEQ(i,99999999999999999999)",
        "~SEQ(i,999999999999999999999999999999)",
        "~SEQ(i,1,1000000000)",
        "~SEQX(i,2)",
        "~SEQx(i,-2,2)",
        "~SEQ",
        "~LST",
        "~LST(i)",
        "~LST(i,a b)",
        "~LST(i,a,b",
        "~LST(i,{a,b},c)",
        "~LST({i,j},{a b,c})",
        "~LST({i,j},{a,b),{c,d})",
        "~LST({i,j},{a,b} x,{c,d})",
        "~LST(,a)",
        "~LST(1i,a)",
    ],
)
def test_a_wrong_sequence_is_an_error_and_its_line_is_dropped(head: str) -> None:
    reading = read(f"{head} x\nend")

    assert shape(reading) == ["end"]
    assert codes(reading) == ["bad-sequence"]
    assert exit_status(reading.diagnostics) == 5


def test_sequences_that_multiply_beyond_reason_are_refused_at_once() -> None:
    reading = read("~SEQ(i,100000) ~SEQ(j,100000) ~SEQ(k,100000) x\nend")

    assert shape(reading) == ["end"]
    assert codes(reading) == ["too-many-lines"]


def test_text_that_grows_without_end_is_refused() -> None:
    doubling = "".join(f"$A{i}=${{A{i + 1}}}${{A{i + 1}}}\n" for i in range(60))
    reading = read(f"{doubling}$A60=x\ny ${{A0}}\nend")

    assert shape(reading) == ["end"]
    assert codes(reading) == ["endless-definition"]


# Includes


def test_an_include_is_read_in_place_and_may_close_what_the_includer_opened() -> None:
    reading = read("a {\ninclude x.conf\nc", {"/e/x.conf": "b\n}\n"})

    assert shape(reading) == ["a", "{", "b", "}", "c"]
    assert reading.files == ["/e/k.conf", "/e/x.conf"]
    assert [line.span.file for line in reading.lines] == ["/e/k.conf"] * 2 + ["/e/x.conf"] * 2 + ["/e/k.conf"]
    included_from = reading.lines[2].span.origin.included_from
    assert included_from is not None
    assert (included_from.file, included_from.line) == ("/e/k.conf", 2)


def test_a_relative_include_starts_at_the_directory_of_its_file() -> None:
    files = {
        "/e/sub/one.conf": "include two.conf\none ${_PWD}",
        "/e/sub/two.conf": "two\ninclude ../x.conf",
        "/e/x.conf": "x",
    }
    reading = read("include sub/one.conf\ninclude x.conf\n${_PWD}", files)

    assert shape(reading) == ["two", "x", "one|/e/sub", "x", "/e"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("include c/*.conf", "B a b"),
        ("include c/{b,a}.conf", "b a"),
        ("include c/{b,?}.conf", "b B a b"),
        ("include c/[ab].conf", "a b"),
        ("include\tc/a.conf", "a"),
        ("include c/a.conf # note", "a"),
        ("@exp include c/a.conf", "a"),
        ("@other include c/a.conf", ""),
        ("$D=c/a\ninclude ${D}.conf", "a"),
        ("$F=c/a.conf\ninclude $F", "a"),
        ("$I=include c/a.conf\n$I", "a"),
        ("~LST(f,a,b) include c/${f}.conf", "a b"),
        ("$M=x \\\ninclude c/a.conf \\\ny\n$M", "x a y"),
        ("x { include c/a.conf\n}", "x { a }"),
        ("include", "include"),
        ("includez c/a.conf", "includez|c/a.conf"),
        ('"include" c/a.conf', "include|c/a.conf"),
        ("includes c/a.conf {", "includes|c/a.conf {"),
    ],
)
def test_which_files_an_include_means(line: str, found: str) -> None:
    files = {"/e/c/a.conf": "a", "/e/c/b.conf": "b", "/e/c/B.conf": "B", "/e/c/.h.conf": "h"}
    reading = read(line, files)

    assert shape(reading) == found.split()
    assert reading.diagnostics == []


def test_what_an_include_looked_for_is_watched() -> None:
    reading = read("include c/{a,x*}.conf\ninclude none.conf", {"/e/c/a.conf": "include /d/*"})

    assert reading.watched == ["/e/k.conf", "/e/c/a.conf", "/e/c/x*.conf", "/d/*", "/e/none.conf"]


PROBLEMS = [
    # line, checks that make it an error, told when it is none
    ("F missing.conf", "m w a", True),
    ("F nodir/*.conf", "m w a", True),
    ("F c/none*.conf", "w a", False),
    ("F c/{none*,nil*}.conf", "w a", False),
    ("F c/{a,missing}.conf", "b a", True),
    ("F c/{missing,nil}.conf", "b a", True),
    ("F c/{none*,missing}.conf", "b a", True),
    ('F "c/a.conf"', "m w a", True),
    ("F c", "r m w b a", True),
    ("F program.conf", "r m w b a", True),
    ("F secret.conf", "r m w b a", True),
    ("F pipe.conf", "r m w b a", True),
]


@pytest.mark.parametrize("form", ["", "r", "m", "w", "b", "a"])
@pytest.mark.parametrize(("line", "errors", "told"), PROBLEMS)
def test_the_form_of_an_include_decides_what_is_an_error(
    line: str, errors: str, told: bool, form: str
) -> None:
    reading = read(
        line.replace("F", f"include{form}"),
        {"/e/c/a.conf": "a"},
        program=SourceProblem.EXECUTABLE,
        secret=SourceProblem.UNREADABLE,
        pipe=SourceProblem.NOT_REGULAR,
    )

    is_error = form in errors.split()
    assert exit_status(reading.diagnostics) == (6 if is_error else 0)
    expected = [Severity.ERROR if is_error else Severity.WARNING] if is_error or told else []
    assert [each.severity for each in reading.diagnostics] == expected


def test_a_missing_alternative_that_counts_leaves_the_whole_include_unread() -> None:
    files: dict[str, str | bytes] = {"/e/a.conf": "a"}

    assert shape(read("include {a,missing}.conf", files)) == ["a"]
    assert shape(read("includeb {a,missing}.conf", files)) == []


def test_strict_includes_make_every_problem_count() -> None:
    source = Documents({"/e/k.conf": "include none*.conf"})
    reading = read_lines("/e/k.conf", source, ReadOptions(strict_includes=True))

    assert exit_status(reading.diagnostics) == 6


def test_the_consumer_sets_the_level_while_it_reads_and_each_file_restores_it() -> None:
    texts = {
        "/e/k.conf": "include gone1\ninclude sub.conf\ninclude gone4\nset\ninclude gone5",
        "/e/sub.conf": "include gone2\nset\ninclude gone3",
    }
    reader = iterate_lines("/e/k.conf", Documents(texts), OPTIONS)
    for line in reader:
        if line.keyword == "set":
            reader.include_level.set(["match"])

    assert [(each.summary[-5:], each.severity.name) for each in reader.diagnostics] == [
        ("gone1", "WARNING"),
        ("gone2", "WARNING"),
        ("gone3", "ERROR"),
        ("gone4", "WARNING"),
        ("gone5", "ERROR"),
    ]


@pytest.mark.parametrize(
    ("words", "checks", "wrong"),
    [
        ([], IncludeCheck.ALL, []),
        (["read"], IncludeCheck.READ, []),
        (["match"], IncludeCheck.READ | IncludeCheck.MATCH, []),
        (["wildcard_match", "+match"], IncludeCheck.READ | IncludeCheck.MATCH | IncludeCheck.WILDCARD, []),
        (["brace_match", "-read"], IncludeCheck.BRACE, []),
        (["match", "wildcard_match"], IncludeCheck.READ | IncludeCheck.MATCH, [1]),
        (["readable"], IncludeCheck.NONE, [0]),
        (["+match"], IncludeCheck.MATCH, []),
    ],
)
def test_the_words_of_include_check(words: list[str], checks: IncludeCheck, wrong: list[int]) -> None:
    reader = LineReader("k", Documents({}), OPTIONS)

    assert [index for index, _ in reader.include_level.set(words)] == wrong
    assert reader.include_level.checks == checks


def test_an_include_loop_is_named_and_not_followed() -> None:
    files = {"/e/a.conf": "a\ninclude b.conf\na2", "/e/b.conf": "b\ninclude a.conf\nb2"}
    reading = read("include a.conf\nend", files)

    assert shape(reading) == ["a", "b", "b2", "a2", "end"]
    (problem,) = reading.diagnostics
    assert problem.code == "include-loop"
    assert "/e/a.conf -> /e/b.conf -> /e/a.conf" in problem.notes[0]
    assert problem.severity is Severity.ERROR


def test_includes_nested_deeply_are_refused() -> None:
    files: dict[str, str | bytes] = {f"/e/{i}.conf": f"include {i + 1}.conf" for i in range(300)}
    reading = read("include 0.conf\nend", files)

    assert codes(reading) == ["too-deep"]
    assert shape(reading) == ["end"]


def test_files_that_include_each_other_twice_do_not_multiply_forever() -> None:
    files: dict[str, str | bytes] = {
        f"/e/{i}.conf": f"include {i + 1}.conf\ninclude {i + 1}.conf" for i in range(30)
    }
    reading = read("include 0.conf\nend", {**files, "/e/30.conf": ""})

    assert "too-many-files" in codes(reading)
    assert shape(reading) == ["end"]


def test_the_reader_reads_no_further_than_it_is_asked() -> None:
    reader = LineReader("/e/k.conf", Documents({"/e/k.conf": "a\ninclude x", "/e/x": "b"}), OPTIONS)
    lines = iter(reader)

    next(lines)
    assert reader.files == ["/e/k.conf"]
    next(lines)
    assert reader.files == ["/e/k.conf", "/e/x"]


# The main file


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (SourceProblem.EXECUTABLE, 0),
        (SourceProblem.DIRECTORY, 0),
        (SourceProblem.NOT_REGULAR, 0),
        (SourceProblem.UNREADABLE, 4),
    ],
)
def test_a_main_file_that_cannot_be_read_is_an_error(problem: SourceProblem, status: int) -> None:
    reading = read_lines("/e/k.conf", Documents({}, {"/e/k.conf": problem}), OPTIONS)

    assert (reading.lines, reading.files, reading.watched) == ([], [], ["/e/k.conf"])
    assert [each.severity for each in reading.diagnostics] == [Severity.ERROR]
    assert exit_status(reading.diagnostics) == status


def test_a_missing_main_file_is_an_error_with_status_0_as_in_keepalived() -> None:
    reading = read_lines("/e/k.conf", Documents({}), OPTIONS)

    assert codes(reading) == ["configuration-file"]
    assert exit_status(reading.diagnostics) == 0


def test_the_main_file_may_be_a_pattern() -> None:
    source = Documents({"/e/1.conf": "a", "/e/2.conf": "b"})

    one = read_lines("/e/?.con[f]", Documents({"/e/1.conf": "a"}), OPTIONS)
    two = read_lines("/e/{2,1}.conf", source, OPTIONS)

    assert (shape(one), codes(one)) == (["a"], [])
    assert (shape(two), codes(two)) == (["b", "a"], ["several-files"])
    assert exit_status(two.diagnostics) == 5


def test_a_relative_main_file_starts_at_the_given_directory() -> None:
    source = Documents({"k.conf": "${_PWD}\ninclude sub/x", "sub/x": "${_PWD}"})
    reading = read_lines("k.conf", source, ReadOptions(directory="/run"))

    assert shape(reading) == ["/run", "/run/sub"]


# Limits


@pytest.mark.parametrize(
    "text",
    [
        b"a " * 5_000_000,
        bytes(range(256)) * 40_000,
        b'x "\n' * 2_500_000,
        b"\n" * 10_000_000,
        b"${X}\n" * 10_000,
        b"$A=${A}${A}\n" + b"x ${A}\n" * 100_000,
        b"$A=$A${_HASH}\n" + b"$A\n" * 100_000,
        b"$A=${A}${A}\n~SEQ(i,100000) ${A}",
        b"{" * 1_000 + b"\n" + b"~SEQ(i,2)" * 110,
        b"\xff\xfe\n" * 1_000,
    ],
    ids=[
        "one line",
        "binary",
        "open quotes",
        "empty lines",
        "references",
        "endless",
        "endless passes",
        "endless in a sequence",
        "nesting",
        "no UTF-8",
    ],
)
def test_a_hopeless_file_is_left_with_few_diagnostics_in_little_time(text: bytes) -> None:
    before = time.process_time()
    reading = read(text)

    assert time.process_time() - before < 2
    assert len(reading.diagnostics) < 120


def test_a_hopeless_file_that_is_included_for_ever_is_left_as_well() -> None:
    before = time.process_time()
    reading = read("~SEQ(i,100000) include s\nend", {"/e/s": "$A=${A}x${A}\n" + "${A}\n" * 30})

    assert time.process_time() - before < 2
    assert shape(reading) == []


def test_many_problems_of_a_kind_are_counted_and_not_listed() -> None:
    reading = read("~SEQ(i) x\n" * 500)

    assert len(reading.diagnostics) == 51
    assert reading.diagnostics[-1].summary == "and 450 more of this kind in this file"
    assert exit_status(reading.diagnostics) == 5


def test_the_block_layer_and_the_reader_share_one_list() -> None:
    told = Diagnostics()
    reader = iterate_lines("/e/k.conf", Documents({"/e/k.conf": 'a "'}), OPTIONS, told)

    assert [line.keyword for line in reader] == ["a"]
    assert [each.code for each in told] == ["unterminated-quote"]
