"""A configuration under test: what the balancer does when servers die. Nothing here sleeps.

pip install 'keepalive_py[testing]'
pytest examples/testing
"""

from pathlib import Path

import pytest

from keepalive_py.testing import Daemon

HERE = Path(__file__).parent
WEB = "TCP 192.0.2.10:80"
ONE, TWO, SORRY = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.99:80"


@pytest.fixture
async def lb(mock_daemon) -> Daemon:
    return await mock_daemon(HERE / "keepalived.conf")


async def test_all_servers_serve_by_weight(lb):
    await lb.expect_table({WEB: {ONE: 2, TWO: 1}})


async def test_a_dead_server_leaves_after_its_retries(lb):
    await lb.advance(10)  # everybody was checked
    lb.fail(ONE, "status")
    await lb.check_now(ONE)  # it is seen, but there are two retries
    await lb.expect_service(WEB, {ONE: 2, TWO: 1})
    await lb.advance(3)
    await lb.expect_service(WEB, {TWO: 1})
    await lb.expect_event("server_down", server=ONE, reason="status")
    assert lb.scripts == ["/usr/local/bin/page web1"]


async def test_one_bad_answer_is_forgiven(lb):
    await lb.advance(10)
    lb.say(ONE, "timeout", "passed")
    await lb.advance(60)
    await lb.expect_no_event("server_down")


async def test_with_all_servers_dead_the_sorry_server_serves(lb):
    lb.fail(ONE)
    lb.fail(TWO)
    await lb.advance(60)
    await lb.expect_table({WEB: {SORRY: 1}})
    await lb.expect_event("quorum_lost", service="192.0.2.10:80")
    lb.heal(TWO)
    await lb.advance(60)
    await lb.expect_table({WEB: {TWO: 1}})


async def test_trouble_of_our_own_takes_nobody_out(lb):
    lb.fail(ONE, "no-descriptors")
    await lb.advance(600)
    await lb.expect_table({WEB: {ONE: 2, TWO: 1}})


async def test_a_broken_configuration_changes_nothing(lb):
    assert not await lb.reload("virtual_server 192.0.2.10 eighty {\n}\n")
    await lb.expect_table({WEB: {ONE: 2, TWO: 1}})


async def test_a_kernel_that_refuses_is_asked_again(lb):
    await lb.advance(10)
    lb.dataplane.refuse_next(12, matching=ONE)  # ENOMEM
    lb.fail(ONE)
    await lb.advance(7)
    await lb.expect_service(WEB, {ONE: 2, TWO: 1})
    await lb.advance(10)
    await lb.expect_service(WEB, {TWO: 1})
