"""For people who test against us: a daemon in the test's own process, and servers to check.

Files: `daemon` (a running daemon and what is expected of it), `servers` (real servers that do as
they are told), `clock` (time that stands still until it is told to go on), `verdicts` (checks that
answer at once), `network` (links and addresses of memory), `hosting` (the daemon's own life without
a process of its own), `happenings` (events in words). The fixtures are in
`keepalive_py.pytest_plugin`; docs/testing.md is for the reader.

    async def test_a_dead_server_leaves(mock_daemon):
        lb = await mock_daemon(CONFIG)
        lb.fail("10.0.0.1:80", "timeout")
        await lb.advance(60)
        await lb.expect_service("TCP 192.0.2.10:80", {"10.0.0.2:80": 1})

Everything but the kernel is the real thing: the configuration's reader, health, plan, the table's
writer, the announcer, the reload. What is exported here is stable; the rest is not.
"""

from keepalive_py.dataplane.memory import MemoryDataplane
from keepalive_py.health.verdict import PASSED, Failed, Passed, Reason, Unknown
from keepalive_py.testing.clock import VirtualClock
from keepalive_py.testing.daemon import Daemon, running
from keepalive_py.testing.happenings import Happening
from keepalive_py.testing.network import MemoryNetwork
from keepalive_py.testing.servers import Answer, DatagramServer, Server, self_signed

__all__ = [
    "PASSED",
    "Answer",
    "Daemon",
    "DatagramServer",
    "Failed",
    "Happening",
    "MemoryDataplane",
    "MemoryNetwork",
    "Passed",
    "Reason",
    "Server",
    "Unknown",
    "VirtualClock",
    "running",
    "self_signed",
]
