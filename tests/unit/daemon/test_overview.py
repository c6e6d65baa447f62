"""Virtual servers in one line each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keepalive_py.daemon.controlled import Controlled
from keepalive_py.daemon.overview import why
from keepalive_py.health.override import Action, Override
from keepalive_py.health.verdict import PASSED, Failed, Reason, Unknown, Verdict
from keepalive_py.pytest_plugin import Start

CONFIG = """
virtual_server 10.0.0.1 80 {
 lb_algo rr
 lb_kind NAT
 protocol TCP
 real_server 192.0.2.1 80 {
  TCP_CHECK {
   retry 0
  }
 }
 real_server 192.0.2.2 80 {
  weight 7
 }
 real_server 192.0.2.3 80 {
 }
}
"""


async def overview(controlled: Controlled) -> Any:
    controlled.kept.done.clear()
    return json.loads(b"".join(await controlled.listing("overview", {})))


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (Failed(Reason.TIMEOUT), "timeout"),
        (PASSED, "recovering"),
        (Unknown(Reason.BAD_ANSWER), "not known: bad-answer"),
        (None, "not checked yet"),
    ],
)
def test_why_a_check_is_down(last: Verdict | None, words: str) -> None:
    assert why(last) == words


async def test_each_state_of_a_server(mock_daemon: Start) -> None:
    lb = await mock_daemon(CONFIG)
    lb.fail("192.0.2.1:80", "timeout")
    await lb.check_now("192.0.2.1:80")
    await lb.supervisor.steering.put(Override(action=Action.DRAIN, server="192.0.2.3", by="me"))
    await lb.settled()
    found = await overview(Controlled(lb.life))
    (row,) = found["overview"]
    assert (row["address"], row["port"], row["quorum_up"]) == ("10.0.0.1", 80, True)
    assert [(each[0], each[1], each[2], each[4]) for each in row["servers"]] == [
        ("192.0.2.1:80", "down", None, "timeout"),
        ("192.0.2.2:80", "up", 7, ""),
        ("192.0.2.3:80", "drained", 0, ""),
    ]
    assert found["summary"]["servers"] == {"total": 3, "alive": 2, "held": 0, "suppressed": 0}
    assert found["announcer"] is None
