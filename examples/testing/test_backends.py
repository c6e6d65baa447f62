"""Real checks against servers that misbehave on command."""

import pytest

CONFIG = """
virtual_server 192.0.2.10 80 {{
    delay_loop 0.5
    delay_before_retry 0.5
    warmup 0
    lvs_sched rr
    lvs_method NAT
    protocol TCP
    real_server {web} {{
        HTTP_GET {{
            connect_timeout 5
            retry 0
            url {{
                path /
                status_code 200
            }}
        }}
    }}
}}
"""


@pytest.fixture
async def web(scripted_server):
    return await scripted_server("http")


async def test_in_real_time(live_daemon, web):
    lb = await live_daemon(CONFIG.format(web=web))
    await lb.expect_table({"TCP 192.0.2.10:80": {web.endpoint: 1}})
    await web.fail()
    await lb.expect_event("server_down", server=web.endpoint, reason="status")
    await web.serve()
    await lb.expect_event("server_up", server=web.endpoint)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [("fail", "status"), ("refuse", "refused"), ("hang", "timeout"), ("deaf", "timeout")],
)
async def test_without_waiting_for_timeouts(live_daemon, virtual_clock, web, behaviour, reason):
    """Sockets are real, time is not: five seconds of silence take none."""
    lb = await live_daemon(CONFIG.format(web=web), clock=virtual_clock)
    await lb.advance(2)
    await web.become(behaviour)
    await lb.advance(10)
    await lb.expect_event("server_down", server=web.endpoint, reason=reason)
    await web.serve()
    await lb.advance(10)
    await lb.expect_service("TCP 192.0.2.10:80", {web.endpoint: 1})


async def test_a_slow_server_is_fast_enough(live_daemon, virtual_clock, web):
    lb = await live_daemon(CONFIG.format(web=web), clock=virtual_clock)
    await web.slow(4.0)
    await lb.advance(60)
    await lb.expect_no_event("server_down")
    assert web.hits >= 10
