"""Short turns of the interpreter, while somebody needs them.

A thread that wants to run gets the interpreter after `sys.getswitchinterval()` seconds, usually 5 ms,
unless the other one is in one long call of C code. A configuration that is read, or a module that is
imported, in a thread keeps the event loop waiting for so long again and again.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Final

SHORT: Final = 0.0005  # seconds

_usual: list[float] = []  # one for each who needs them; the first is what was before


@contextlib.contextmanager
def short_turns() -> Iterator[None]:
    """Until the last who needs them is done, in whatever order. From one thread."""
    _usual.append(_usual[0] if _usual else sys.getswitchinterval())
    sys.setswitchinterval(min(SHORT, _usual[0]))
    try:
        yield
    finally:
        before = _usual.pop()
        if not _usual:
            sys.setswitchinterval(before)
