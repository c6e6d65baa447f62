"""Ten thousand real servers: memory, and that no turn of the loop is long."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MEMORY_LIMIT = 120 * 1024  # kB
TURN_LIMIT = 0.25  # seconds of CPU; some 20 ms where the machine is idle

PROGRAM = """
import asyncio, json, selectors, sys, time
from keepalive_py.checkers import REGISTRY
from keepalive_py.daemon import dump, probes, voice
from keepalive_py.daemon.loading import load
from keepalive_py.daemon.memory import growing, reading
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.supervisor import Supervisor
from keepalive_py.dataplane import MemoryDataplane
from keepalive_py.notify.notifier import Notifier
from keepalive_py.notify.security import account
from keepalive_py.probing import Engine
import structlog
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
probes.FIRST_CHECK = 1e6
options = Options(config_file=sys.argv[1])

class Timed(selectors.EpollSelector):
    '''Remembers the CPU that the loop's thread used between two waits.'''
    longest = began = 0.0
    def select(self, timeout=None):
        self.longest = max(self.longest, time.thread_time() - self.began)
        ready = super().select(timeout)
        self.began = time.thread_time()
        return ready

async def main():
    engine = Engine(registry=REGISTRY, trouble=voice.trouble)
    engine.attach(asyncio.get_running_loop())
    with growing():
        ready = load(options)
        notifier = Notifier(None, account, voice.warn, time.time)
        supervisor = Supervisor(ready.config, MemoryDataplane(), engine, notifier, router_id="x")
        await supervisor.start()
    started = dump.resident_kilobytes()
    with reading():
        fresh = await asyncio.to_thread(load, options)
    await asyncio.sleep(0)
    timed.longest = 0.0
    await supervisor.reload(fresh.config)
    await asyncio.sleep(0)
    reload_turn, timed.longest = timed.longest, 0.0
    supervisor.writer.read_again()
    await supervisor.writer.settled()
    read_turn = timed.longest
    entries = sum(len(entry.destinations) for entry in (await supervisor.dataplane.read()).values())
    print(json.dumps([entries, started, dump.resident_kilobytes(), reload_turn, read_turn]))
    await supervisor.stop(keep_table=True)
    await supervisor.close()

timed = Timed()
with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(timed)) as runner:
    runner.run(main())
"""


@pytest.mark.slow
def test_ten_thousand_real_servers(tmp_path: Path) -> None:
    config = tmp_path / "lb.conf"
    config.write_text("".join(virtual_server(number) for number in range(1000)))
    command = [sys.executable, "-c", PROGRAM, str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    entries, started, reloaded, reload_turn, read_turn = json.loads(done.stdout)
    assert entries == 10_000
    assert started <= MEMORY_LIMIT
    assert reloaded <= MEMORY_LIMIT
    assert reload_turn <= TURN_LIMIT
    assert read_turn <= TURN_LIMIT


def virtual_server(number: int) -> str:
    servers = "".join(
        f" real_server 10.1.{number // 25}.{number % 25 * 10 + each} 80 {{\n"
        "  TCP_CHECK {\n   connect_timeout 3\n   retry 3\n  }\n }\n"
        for each in range(10)
    )
    head = f"virtual_server 10.0.{number // 250}.{number % 250} 80 {{\n"
    return f"{head} delay_loop 6\n lb_algo rr\n lb_kind NAT\n protocol TCP\n{servers}}}\n"
