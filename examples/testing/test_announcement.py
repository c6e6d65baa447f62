"""When a virtual address is announced by BGP, and when it is taken back."""

from pathlib import Path

import pytest

from keepalive_py.testing import Daemon

HERE = Path(__file__).parent
VIP = "192.0.2.10"
ONE, TWO = "10.0.0.1:80", "10.0.0.2:80"


@pytest.fixture
async def lb(mock_daemon) -> Daemon:
    """keepalive_py.conf is read because it stands beside keepalived.conf."""
    lb = await mock_daemon(HERE / "keepalived.conf")
    await lb.advance(30)
    return lb


async def test_a_healthy_address_is_announced(lb):
    await lb.expect_announced(VIP)


async def test_it_goes_with_the_last_server_and_comes_back_after_the_hold_down(lb):
    lb.fail(ONE)
    lb.fail(TWO)
    await lb.advance(30)
    await lb.expect_announced()
    lb.heal(ONE)
    await lb.advance(30)
    await lb.expect_announced(VIP)


async def test_one_uplink_is_enough(lb):
    lb.network.set_link("eth1", carrier=False)
    await lb.advance(5)
    await lb.expect_announced(VIP)
    lb.network.set_link("eth2", carrier=False)
    await lb.advance(5)
    await lb.expect_announced()
