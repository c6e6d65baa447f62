"""Diagnostics for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from keepalive_py.config.diagnostics import Diagnostic
from keepalive_py.daemon.voice import diagnostic_line


def show(diagnostics: Iterable[Diagnostic], out: TextIO) -> None:
    for diagnostic in diagnostics:
        print(diagnostic_line(diagnostic), file=out)
