"""Diagnostics for a person at a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TextIO

from keepalive_py.config.diagnostics import Diagnostic
from keepalive_py.config.render import SourceLines, render_text
from keepalive_py.sources.files import FileSystem


def show(diagnostics: Iterable[Diagnostic], out: TextIO) -> None:
    """Each with its line of the file and a caret; in colour where somebody looks."""
    lines = SourceLines(FileSystem())
    color = out.isatty() and "NO_COLOR" not in os.environ
    for diagnostic in diagnostics:
        print(render_text(diagnostic, lines, color), file=out)
