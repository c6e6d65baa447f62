"""CPU per check, ours beside a real keepalived: same configuration, same server, in one run.

    bench/checks.py [--targets 1000 5000] [--kinds tcp http] [--seconds 15] [--first]

Where the kernel has IPVS (the kernel lab, as root) keepalived uses it; elsewhere cc(1) builds
bench/ipvs_standin.c, which keepalived is given in place of IPVS. Every target is an address of
127.1.0.0/16, checked once a second; the CPU time of the checking process is read every second
and divided by the connections that the server took in it; the median counts (user and system
are told for the whole). keepalived, our daemon with its table in memory, and our engine alone
(which can say how late its probes were) run one after the other. `--first` gives all processes
of the bench real-time priority (root), for a machine that has other things to do. Exit status
1: a goal was missed.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import mmap
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PORT = 18080
PATIENCE = 60.0  # seconds until every target has been checked twice
GOALS = {"tcp": 1.2, "http": 1.4}
LATE_GOAL = 0.050
CPUCLOCK_SCHED = 2  # linux/posix-timers.h
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took for its checks. `seen` is what ours says of itself."""

    each: float  # microseconds of CPU, the median of all seconds
    checks: int
    user: float
    system: float
    resident: int
    seconds: float
    seen: dict[str, Any]


class Server:
    """The acceptor in a process of its own."""

    def __init__(self, kind: str, place: Path) -> None:
        counts = place / "counts"
        counts.write_bytes(bytes(16))
        with counts.open("r+b") as file:
            self._shown = memoryview(mmap.mmap(file.fileno(), 16)).cast("Q")
        self._index = 0 if kind == "tcp" else 1
        command = [sys.executable, str(HERE / "acceptor.py"), kind, str(PORT), str(counts)]
        self._process = subprocess.Popen(command)

    @property
    def taken(self) -> int:
        return self._shown[self._index]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def cpu(pid: int) -> tuple[float, float]:
    """User and system seconds so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return int(fields[11]) / CLOCK_TICKS, int(fields[12]) / CLOCK_TICKS


def resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def run_time(pid: int) -> float:
    """Seconds on a CPU, to the nanosecond: the clock of clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)


def measure(pid: int, server: Server, count: int, seconds: float) -> Cost:
    deadline = time.monotonic() + PATIENCE
    while server.taken < 2 * count and time.monotonic() < deadline:
        time.sleep(0.1)
    began, first, (user, system) = time.monotonic(), server.taken, cpu(pid)
    each = []
    while time.monotonic() < began + seconds:
        taken, ran = server.taken, run_time(pid)
        time.sleep(1.0)
        each.append((run_time(pid) - ran) / max(1, server.taken - taken) * 1e6)
    more_user, more_system = cpu(pid)
    return Cost(
        statistics.median(each),
        server.taken - first,
        more_user - user,
        more_system - system,
        resident(pid),
        time.monotonic() - began,
        {},
    )


# keepalived


def address(number: int) -> str:
    return f"127.1.{number >> 8}.{number & 255}"


def configuration(kind: str, count: int) -> str:
    check = "TCP_CHECK {\n connect_timeout 5\n }"
    if kind == "http":
        check = "HTTP_GET {\n url {\n path /health\n status_code 200-299\n }\n connect_timeout 5\n }"
    servers = "".join(
        f" real_server {address(number)} {PORT} {{\n  weight 1\n  {check}\n }}\n" for number in range(count)
    )
    head = "virtual_server 192.0.2.1 80 {\n delay_loop 1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n"
    return f"global_defs {{\n script_user root\n}}\n{head}{servers}}}\n"


