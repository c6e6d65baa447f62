"""The first process of the virtual machine: performs the steps and writes what came of each.

A line `@@ {JSON}` on the console is one step: its name, exit status, what was printed. The commands
are keepalive-ctl's own, called in this process: to start Python anew takes seconds here.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from keepalive_py.cli import ctl

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


def lockdown() -> None:
    Path("/sys/kernel/security/lockdown").write_text("integrity")
    load("lockdown", "toa.ko")


def main() -> None:
    mounted()
    os.environ["PATH"] = "/usr/bin:/bin:/usr/sbin:/sbin"
    tell("booted", release=os.uname().release)
    for part in (refusals, life, by_modprobe, lockdown):
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
