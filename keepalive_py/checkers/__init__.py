"""The registry of checkers: one file per kind, one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keepalive_py.checkers import tcp
from keepalive_py.checkers.wishes import Checker

CHECKERS: Final = (tcp.CHECKER,)
REGISTRY: Final[Mapping[str, Checker]] = {checker.kind: checker for checker in CHECKERS}