@contextlib.contextmanager
def keepalived(place: Path) -> Iterator[int]:
    """A running keepalived; the pid is that of its checking process."""
    pids = [place / "parent.pid", place / "checkers.pid"]
    command = ["keepalived", "-C", "-n", "-l", "-G", "-f", str(place / "keepalived.conf")]
    command += ["-p", str(pids[0]), "-c", str(pids[1])]
    with started(command, place / "keepalived.log", **standin(place)) as process:
        deadline = time.monotonic() + 30
        while not (pids[1].exists() and pids[1].read_text().strip()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(
                    f"keepalived does not run:\n{(place / 'keepalived.log').read_text()[-2000:]}"
                )
            time.sleep(0.05)
        yield int(pids[1].read_text())


@contextlib.contextmanager
def daemon(place: Path) -> Iterator[int]:
    """Our daemon on the same file."""
    command = [sys.executable, "-m", "keepalive_py", "-C", "-n", "-l", "-G", "--dataplane", "memory"]
    command += ["-f", str(place / "keepalived.conf"), "-p", str(place / "ours.pid")]
    command += ["-c", str(place / "ours-checkers.pid")]
    with started(command, place / "ours.log") as process:
        yield process.pid


@contextlib.contextmanager
def started(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, **environment})
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def standin(place: Path) -> dict[str, str]:
    """The environment that makes up for a kernel without IPVS; empty where it has it."""
    if Path("/proc/net/ip_vs").exists():
        return {}
    library = place / "ipvs_standin.so"
    if not library.exists():
        source = str(HERE / "ipvs_standin.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), source], check=True)
    return {"LD_PRELOAD": str(library)}


# the sides


def cost_of(run: Any, kind: str, count: int, seconds: float, place: Path) -> Cost:
    """`run` is `keepalived` or `daemon`."""
    server = Server(kind, place)
    try:
        with run(place) as pid:
            return measure(pid, server, count, seconds)
    finally:
        server.close()


def cost_of_engine(kind: str, count: int, seconds: float, place: Path) -> Cost:
    server = Server(kind, place)
    command = [sys.executable, str(HERE / "prober.py"), kind, str(count), str(PORT)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        cost = measure(process.pid, server, count, seconds)
        process.terminate()
        words, _ = process.communicate(timeout=30)
        return dataclasses.replace(cost, seen=json.loads(words))
    finally:
        process.kill()
        server.close()


def failures(log: Path) -> int:
    """Servers that a log says to have failed: all of them falsely."""
    return sum("_CHECK on service" in text and "failed" in text for text in log.read_text().splitlines())


def line(name: str, cost: Cost) -> str:
    megabytes = cost.resident / 1e6
    rate = cost.checks / cost.seconds
    user, system = (part / max(1, cost.checks) * 1e6 for part in (cost.user, cost.system))
    return (
        f"  {name:11} {cost.each:6.1f} µs CPU a check ({user:.1f} user, {system:.1f} system), "
        f"{rate:.0f} checks/s, {megabytes:.0f} MB"
    )


def compare(kind: str, count: int, seconds: float, place: Path) -> bool:
    """One set of runs, printed; were the goals met?"""
    print(f"{kind} × {count} targets, once a second")
    (place / "keepalived.conf").write_text(configuration(kind, count))
    theirs = cost_of(keepalived, kind, count, seconds, place)
    print(line("keepalived", theirs), flush=True)
    ours = cost_of(daemon, kind, count, seconds, place)
    print(line("ours", ours), flush=True)
    engine = cost_of_engine(kind, count, seconds, place)
    print(line("engine", engine))
    seen, ratio, bad = engine.seen, ours.each / theirs.each, failures(place / "ours.log")
    print(
        f"  late: p50 {seen['late_p50'] * 1e3:.1f} ms, p99 {seen['late_p99'] * 1e3:.1f} ms, "
        f"most {seen['late_max'] * 1e3:.1f} ms; lost {seen['lost']}, "
        f"falsely failed {bad + seen['bad']}, unknown {seen['unknown']}"
    )
    good = ratio <= GOALS[kind] and seen["late_p99"] <= LATE_GOAL
    good = good and not seen["lost"] and not seen["bad"] and not bad
    print(
        f"  ratio {ratio:.2f} (engine alone {engine.each / theirs.each:.2f}, goal {GOALS[kind]}): "
        f"{'met' if good else 'MISSED'}",
        flush=True,
    )
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description="CPU per check, ours beside keepalived")
    parser.add_argument("--targets", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--kinds", nargs="+", default=["tcp", "http"], choices=["tcp", "http"])
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--first", action="store_true", help="run before all else (SCHED_RR)")
    arguments = parser.parse_args()
    if arguments.first:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    if shutil.which("keepalived") is None:
        print("keepalived is not installed", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as place:
        results = [
            compare(kind, count, arguments.seconds, Path(place))
            for kind in arguments.kinds
            for count in arguments.targets
        ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
