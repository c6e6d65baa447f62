"""The hosted daemon: what it says when a test is wrong, and what is not in the example suite."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from keepalive_py.daemon.controlled import Controlled
from keepalive_py.errors import ConfigError
from keepalive_py.pytest_plugin import MakeServer, Start
from keepalive_py.testing import Reason, VirtualClock, running

A, B = "10.0.0.1:80", "10.0.0.2:80"
WEB = "TCP 192.0.2.10:80"


def virtual_server(*servers: str, protocol: str = "TCP", interval: float = 60, check: str = "") -> str:
    check = check or "TCP_CHECK {\n retry 0\n }"
    blocks = "\n".join(f" real_server {server} {{\n {check}\n }}" for server in servers)
    return (
        f"virtual_server 192.0.2.10 80 {{\n delay_loop {interval}\n delay_before_retry 1\n lb_algo rr\n"
        f" lb_kind NAT\n protocol {protocol}\n{blocks}\n}}\n"
    )


ONE, TWO = virtual_server("10.0.0.2 80"), virtual_server("10.0.0.1 80", "10.0.0.2 80")


async def test_a_failure_shows_table_and_story(mock_daemon: Start) -> None:
    lb = await mock_daemon(TWO)
    lb.fail(B, Reason.TIMEOUT)
    await lb.advance(62)
    with pytest.raises(AssertionError) as failure:
        await lb.expect_service(WEB, {A: 2, B: 1})
    text = str(failure.value)
    assert "TCP 192.0.2.10:80 is not as expected (- wanted, + there):" in text
    assert "-     10.0.0.1:80  weight 2\n+     10.0.0.1:80  weight 1\n-     10.0.0.2:80  weight 1" in text
    assert "server_down      timeout      10.0.0.2:80 of 192.0.2.10:80" in text


async def test_an_expected_event_that_did_not_come(mock_daemon: Start) -> None:
    lb = await mock_daemon(TWO)
    with pytest.raises(AssertionError, match="no event with kind server_down, server 10.0.0.1:80"):
        await lb.expect_event("server_down", server=A)
    await lb.expect_no_event("server_down")
    lb.fail(A)
    await lb.check_now(A)
    assert (await lb.expect_event("server_down", reason="refused")).server == A
    with pytest.raises(AssertionError, match="there is an event with kind server_down"):
        await lb.expect_no_event("server_down")


async def test_what_there_is_not_is_named(mock_daemon: Start) -> None:
    lb = await mock_daemon(TWO)
    with pytest.raises(LookupError, match="no check of real server 10.0.0.9:80; .*: 10.0.0.1:80, 10.0.0.2"):
        lb.fail("10.0.0.9:80")
    with pytest.raises(LookupError, match="with a PING_CHECK"):
        lb.fail(A, check="PING_CHECK")
    with pytest.raises(ValueError, match="exploded"):
        lb.fail(A, "exploded")


async def test_mistakes_of_the_configuration_are_shown_with_their_place(mock_daemon: Start) -> None:
    with pytest.raises(ConfigError, match=r"given.conf:\d+:\d+: error\[unknown-keyword\]"):
        await mock_daemon(TWO.replace("lb_algo", "lb_algoo"))
    lb = await mock_daemon(TWO.replace("lb_algo", "lb_algoo"), strict=False)
    await lb.expect_service(WEB, {A: 1, B: 1})


async def test_a_reload_follows_the_text_and_keeps_what_was_said(mock_daemon: Start) -> None:
    lb = await mock_daemon(TWO)
    lb.fail(A)
    await lb.advance(62)
    assert await lb.reload(TWO.replace("delay_loop 60", "delay_loop 30"))
    await lb.advance(120)
    await lb.expect_table({WEB: {B: 1}})
    assert await lb.reload(ONE)
    await lb.expect_table({WEB: {B: 1}})


async def test_a_clock_that_is_set_back_does_not_change_how_long_it_runs(
    mock_daemon: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    lb = await mock_daemon(ONE)
    monkeypatch.setattr("time.time", lambda: lb.life.born - 864000)
    assert 0 <= Controlled(lb.life).status()["uptime"] < 3600


async def test_the_next_daemon_adopts_the_table(mock_daemon: Start, virtual_clock: VirtualClock) -> None:
    first = await mock_daemon(TWO)
    first.life.options = type(first.life.options)(keep_table=True)
    await first.stop()
    written = len(first.dataplane.history)
    second = await mock_daemon(TWO, dataplane=first.dataplane)
    await second.expect_table({WEB: {A: 1, B: 1}})
    assert len(first.dataplane.history) == written


async def test_a_stopped_daemon_leaves_nothing(virtual_clock: VirtualClock) -> None:
    async with running(TWO, sockets=False, clock=virtual_clock) as lb:
        dataplane = lb.dataplane
    assert await dataplane.read() == {}


async def test_real_sockets_cannot_be_told_what_to_find(live_daemon: Start) -> None:
    lb = await live_daemon(TWO)
    with pytest.raises(RuntimeError, match="tell the servers"):
        lb.fail(A)
    with pytest.raises(RuntimeError, match="real time"):
        await lb.advance(1)


CHECKS = {
    "tcp": "TCP_CHECK {\n connect_timeout 3\n retry 0\n }",
    "http": "HTTP_GET {\n connect_timeout 3\n retry 0\n url {\n path /\n status_code 200\n }\n }",
    "smtp": "SMTP_CHECK {\n connect_timeout 3\n retry 0\n }",
    "dns": "DNS_CHECK {\n connect_timeout 3\n retry 0\n type A\n name example.org\n }",
    "udp": "UDP_CHECK {\n connect_timeout 3\n retry 0\n require_reply\n payload 01\n }",
}
WRONG = {
    "tcp": ("refuse", "deaf"),
    "http": ("fail", "refuse", "hang", "deaf", "reset", "flap"),
    "smtp": ("fail", "refuse", "hang", "reset"),
    "dns": ("fail", "refuse", "hang"),
    "udp": ("fail", "refuse", "hang"),
}


@pytest.mark.parametrize("kind", CHECKS)
async def test_every_server_can_be_well_and_unwell(
    kind: str, live_daemon: Start, scripted_server: MakeServer, virtual_clock: VirtualClock
) -> None:
    server = await scripted_server(kind)
    protocol = "UDP" if kind in ("udp", "dns") else "TCP"
    text = virtual_server(str(server), protocol=protocol, interval=2, check=CHECKS[kind])
    lb = await live_daemon(text, clock=virtual_clock)
    service = f"{protocol} 192.0.2.10:80"
    await lb.advance(5)
    await lb.expect_event("check_passed")
    for behaviour in WRONG[kind]:
        lb.events.clear()
        await server.become(behaviour)
        await lb.advance(12)
        await lb.expect_event("server_down", server=server.endpoint)
        await server.serve()
        await lb.advance(12)
        await lb.expect_service(service, {server.endpoint: 1})
    assert server.hits
    with pytest.raises(ValueError, match="cannot 'sulk', only serve"):
        await server.become("sulk")


async def test_a_mail_about_it_reaches_the_scripted_server(
    live_daemon: Start, scripted_server: MakeServer, virtual_clock: VirtualClock
) -> None:
    post, web = await scripted_server("smtp"), await scripted_server("tcp")
    text = f"""
