"""See keepalive-py at work: real servers on loopback, broken and repaired before your eyes.

    python examples/demo/demo.py [--keep]

Starts a few small servers, runs the daemon on keepalived.conf beside this file, breaks a server,
repairs it, reloads a changed configuration, takes everything down, and ends by itself. Each
step waits until the daemon shows what it should; if it does not, the demonstration fails.

As root it works in a network namespace of its own, where the kernel's IPVS is used if there is
one; otherwise in memory. This machine's own IPVS table is never touched.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAM = Path(sys.executable).parent / "keepalive-py"
CLONE_NEWNET = 0x40000000  # linux/sched.h
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # linux/sockios.h, linux/if.h
JSON_SIGNAL = signal.SIGRTMIN + 2
LIMIT = 6.0  # s for the daemon to show what it should
LOG_LINES = 12

WEB = ["127.0.10.1", "127.0.10.2", "127.0.10.3"]
DATABASES = ["127.0.10.11", "127.0.10.12"]
SORRY = "127.0.10.99"
WEB_PORT, DATABASE_PORT = 18080, 15432


def own_network() -> bool:
    """Move into a fresh network namespace with a loopback; False when that is not allowed."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    return True


def usable_port(port: int) -> int:
    """`port` if nobody has it, otherwise one that is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


class RealServer:
    """A server that answers every request with 200, until it is broken."""

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port
        self._listener: asyncio.Server | None = None

    async def repair(self) -> None:
        self._listener = await asyncio.start_server(self._serve, self.address, self.port)

    def break_(self) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.0 200 OK\r\n\r\nfine\n")
            await writer.drain()
        writer.close()


@dataclass
class View:
    """What the daemon says: its table as rows of (name, weight or None when out), and its log."""

    tables: dict[str, list[tuple[str, int | None]]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    @property
    def checked(self) -> int:
        """How many first checks have succeeded."""
        return sum("success." in line or "succeed on" in line for line in self.log)

    def weights(self, port: int) -> dict[str, int]:
        """Address to weight of what is in the pool of that virtual port."""
        rows = self.tables.get(f"[192.0.2.10]:tcp:{port}", [])
        return {name.split("]")[0].strip("["): weight for name, weight in rows if weight is not None}


class Screen:
    """Redraws everything on a terminal; elsewhere prints what is new, line by line."""

    def __init__(self, view: View, title: str) -> None:
        self.view = view
        self.title = title
        self.scene = ""
        self.live = sys.stdout.isatty()
        self._printed_log = 0
        self._printed: dict[str, list[str]] = {}

    def show(self) -> None:
        if self.live:
            sys.stdout.write("\x1b[H\x1b[2J" + "\n".join(self._page()) + "\n")
        else:
            for line in self._news():
                print(line)
        sys.stdout.flush()

    def say(self, scene: str) -> None:
        self.scene = scene
        if not self.live:
            print(f"\n>>> {scene}")
        self.show()

    def _table(self) -> dict[str, list[str]]:
        """Title to lines, of each service and of the kernel's own table."""
        parts = {
            service: [
                f"    -> {name:<32} {'out' if weight is None else f'weight {weight}'}"
                for name, weight in rows
            ]
            for service, rows in self.view.tables.items()
        }
        if kernel := kernel_table():
            parts["the kernel's IPVS table:"] = kernel
        return parts

    def _page(self) -> list[str]:
        table = [line for title, rows in self._table().items() for line in (title, *rows)]
        log = self.view.log[-LOG_LINES:]
        return [self.title, "", f">>> {self.scene}", "", *table, "", "log:", *log]

    def _news(self) -> list[str]:
        lines = [f"    log  {line}" for line in self.view.log[self._printed_log :]]
        self._printed_log = len(self.view.log)
        for title, rows in self._table().items():
            if self._printed.get(title) != rows:
                lines += [title, *rows]
                self._printed[title] = rows
        return lines


