"""The registry of checkers: one file per kind, one line here."""

from __future__ import annotations

from collections.abc import Mapping

from keepalive_py.checkers.wishes import Checker

REGISTRY: Mapping[str, Checker] = {}
