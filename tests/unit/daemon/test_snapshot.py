"""The one description of the daemon's state."""

from __future__ import annotations

import json

from daemon_rig import Start, virtual_server

from keepalive_py.daemon.snapshot import Moment, snapshot
from keepalive_py.dataplane.port import Counters

A, B = "10.1.0.1", "10.1.0.2"


async def test_a_server_that_went_down(start: Start) -> None:
    rig = await start(virtual_server(A, B))
    await rig.fails(A)
    await rig.passes(B)
    found = snapshot(Moment(rig.supervisor))
    assert json.loads(json.dumps(found)) == found
    (service,) = found["virtual_servers"]
    down, up = service["real_servers"]
    assert (service["address"], service["port"]) == ("10.0.0.1", 80)
    assert (down["address"], down["alive"], down["pool_weight"]) == (A, False, None)
    assert [change["kind"] for change in down["changes"]] == ["check_failed", "server_down"]
    (check,) = down["checks"]
    assert check["last"] == {"result": "failed", "reason": "refused", "detail": ""}
    assert [run["passed"] for run in check["history"]] == [False]
    assert (up["changes"][-1]["kind"], up["checks"][0]["history"][0]["passed"]) == ("check_passed", True)


async def test_the_kernels_counters(start: Start) -> None:
    rig = await start(virtual_server(A))
    ((key, entry),) = (await rig.dataplane.read()).items()
    (endpoint,) = entry.destinations
    rig.dataplane.set_counters(key, Counters(connections=7, active_connections=3), endpoint)
    rig.dataplane.set_counters(key, Counters(connections=9))
    moment = Moment(rig.supervisor, counters=await rig.dataplane.counters())
    (service,) = snapshot(moment)["virtual_servers"]
    assert service["counters"]["connections"] == 9
    counters = service["real_servers"][0]["counters"]
    assert (counters["connections"], counters["active_connections"]) == (7, 3)
    assert snapshot(Moment(rig.supervisor))["virtual_servers"][0]["counters"] is None