global_defs {{
 notification_email {{
  admin@example.org
 }}
 smtp_server {post}
 smtp_alert
}}
"""
    text += virtual_server(str(web), interval=2)
    lb = await live_daemon(text, clock=virtual_clock)
    await lb.advance(5)
    await web.refuse()
    await lb.advance(5)
    mails = [request for request in post.requests if b"Subject:" in request]
    assert any(f"Realserver [{web.address}]:tcp:{web.port}".encode() in mail for mail in mails), mails


async def test_a_port_that_refuses_stays_ours(scripted_server: MakeServer) -> None:
    server = await scripted_server()
    for _ in range(3):
        await server.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(server.address, server.port)
        await server.serve()
        _, writer = await asyncio.open_connection(server.address, server.port)
        writer.close()


async def test_announcements_follow_drain_and_neighbour(mock_daemon: Start, tmp_path: Path) -> None:
    block = f"bgp_announcer {{\n prefix 192.0.2.0/24\n state_directory {tmp_path}/ours\n}}\n"
    lb = await mock_daemon(TWO + block)
    await lb.advance(62)
    await lb.expect_announced("192.0.2.10")
    lb.network.take_away(next(iter(lb.network.on("kavip"))))
    await lb.advance(1)
    await lb.expect_announced("192.0.2.10")
    lb.fail(A)
    lb.fail(B)
    await lb.advance(120)
    assert await lb.announcements() == {"192.0.2.10": "held"}
    with pytest.raises(AssertionError, match=r"announced should be: \['192.0.2.10'\]\n  192.0.2.10 +held"):
        await lb.expect_announced("192.0.2.10")
