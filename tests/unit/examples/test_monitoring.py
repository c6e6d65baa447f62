"""Dashboard and alert rules name only what the daemon really exports, with labels that it really has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keepalive_py.daemon.controlled import Controlled
from keepalive_py.health.override import Action, Override
from keepalive_py.pytest_plugin import Start

HERE = Path(__file__).resolve().parents[3] / "examples" / "monitoring"
FROM_PROMETHEUS = {"instance", "job", "le"}
NEEDS_A_ROUTING_DAEMON = {"keepalive_bgp_session_established": {"session", "neighbour"}}
SELECTOR = re.compile(r"(?<!\")\b(keepalive_\w+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|on) \(([^)]*)\)")

CONFIG = """
bgp_announcer {
 prefix 192.0.2.0/24
 uplink left {
  interface eth1
 }
}
virtual_server 192.0.2.10 80 {
 delay_loop 5
 lb_algo rr
 lb_kind NAT
 protocol TCP
 sorry_server 10.0.0.9 80
 depool_threshold 50%
 damping_half_life 60
 real_server 10.0.0.1 80 {
  TCP_CHECK {
   retry 0
  }
 }
}
"""

Exported = dict[str, set[str]]  # the labels of each name


@pytest.fixture
async def exported(mock_daemon: Start) -> Exported:
    lb = await mock_daemon(CONFIG)
    await lb.supervisor.steering.put(Override(action=Action.DRAIN, server="10.0.0.1", by="me"))
    await lb.advance(60)
    text = b"".join(await Controlled(lb.life).metrics()).decode()
    found = {name: set(labels) for name, labels in NEEDS_A_ROUTING_DAEMON.items()}
    for name, inside in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', inside))
    return found


def dashboard_expressions() -> Iterator[str]:
    def walk(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            yield from (value[name] for name in ("expr", "definition") if isinstance(value.get(name), str))
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                yield from walk(each)

    yield from walk(json.loads((HERE / "grafana.json").read_text()))


def alert_expressions() -> Iterator[str]:
    """Each `expr:` of the rules; a folded one goes on in deeper lines."""
    text = (HERE / "alerts.yml").read_text()
    for found in re.finditer(r"^( +)expr: (.*(?:\n\1 +\S.*)*)", text, re.MULTILINE):
        yield found[2].removeprefix(">-").strip()


def wrong(expression: str, exported: Exported) -> Iterator[str]:
    """Names and labels that nobody exports."""
    names = SELECTOR.findall(expression)
    known = FROM_PROMETHEUS.union(*(exported.get(name, set()) for name, _ in names))
    for name, inside in names:
        labels = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", inside))
        if name not in exported:
            yield name
        else:
            yield from labels - exported[name] - FROM_PROMETHEUS
    for group in GROUPING.findall(expression):
        yield from {word.strip() for word in group.split(",")} - known


@pytest.mark.parametrize("source", [dashboard_expressions, alert_expressions])
async def test_every_name_and_every_label_is_exported(source: Any, exported: Exported) -> None:
    expressions = list(source())
    assert len(expressions) > 12
    assert [(each, name) for each in expressions for name in wrong(each, exported)] == []


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("keepalive_server_upp == 0", ["keepalive_server_upp"]),
        ('keepalive_server_up{vs="web"} == 0', ["vs"]),
        ("sum by (instance, vip) (keepalive_server_up)", ["vip"]),
        ("rate(keepalive_probe_lag_seconds[5m])", ["keepalive_probe_lag_seconds"]),
        ('up{job="keepalive_py"} == 0', []),
    ],
)
async def test_a_mistake_is_seen(expression: str, found: list[str], exported: Exported) -> None:
    assert list(wrong(expression, exported)) == found


def test_panels_do_not_overlap() -> None:
    board = json.loads((HERE / "grafana.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
