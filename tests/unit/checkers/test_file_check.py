"""FILE_CHECK: the number in a file, and what it means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.checkers.file import LEAST, MOST, FileCheck, file_verdict, value_of
from keepalive_py.health.verdict import Failed, Passed, Reason

INT32 = st.integers(LEAST, MOST)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"3\n", 3),
        (b"-2\n", -2),
        (b"+2", 2),
        (b"0x10\n", 16),
        (b"0X1f", 31),
        (b"010\n", 8),
        (b"08", 0),
        (b"0x", 0),
        (b" \t7 \n", 7),
        (b"5abc", 5),
        (b"-2147483648", LEAST),
        (b"99999999999999999999", MOST),
        (b"-" + b"9" * 5000, LEAST),
        (b"", 0),
        (b"\n5\n", 0),
        (b"up\n", 0),
        (b"\xff\x00", 0),
    ],
)
def test_the_value_is_the_leading_c_integer_of_the_first_line(content: bytes, value: int) -> None:
    assert value_of(content) == value


@given(INT32, st.sampled_from(["{}", "{:#x}", "0{:o}"]))
def test_every_spelling_of_a_number_reads_the_same(number: int, spelling: str) -> None:
    text = ("-" if number < 0 else "") + spelling.format(abs(number))
    assert value_of(text.encode() + b"\nmore\n") == number


@given(st.binary(max_size=400))
def test_any_content_has_a_value(content: bytes) -> None:
    assert LEAST <= value_of(content) <= MOST


def check(weight: int, *, reverse: bool = False) -> FileCheck:
    return FileCheck(track_file="load", weight=weight, reverse=reverse)


@pytest.mark.parametrize(
    ("value", "reverse", "up"), [(0, False, True), (1, False, False), (-1, False, False)]
)
def test_with_weight_0_any_number_but_0_is_a_fault(value: int, reverse: bool, up: bool) -> None:
    verdict = file_verdict(check(0, reverse=reverse), value, 10)
    assert verdict == (Passed(f"load is {value}") if up else Failed(Reason.FAULT, f"load is {value}"))


@pytest.mark.parametrize(("value", "up"), [(0, False), (1, True), (-1, True)])
def test_with_weight_0_reverse_the_number_0_is_a_fault_from_the_start(value: int, up: bool) -> None:
    assert isinstance(file_verdict(check(0, reverse=True), value, 10), Passed) is up


@pytest.mark.parametrize(
    ("weight", "reverse", "value", "wanted"),
    # the same files and weights as shown by keepalived 2.2.7, before the kernel's bounds
    [
        (2, False, 3, 16),
        (3, True, 3, 1),
        (2, False, -2, 6),
        (3, True, -2, 16),
        (2, False, -10, -10),
        (3, True, LEAST, 10 + MOST),
        (2, False, 0, None),
    ],
)
def test_the_number_moves_the_weight(weight: int, reverse: bool, value: int, wanted: int | None) -> None:
    verdict = file_verdict(check(weight, reverse=reverse), value, 10)
    assert verdict == Passed(f"load is {value}", weight=wanted)


@pytest.mark.parametrize(
    ("weight", "reverse", "value"), [(2, False, LEAST), (1, False, LEAST), (2, True, MOST)]
)
def test_a_change_below_all_weights_is_a_fault(weight: int, reverse: bool, value: int) -> None:
    assert isinstance(file_verdict(check(weight, reverse=reverse), value, 10), Failed)