def kernel_table() -> list[str]:
    """/proc/net/ip_vs, whose addresses are in hexadecimal; empty without IPVS."""
    try:
        rows = Path("/proc/net/ip_vs").read_text().splitlines()[3:]
    except OSError:
        return []
    return [f"    {row[:5]}{endpoint(row.split()[1])}  {' '.join(row.split()[2:4])}" for row in rows]


def endpoint(text: str) -> str:
    """`C000020A:0050` as 192.0.2.10:80."""
    address, _, port = text.partition(":")
    return f"{socket.inet_ntoa(bytes.fromhex(address))}:{int(port, 16)}"


class Daemon:
    """keepalive-py on a copy of the configuration, watched through its log and its JSON dump."""

    def __init__(self, directory: Path, dataplane: str) -> None:
        self.directory = directory
        self.config = directory / "keepalived.conf"
        self.view = View()
        self._dataplane = dataplane
        self._process: asyncio.subprocess.Process | None = None
        self.ports = {port: usable_port(port) for port in (WEB_PORT, DATABASE_PORT)}
        text = (HERE / "keepalived.conf").read_text()
        for port, usable in self.ports.items():
            text = text.replace(f" {port} {{", f" {usable} {{").replace(
                f"{SORRY} {port}", f"{SORRY} {usable}"
            )
        self.config.write_text(text)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        home = self.directory
        words = ["-n", "-l", "-G", "-f", self.config, "-p", home / "pid", "-c", home / "checkers.pid"]
        words += ["--state-dir", home, "--dataplane", self._dataplane, "--control", home / "control.sock"]
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(PROGRAM, *map(str, words), stderr=pipe)
        reading = asyncio.create_task(self._read_log(self._process.stderr))
        try:
            yield
        finally:
            await self.stop()
            await reading

    async def _read_log(self, stream: asyncio.StreamReader | None) -> None:
        while stream and (line := await stream.readline()):
            # Without the date: `Mon Jan  1 12:00:00 2024: text`.
            text = line.decode(errors="replace").rstrip().split(": ", 1)[-1]
            if not text.startswith("Printing JSON"):
                self.view.log.append(text)

    @property
    def started(self) -> bool:
        return "Startup complete" in self.view.log

    @property
    def ended(self) -> bool:
        return self._process is None or self._process.returncode is not None

    def signal(self, number: int) -> None:
        if self._process and not self.ended:
            self._process.send_signal(number)

    async def stop(self) -> int:
        self.signal(signal.SIGTERM)
        assert self._process
        return await asyncio.wait_for(self._process.wait(), LIMIT)

    def look(self) -> None:
        """Take in the last dump and ask for the next."""
        if not self.started or self.ended:
            return
        for path in self.directory.glob("*.json"):
            self.view.tables = {
                service["name"]: rows_of(service)
                for service in json.loads(path.read_text())["virtual_servers"]
            }
        self.signal(JSON_SIGNAL)


def rows_of(service: dict[str, object]) -> list[tuple[str, int | None]]:
    rows = [(one["name"], one["pool_weight"]) for one in service["real_servers"]]  # type: ignore[attr-defined]
    sorry = service["sorry_server"]
    if isinstance(sorry, dict):
        rows.append((f"{sorry['name']} (sorry)", 1 if sorry["in_use"] else None))
    return rows


