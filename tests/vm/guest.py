"""The first process of the virtual machine: performs the steps and writes what came of each.

A line `@@ {JSON}` on the console is one step: its name, exit status, what was printed. The commands
are keepalive-ctl's own, called in this process: to start Python anew takes seconds here.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import http.client
import io
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from keepalive_py.checkers import REGISTRY
from keepalive_py.checkers.toa import ToaCheck
from keepalive_py.cli import ctl, daemon
from keepalive_py.net import Endpoint
from keepalive_py.probing import Engine
from keepalive_py.toa.verify import loopback_up

MODULES = "/modules"
STATE = "/run/keepalive_py"
OFF = 0x4321FEDC  # LINUX_REBOOT_CMD_POWER_OFF of linux/reboot.h
libc = ctypes.CDLL(None, use_errno=True)


def tell(step: str, **what: object) -> None:
    print("@@ " + json.dumps({"step": step, "at": round(time.monotonic(), 1), **what}), flush=True)


def mounted() -> None:
    for kind, place in (
        ("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run"),
        ("securityfs", "/sys/kernel/security"),
    ):  # fmt: skip
        libc.mount(kind.encode(), place.encode(), kind.encode(), 0, None)


def command(step: str, *words: str) -> None:
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            status = ctl.main(["toa", *words])
        except SystemExit as end:
            status = int(end.code or 0)
    tell(step, status=status, out=out.getvalue(), errors=errors.getvalue())


def toa(step: str, verb: str, *words: str) -> None:
    command(step, verb, "--state-directory", STATE, *words)


def load(step: str, file: str, *words: str) -> None:
    toa(step, "load", "toa", "--file", f"{MODULES}/{file}", *words)


def in_child(step: str, work: Callable[[], None]) -> None:
    """For what cannot be undone: loss of privilege."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:
            tell(step, status=70, errors=traceback.format_exc())
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def without_privilege() -> None:
    os.setgid(65534)
    os.setuid(65534)
    load("unprivileged load", "toa.ko")
    toa("unprivileged verify", "verify")


def refusals() -> None:
    toa("verify without", "verify", "--json")
    load("missing file", "nowhere.ko")
    load("no module", "text.ko")
    load("wrong kernel", "other-kernel.ko")
    load("other build", "other-build.ko")
    load("missing symbol", "missing-symbol.ko")
    load("unknown parameter", "toa.ko", "--parameter", "wrok=1")
    load("bad value", "toa.ko", "--parameter", "kind=many")
    toa("not installed", "load", "elsewhere")
    in_child("unprivileged", without_privilege)


def life() -> None:
    load("load idle", "toa.ko", "--parameter", "work=0")
    toa("verify idle", "verify", "--json")
    toa("status idle", "status", "--json")
    load("load again", "toa.ko", "--parameter", "work=0")
    load("other parameters", "toa.ko", "--parameter", "work=1")
    load("reload", "toa.ko", "--parameter", "work=1", "--reload")
    toa("verify", "verify", "--json", "--flavour", "dpvs")
    toa("verify all", "verify", "--json", "--layout", "all")
    toa("verify by another", "verify", "vtoa", "--json", "--layout", "toa4")
    toa("status", "status", "--json")
    toa("stats", "stats", "--json")
    command("unload of another", "unload", "--state-directory", "/run/other", "toa")
    toa("unload", "unload", "toa")
    toa("unload again", "unload", "toa")


def by_modprobe() -> None:
    toa("modprobe", "load", "toa", "--parameter", "kind=200")
    toa("verify ucloud", "verify", "--json", "--flavour", "ucloud")
    toa("modprobe unknown parameter", "load", "toa", "--reload", "--parameter", "knd=200")
    toa("gone", "status", "--json")
    toa("persist", "persist", "toa")
    tell("persisted", files={name: Path("/etc", name).read_text() for name in (
        "modules-load.d/keepalive_py.conf",)})  # fmt: skip


