"""The filler of empty probes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.wire.filler import filler


@given(st.integers(0, 300))
def test_filler_has_the_size_asked_for(size: int) -> None:
    assert len(filler(size)) == size


def test_filler_says_where_it_is_from() -> None:
    assert filler(29) == b"keepalived check - keepalived"
