"""What global settings do to the process, the kernel and the files, seen from outside, in one life
of one daemon. `keepalived` beside it would need as many."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import table
from lab.daemons import KeepalivePy
from lab.namespace import Namespace
from lab.needs import lacking
from lab.servers import Server
from lab.waiting import eventually

LACKING = lacking("ipvsadm", "ip")
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

TABLE_NAMESPACE = "settings-table"

CONFIG = """
net_namespace_ipvs {namespace}
instance lab
global_defs {{
    process_name balancer
    checker_priority -3
    checker_cpu_affinity 0
    checker_no_swap
    umask 0137
    script_user root
    enable_script_security
    startup_script "{directory}/note startup"
    shutdown_script "{directory}/note shutdown"
    config_save_dir {directory}/saved
    reload_time_file {directory}/when
    reload_file {directory}/reading
    lvs_timeouts tcp 1000 tcpfin 50 udp 70
    lvs_sync_daemon eth9 id 9 maxlen 1400 port 8849 ttl 3 group 224.0.0.99
    notify_fifo {directory}/all
    lvs_notify_fifo {directory}/lvs
}}
virtual_server 10.99.0.1 80 {{
    delay_loop 0.5
    warmup 0
    retry 0
    lvs_sched rr
    lvs_method NAT
    protocol TCP
    real_server 10.9.0.1 80 {{
        TCP_CHECK {{
            connect_ip 127.0.0.9
            connect_port 8080
            bind_if lo
            fwmark 77
        }}
    }}
}}
"""


@pytest.fixture
def table_namespace() -> Iterator[None]:
    """Named, with an interface for the synchronisation daemon."""
    subprocess.run(["ip", "netns", "add", TABLE_NAMESPACE], check=True)
    inside("ip", "link", "add", "eth9", "type", "dummy")
    inside("ip", "addr", "add", "10.9.9.9/24", "dev", "eth9")
    inside("ip", "link", "set", "eth9", "up", "multicast", "on")
    yield
    subprocess.run(["ip", "netns", "del", TABLE_NAMESPACE], check=True)


def inside(*command: str) -> str:
    """What a command says in the table's namespace."""
    full = ["ip", "netns", "exec", TABLE_NAMESPACE, *command]
    return subprocess.run(full, check=True, capture_output=True, text=True, timeout=60).stdout


def services() -> table.Table:
    return table.parse(inside("ipvsadm", "-Sn"))


@pytest.mark.usefixtures("table_namespace")
def test_one_life(tmp_path: Path) -> None:
    probes = Namespace("settings-probes")
    server = Server(probes, "127.0.0.9", 8080)
    server.be("serve")
    note = tmp_path / "note"
    note.write_text(f"#!/bin/sh\necho $1 >> {tmp_path}/notes\n")
    note.chmod(0o700)
    daemon = KeepalivePy(probes, tmp_path)
    daemon.config.write_text(CONFIG.format(namespace=TABLE_NAMESPACE, directory=tmp_path))
    daemon.start()
    eventually(
        lambda: "Startup complete" in daemon.lines(), within=60, what=lambda: f"the start\n{daemon.tail()}"
    )

    # The process.
    assert Path(f"/proc/{daemon.pid}/comm").read_text() == "balancer\n"
    assert os.getpriority(os.PRIO_PROCESS, daemon.pid) == -3
    assert os.sched_getaffinity(daemon.pid) == {0}
    assert "VmLck:\t       0 kB" not in Path(f"/proc/{daemon.pid}/status").read_text()
    assert (tmp_path / "lvs").stat().st_mode & 0o777 == 0o640

    # The table is over there, the probes are here: to another address and port, marked.
    assert list(services()) == ["TCP 10.99.0.1:80"]
    assert table.read(probes) == {}
    eventually(lambda: server.hits, within=30, what="a probe")
    assert inside("ipvsadm", "-l", "--timeout").split()[-3:] == ["1000", "50", "70"]
    syncing = inside("ipvsadm", "-l", "--daemon")
    for word in (
        "master",
        "backup",
        "mcast=eth9",
        "syncid=9",
        "maxlen=1400",
        "port=8849",
        "ttl=3",
        "224.0.0.99",
    ):
        assert word in syncing, syncing

    # The events of servers, in both FIFOs.
    listening = [os.open(tmp_path / name, os.O_RDONLY | os.O_NONBLOCK) for name in ("all", "lvs")]
    server.be("refuse")
    eventually(
        lambda: "10.9.0.1:80" not in services()["TCP 10.99.0.1:80"].destinations, within=30, what="down"
    )
    for descriptor in listening:
        assert b"RS [10.9.0.1]:tcp:80 [10.99.0.1]:tcp:80 DOWN\n" in os.read(descriptor, 4096)
        os.close(descriptor)

    # A reload at its time; the copies of what was read.
    (tmp_path / "when").write_text(time.strftime("%Y-%m-%d %H:%M:%S\n", time.localtime(time.time() + 2)))
    eventually(lambda: "Reload complete" in daemon.lines(), within=60, what="the reload at its time")
    eventually(lambda: not (tmp_path / "when").exists(), within=30, what="the file of the time is gone")
    assert not (tmp_path / "reading").exists()
    assert len(list((tmp_path / "saved").iterdir())) == 2

    assert daemon.stop() == 0
    assert (tmp_path / "notes").read_text() == "startup\nshutdown\n"
    assert services() == {}
    assert inside("ipvsadm", "-l", "--timeout").split()[-3:] == ["900", "120", "300"]
    assert inside("ipvsadm", "-l", "--daemon") == ""
    probes.close()


IN_A_NAMESPACE = """
net_namespace {namespace}
virtual_server 10.99.0.1 80 {{
    delay_loop 0.5
    warmup 0
    lvs_sched rr
    lvs_method NAT
    protocol TCP
    alpha
    real_server 127.0.0.9 8080 {{
        TCP_CHECK {{
        }}
    }}
}}
"""


@pytest.mark.usefixtures("table_namespace")
def test_a_life_in_another_namespace(tmp_path: Path) -> None:
    inside("ip", "link", "set", "lo", "up")
    command = ["ip", "netns", "exec", TABLE_NAMESPACE, sys.executable, "-m", "http.server", "8080"]
    server = subprocess.Popen([*command, "--bind", "127.0.0.9", "--directory", str(tmp_path)])
    outside = Namespace("settings-outside")
    daemon = KeepalivePy(outside, tmp_path)
    daemon.config.write_text(IN_A_NAMESPACE.format(namespace=TABLE_NAMESPACE))
    try:
        daemon.start()
        eventually(
            lambda: "127.0.0.9:8080" in services().get("TCP 10.99.0.1:80", table.Entry("")).destinations,
            within=60,
            what=lambda: f"the server of that namespace\n{daemon.tail()}",
        )
        assert table.read(outside) == {}
    finally:
        server.terminate()
        server.wait(60)
        daemon.stop()
        outside.close()
    assert services() == {}