class Demo:
    def __init__(self, daemon: Daemon, screen: Screen, *, keep: bool) -> None:
        self.daemon = daemon
        self.screen = screen
        self.keep = keep
        self.pause = 1.2 if screen.live else 0.2
        self.web = [RealServer(address, daemon.ports[WEB_PORT]) for address in WEB]
        self.databases = [RealServer(address, daemon.ports[DATABASE_PORT]) for address in DATABASES]

    async def play(self) -> None:
        for server in (*self.web, *self.databases):
            await server.repair()
        async with self.daemon.running():
            self.screen.say("The daemon starts; all servers are up.")
            await self.until(lambda: self.daemon.view.checked == len(WEB + DATABASES))
            await self.pool(dict.fromkeys(WEB, 1), dict.fromkeys(DATABASES, 1))
            await self.scenes()
            if self.keep:
                await self.stay()
            self.screen.say("The daemon stops and takes its services out of the table.")
            status = await self.daemon.stop()
            self.screen.show()
            if status != 0:
                raise Failure(f"the daemon ended with status {status}")

    async def scenes(self) -> None:
        self.screen.say(f"Web server {WEB[1]} breaks. It leaves the pool.")
        self.web[1].break_()
        await self.pool({WEB[0]: 1, WEB[2]: 1})

        self.screen.say("It is repaired. It returns.")
        await self.web[1].repair()
        await self.pool(dict.fromkeys(WEB, 1))

        self.screen.say(f"Database {DATABASES[0]} breaks. It stays with weight 0 (inhibit_on_failure).")
        self.databases[0].break_()
        await self.pool(None, {DATABASES[0]: 0, DATABASES[1]: 1})
        await self.databases[0].repair()
        await self.pool(None, dict.fromkeys(DATABASES, 1))

        self.screen.say(f"The configuration changes: {WEB[0]} gets weight 3. Reload.")
        text = self.daemon.config.read_text()
        self.daemon.config.write_text(text.replace("weight 1", "weight 3", 1))
        self.daemon.signal(signal.SIGHUP)
        await self.pool({WEB[0]: 3, WEB[1]: 1, WEB[2]: 1})

        self.screen.say("All web servers break. The sorry server takes over.")
        for server in self.web:
            server.break_()
        await self.pool({SORRY: 1})

        self.screen.say("They are repaired. The sorry server leaves.")
        for server in self.web:
            await server.repair()
        await self.pool({WEB[0]: 3, WEB[1]: 1, WEB[2]: 1})

    async def pool(self, web: dict[str, int] | None, databases: dict[str, int] | None = None) -> None:
        """Wait until the pools hold just that; then give people time to read."""

        def reached() -> bool:
            view = self.daemon.view
            return (web is None or view.weights(80) == web) and (
                databases is None or view.weights(5432) == databases
            )

        await self.until(reached)
        await asyncio.sleep(self.pause)

    async def until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT
        while not reached():
            if self.daemon.ended or time.monotonic() > deadline:
                raise Failure(f"not seen within {LIMIT:g} s: {self.screen.scene}")
            await self.turn()
        self.screen.show()

    async def turn(self) -> None:
        await asyncio.sleep(0.2)
        self.daemon.look()
        self.screen.show()

    async def stay(self) -> None:
        self.screen.say("Everything stays as it is until you press Ctrl-C.")
        with contextlib.suppress(asyncio.CancelledError):
            while not self.daemon.ended:
                await self.turn()


class Failure(Exception):
    """The daemon did not show what it should."""


async def play(dataplane: str, where: str, *, keep: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="keepalive-demo.") as directory:
        daemon = Daemon(Path(directory), dataplane)
        screen = Screen(daemon.view, f"keepalive-py demonstration ({where})")
        await Demo(daemon, screen, keep=keep).play()


def main() -> int:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--keep", action="store_true", help="stay until Ctrl-C after the last scene")
    keep = arguments.parse_args().keep
    if not PROGRAM.exists():
        print(f"{PROGRAM} is not installed; `tox -e demo` does that", file=sys.stderr)
        return 1
    if os.geteuid() == 0 and own_network():
        dataplane, where = "auto", "in a network namespace of its own"
    else:
        dataplane, where = "memory", "its table in memory"
    print(f"{PROGRAM.name}, {where}")
    try:
        asyncio.run(play(dataplane, where, keep=keep))
    except Failure as failure:
        print(f"the demonstration failed: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    print("\nThat was all.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
