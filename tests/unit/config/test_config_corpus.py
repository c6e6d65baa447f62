"""A thousand small configurations: the status of `-t`, and what is said."""

import pytest
from config_corpus import REASONS, WHERE, entries
from strategies import loaded

from keepalive_py.config.diagnostics import Severity


@pytest.mark.parametrize("where", WHERE)
def test_status_and_diagnostics(where):
    wrong = []
    for entry in entries(where):
        answer = loaded(entry.text)
        told = [each.code for each in answer.diagnostics if each.severity is not Severity.NOTE]
        found = (answer.exit_status, tuple(dict.fromkeys(told)))
        if found != (entry.status, entry.codes):
            wrong.append(f"{entry}: {found}")
    assert wrong == []


@pytest.mark.parametrize("where", WHERE)
def test_every_difference_has_a_reason(where):
    for entry in entries(where):
        assert (entry.status != entry.theirs) is bool(entry.reason), entry
        assert entry.reason in {"", *REASONS}, entry
