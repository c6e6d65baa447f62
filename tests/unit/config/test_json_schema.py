"""The schema describes what the export writes, of everything in the corpus."""

from __future__ import annotations

import json
from typing import Any

import pytest
from config_corpus import WHERE, entries
from strategies import loaded

from keepalive_py.checkers import REGISTRY
from keepalive_py.config.build import language
from keepalive_py.config.json_schema import as_plain, schema

SCHEMA = json.loads(json.dumps(schema(language(REGISTRY))))
TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float),
}  # fmt: skip


def faults(value: Any, rule: dict[str, Any], where: str = "$") -> list[str]:
    """As much of JSON Schema as ours uses."""
    if "$ref" in rule:
        return faults(value, SCHEMA["$defs"][rule["$ref"].rpartition("/")[2]], where)
    if "enum" in rule:
        return [] if value in rule["enum"] else [f"{where}: {value!r} is not one of {rule['enum']}"]
    kind = rule["type"]
    if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return [f"{where}: {value!r} is no {kind}"]
    if kind in ("integer", "number"):
        fits = rule.get("minimum", value) <= value <= rule.get("maximum", value)
        return [] if fits else [f"{where}: {value} is out of range"]
    if kind == "array":
        return [
            fault for at, each in enumerate(value) for fault in faults(each, rule["items"], f"{where}[{at}]")
        ]
    if kind == "object":
        unknown = [f"{where}: {name} is unknown" for name in value if name not in rule["properties"]]
        known = {name: each for name, each in value.items() if name in rule["properties"]}
        inner = [faults(each, rule["properties"][name], f"{where}.{name}") for name, each in known.items()]
        return [*unknown, *(fault for found in inner for fault in found)]
    return []


@pytest.mark.parametrize("where", WHERE)
def test_what_is_exported_fits(where: str) -> None:
    wrong = []
    for entry in entries(where):
        config = loaded(entry.text).config
        if config is not None and (found := faults(json.loads(json.dumps(as_plain(config))), SCHEMA)):
            wrong.append((entry.text, found))
    assert wrong == []


def test_the_export_says_what_is_in_force() -> None:
    text = """
    local_address_group pool { 10.0.0.1-10.0.0.3 }
    virtual_server 192.0.2.1 80 {
        protocol TCP
        lvs_sched wrr
        delay_loop 7
        real_server 192.0.2.2 80 { TCP_CHECK { connect_timeout 3 } }
    }
    """
    config = loaded(text).config
    assert config is not None
    plain = as_plain(config)
    (service,) = plain["virtual_server"]
    (server,) = service["real_server"]
    (check,) = server["TCP_CHECK"]
    assert plain["local_address_group"] == [{"of": "pool", "lines": ["10.0.0.1-10.0.0.3"]}]
    assert (service["of"], service["lb_algo"], service["delay_loop"]) == ("192.0.2.1 80", "wrr", 7.0)
    assert (server["of"], server["weight"]) == ("192.0.2.2 80", 1)
    assert (check["connect_timeout"], check["delay_loop"]) == (3.0, 7.0)


@pytest.mark.parametrize(
    "wrong", [{"virtual_server": 1}, {"virtual_server": [{"quorum": "x"}]}, {"no_keyword": 1}]
)
def test_the_test_of_the_schema_can_fail(wrong: dict[str, Any]) -> None:
    assert faults(wrong, SCHEMA) != []