# The real server's role, and the node's check of it.

PORT = 6604
LOG = "/tmp/role.log"
PATIENCE = 60.0  # seconds
BLOCK = """
toa {
    module toa {
        flavour dpvs
        source file /modules/toa.ko
    }
    listen 127.0.0.1 6604
    listen ::1 6604
    check_interval 0.5
    MORE
}
"""
ROLE = (
    "--role", "realserver", "-n", "-l", "-G", "-f", "/tmp/toa.conf", "-p", "/run/rs.pid", "-c", "/run/rs.pid",
    "--state-directory", STATE,
)  # fmt: skip


def ask(path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


def wait_until(step: str, wanted: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not (done := wanted()) and time.monotonic() < end:
        time.sleep(0.2)
    tell(step, done=done)


def wait_for(step: str, path: str, wanted: Callable[[tuple[int, str]], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not wanted(found := ask(path)) and time.monotonic() < end:
        time.sleep(0.2)
    tell(step, status=found[0], out=found[1])


async def checked(step: str, address: str, **more: Any) -> None:
    """The first verdict of a TOA_CHECK."""
    engine = Engine(registry=REGISTRY, trouble=lambda _reason, text: tell(f"{step} trouble", errors=text))
    engine.attach(asyncio.get_running_loop())
    found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def report(verdict: Any, _started: float, _ended: float) -> float:
        if not found.done():
            found.set_result(verdict)
        return 1000.0

    engine.add(ToaCheck(target=Endpoint(ip_address(address), PORT), **more), report, first_in=0.0)
    verdict = await asyncio.wait_for(found, 20)
    tell(step, kind=type(verdict).__name__, detail=verdict.detail)
    await engine.close()


def check(step: str, address: str, **more: Any) -> None:
    asyncio.run(checked(step, address, **more))


def loaded_again(found: tuple[int, str]) -> bool:
    """The kernel has it, and the role says that it did it."""
    return Path("/sys/module/toa").exists() and '"loaded_by_us": true' in found[1]


def role() -> None:
    loopback_up()
    toa("make room", "unload", "toa")
    conf = Path("/tmp/toa.conf")
    conf.write_text(BLOCK.replace("MORE", ""))
    child = os.fork()
    if not child:
        os.dup2(os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
        os._exit(daemon.main(ROLE))
    wait_for("role healthy", "/health", lambda found: "works" in found[1])
    check("check", "127.0.0.1")
    check("check v6", "::1")
    check("check of another layout", "127.0.0.1", layout="ucloud")
    tell("role metrics", out=ask("/metrics")[1])
    toa("role's module", "unload", "toa")
    wait_for("role loads it again", "/modules", loaded_again)
    conf.write_text(BLOCK.replace("MORE", "watch_only"))
    os.kill(child, signal.SIGHUP)
    wait_until("role reloaded", lambda: "Reload complete" in Path(LOG).read_text())
    toa("role's module again", "unload", "toa")
    wait_for("role unwell", "/health", lambda found: found[0] == 503)
    check("check without", "127.0.0.1")
    check("report only", "127.0.0.1", report_only=True)
    os.kill(child, signal.SIGTERM)
    tell("role ended", status=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def lockdown() -> None:
    Path("/sys/kernel/security/lockdown").write_text("integrity")
    load("lockdown", "toa.ko")


def main() -> None:
    mounted()
    os.environ["PATH"] = "/usr/bin:/bin:/usr/sbin:/sbin"
    tell("booted", release=os.uname().release)
    for part in (refusals, life, by_modprobe, role, lockdown):
        try:
            part()
        except BaseException:
            tell(f"{part.__name__} broke", errors=traceback.format_exc())
    tell("over")


if __name__ == "__main__":
    try:
        main()
    finally:
        sys.stdout.flush()
        time.sleep(0.2)
        libc.reboot(OFF)
