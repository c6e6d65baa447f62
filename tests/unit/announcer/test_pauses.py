"""The announcer rests while nothing is due."""

from __future__ import annotations

import pytest

from keepalive_py.daemon.announcing import Work
from keepalive_py.pytest_plugin import Start

CONFIG = """
bgp_announcer {
 prefix 192.0.2.0/24
 warm_up 10
}
virtual_server 192.0.2.10 80 {
 lb_algo rr
 lb_kind NAT
 protocol TCP
 real_server 10.0.0.1 80 {
  TCP_CHECK {
   delay_loop 5
  }
 }
}
"""


async def test_a_check_that_can_never_run_keeps_nobody_awake(
    mock_daemon: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0
    turn = Work.turn

    def counted(work: Work) -> None:
        nonlocal turns
        turns += 1
        turn(work)

    monkeypatch.setattr(Work, "turn", counted)
    lb = await mock_daemon(CONFIG)
    lb.fail("10.0.0.1:80", "no-descriptors")
    await lb.advance(12)
    await lb.expect_announced("192.0.2.10")  # its time to warm up is over
    turns = 0
    await lb.advance(60)
    assert turns <= 120  # a look a second, and what wakes it
