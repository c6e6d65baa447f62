"""Reading beside the loop."""

from __future__ import annotations

import gc
import sys
from contextlib import ExitStack

from keepalive_py.daemon.memory import reading
from keepalive_py.turns import SHORT, short_turns


def test_two_that_read_at_once_leave_it_as_it_was() -> None:
    """In the order in which they began, which no nesting would give."""
    before = sys.getswitchinterval()
    first, second = ExitStack(), ExitStack()
    first.enter_context(reading())
    second.enter_context(reading())
    first.close()
    assert abs(sys.getswitchinterval() - SHORT) < 1e-6
    second.close()
    assert abs(sys.getswitchinterval() - before) < 1e-6
    assert gc.isenabled()


def test_who_needs_them_for_longer_keeps_them_over_a_reading() -> None:
    """As the BFD speaker does."""
    before = sys.getswitchinterval()
    with short_turns():
        with reading():
            pass
        assert abs(sys.getswitchinterval() - SHORT) < 1e-6
    assert abs(sys.getswitchinterval() - before) < 1e-6
