"""Diagnostics as code review tools want them."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from keepalive_py.config.diagnostics import Diagnostic, Origin, Severity, Span
from keepalive_py.config.formats import checkstyle, github, sarif

PLACE = Span(Origin("a dir/ü,1.conf"), 3, 5, 9)
BLOCK = Span(Origin("a dir/ü,1.conf"), 1, 1, 4)
FOUND = [
    Diagnostic(
        Severity.ERROR, "unknown-keyword", 'bad <&"\x1b', subject=PLACE, context=BLOCK,
        context_title="virtual_server x", notes=("100% sure", "two\nlines"),
    ),
    Diagnostic(Severity.WARNING, "no-check", "is bare"),
]  # fmt: skip


def test_sarif() -> None:
    run = json.loads(sarif(FOUND, "1.2"))["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["no-check", "unknown-keyword"]
    first, second = run["results"]
    assert (first["ruleId"], first["level"], second["level"]) == ("unknown-keyword", "error", "warning")
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%20dir/%C3%BC%2C1.conf"
    assert place["region"] == {"startLine": 3, "startColumn": 5, "endColumn": 9}
    assert first["relatedLocations"][0]["message"]["text"] == "virtual_server x"
    assert "\x1b" not in first["message"]["text"]
    assert "locations" not in second


def test_github() -> None:
    first, second = github(FOUND).splitlines()
    assert first.startswith("::error file=a dir/ü%2C1.conf,line=3,col=5,title=unknown-keyword::bad <&")
    assert "%0A100%25 sure" in first
    assert second == "::warning title=no-check::is bare"


def test_checkstyle() -> None:
    files = ElementTree.fromstring(checkstyle(FOUND)).findall("file")
    assert [file.get("name") for file in files] == ["a dir/ü,1.conf", ""]
    (error,) = files[0].findall("error")
    assert (error.get("line"), error.get("column"), error.get("severity")) == ("3", "5", "error")
    assert (error.get("message") or "").startswith('bad <&"')
