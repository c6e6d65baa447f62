"""What Prometheus gets to read."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any

from daemon_rig import Rig, Start, virtual_server
from prometheus_client.parser import text_string_to_metric_families

from keepalive_py.control.metrics import FAMILIES, PREFIX, Exposition, announcer_metrics, labelled
from keepalive_py.daemon.controlled import Controlled
from keepalive_py.dataplane.port import Counters
from keepalive_py.net import Endpoint, Family, Protocol, parse_address
from keepalive_py.plan.steps import AddService, DeleteService
from keepalive_py.plan.table import Service, ServiceKey

A, B = "10.1.0.1", "10.1.0.2"
SERVICE = ServiceKey(Family.INET, Protocol.TCP, Endpoint(parse_address("10.9.9.9"), 80))
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: bytes) -> Samples:
    """Every sample, and that each is there once."""
    found: Samples = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return PREFIX + name, frozenset(labels.items())


CONFIGURATION = {
    "generation": None, "digest": "d", "since": 1.0, "instead_of_files": "", "refused": None, "held": False,
}  # fmt: skip


async def measured(rig: Rig) -> Samples:
    configuring = types.SimpleNamespace(summary=lambda: CONFIGURATION)
    life: Any = types.SimpleNamespace(supervisor=rig.supervisor, born=5.0, began=0.0, configuring=configuring)
    return samples(b"".join(await Controlled(life).metrics()))


async def test_servers_and_services(start: Start) -> None:
    rig = await start(virtual_server(A, B))
    await rig.fails(A)
    ((service_key, _),) = (await rig.dataplane.read()).items()
    counters = Counters(active_connections=3, connections=9, bytes_in=100, bytes_out=200)
    rig.dataplane.set_counters(service_key, counters, Endpoint(parse_address(B), 80))
    found = await measured(rig)
    service = "[10.0.0.1]:tcp:80"
    down, up = ({"service": service, "server": f"[{each}]:tcp:80"} for each in (A, B))
    assert found[key("service_quorum_up", service=service)] == 1
    assert (found[key("server_up", **down)], found[key("server_weight", **down)]) == (0, -1)
    assert (found[key("server_up", **up)], found[key("server_weight", **up)]) == (1, 1)
    assert found[key("server_active_connections", **up)] == 3
    assert found[key("server_bytes_total", direction="out", **up)] == 200
    assert found[key("check_up", check="TCP_CHECK", place="0", **down)] == 0
    assert found[key("transitions_total", kind="server_down", reason="refused")] == 1
    assert found[key("start_time_seconds")] == 5
    assert found[key("config_since_seconds")] == 1


async def test_a_name_that_is_there_twice_has_one_row(start: Start) -> None:
    rig = await start(virtual_server(A, A) + virtual_server(A))
    found = await measured(rig)
    assert found[key("server_up", service="[10.0.0.1]:tcp:80", server=f"[{A}]:tcp:80")] == 1


async def test_how_long_probes_took(start: Start) -> None:
    rig = await start(virtual_server(A))
    statistics = rig.supervisor.probe_statistics
    for seconds in (0.0001, 0.03, 99.0):
        statistics.lasted("TCP_CHECK", seconds)
        statistics.late.add(seconds)
    found = await measured(rig)
    buckets = {bound: found[key("check_duration_seconds_bucket", check="TCP_CHECK", le=bound)] for bound in
               ("0.001", "0.025", "0.05", "10", "+Inf")}  # fmt: skip
    assert buckets == {"0.001": 1, "0.025": 1, "0.05": 2, "10": 2, "+Inf": 3}
    assert found[key("check_duration_seconds_count", check="TCP_CHECK")] == 3
    assert found[key("probe_lag_seconds_count")] == 3


def test_the_announcer() -> None:
    out = Exposition()
    announcer_metrics(
        out,
        {
            "vips": {"192.0.2.1": {"state": "announced"}},
            "uplinks": {"left": {"state": "down"}},
            "sessions": {"tor1": {"state": "Established", "neighbour": "10.0.0.9"}},
            "disagreements": ["one"],
        },
    )
    assert samples(b"".join(out.pieces())) == {
        key("vip_state", vip="192.0.2.1", state="announced"): 1,
        key("uplink_up", uplink="left"): 0,
        key("bgp_session_established", session="tor1", neighbour="10.0.0.9"): 1,
        key("announcer_disagreements"): 1,
    }


def test_labels_are_escaped() -> None:
    out = Exposition()
    out.add("uplink_up", 1, labelled(uplink='a"b\\c\nd'))
    ((_, labels),) = samples(b"".join(out.pieces()))
    assert dict(labels) == {"uplink": 'a"b\\c\nd'}


def test_names_are_as_prometheus_wants_them() -> None:
    def wrong() -> Iterable[str]:
        for name, (kind, doc) in FAMILIES.items():
            if (kind == "counter") != name.endswith("_total") or not doc.endswith("."):
                yield name

    assert list(wrong()) == []


async def test_guards_and_drift(start: Start) -> None:
    guarded = "depool_threshold 50%\n damping_half_life 600"
    rig = await start(virtual_server(A, B, more=guarded) + virtual_server(A, address="10.0.0.2"))
    await rig.fails(A, B)
    await rig.dataplane.apply([DeleteService(each) for each in await rig.dataplane.read()])
    await rig.dataplane.apply([AddService(Service(SERVICE))])
    await rig.reads_again()
    found = await measured(rig)
    service = "[10.0.0.1]:tcp:80"
    assert found[key("server_held", service=service, server=f"[{B}]:tcp:80")] == 1
    assert key("server_held", service=service, server=f"[{A}]:tcp:80") not in found
    assert found[key("service_held_servers", service=service)] == 1
    assert found[key("service_suppressed_servers", service=service)] == 0
    assert key("service_held_servers", service="[10.0.0.2]:tcp:80") not in found
    assert found[key("drift_total", reason="service-missing")] == 2
    assert found[key("table_foreign_services")] == 1
