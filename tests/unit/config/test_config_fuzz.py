"""Whatever the text: a model or diagnostics, never an exception."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import config_texts, loaded

from keepalive_py.checkers import REGISTRY
from keepalive_py.config.build import language

FUZZ = settings(deadline=None, suppress_health_check=list(HealthCheck))
KEYWORDS = sorted(language(REGISTRY).owners)
TOKENS = st.sampled_from(
    [
        *KEYWORDS,
        *[
            "{",
            "}",
            "{",
            "}",
            "\n",
            "\n",
            "\n",
            '"',
            "'",
            "#",
            "!",
            "$A",
            "${A}",
            "@here",
            "~SEQ(i,2)",
            "1",
            "80",
            "-1",
            "5x",
            "10.0.0.1",
            "::1",
            "10.0.0.0/8",
            "a",
            "\\",
        ],
    ]
)


def sound(answer):
    assert answer.exit_status in (0, 2, 4, 5, 6)
    assert answer.exit_status != 0 or answer.config is not None
    assert all(each.summary for each in answer.diagnostics)


@FUZZ
@given(st.binary(max_size=2000))
def test_any_bytes(content):
    sound(loaded(content))


@FUZZ
@given(st.lists(TOKENS, max_size=60))
def test_any_order_of_words(tokens):
    sound(loaded(" ".join(tokens)))


@FUZZ
@given(config_texts(), st.data())
def test_a_good_text_with_a_line_missing_doubled_or_swapped(text, data):
    lines = text.split("\n")
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(lines) - 1))
        other = data.draw(st.integers(0, len(lines) - 1))
        change = data.draw(st.sampled_from(["missing", "doubled", "swapped"]))
        if change == "missing":
            del lines[place]
            lines.append("")
        elif change == "doubled":
            lines.insert(other, lines[place])
        else:
            lines[place], lines[other] = lines[other], lines[place]
    sound(loaded("\n".join(lines)))


@FUZZ
@given(st.lists(TOKENS, max_size=30), st.lists(TOKENS, max_size=30))
def test_any_side_file(main, side):
    sound(loaded(" ".join(main), " ".join(side)))
