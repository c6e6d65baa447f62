"""keepalive-py as a child in a namespace."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from keepalive_py.lab.namespace import LIMIT, Namespace
from keepalive_py.lab.waiting import eventually

STAMP = re.compile(r"^\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}: ")  # of lines on the console


class Child(Protocol):
    """What a daemon's process offers; as in subprocess.Popen."""

    pid: int

    def poll(self) -> int | None: ...


class Daemon:
    """A daemon in the foreground, in one namespace, its files in one directory."""

    program = ""

    def __init__(self, namespace: Namespace, directory: Path, *, options: tuple[str, ...] = ()) -> None:
        self.namespace = namespace
        self.directory = directory
        self.config = directory / "keepalived.conf"
        self.log = directory / "log"
        self.options = options
        self.child: Child | None = None
        self.log.touch()

    def command(self) -> list[str]:
        pids = [f"-{letter}{self.directory}/{letter}.pid" for letter in "pcrb"]
        return [self.program, "-n", "-l", "-D", "-f", str(self.config), *pids, *self.options]

    def start(self) -> None:
        with self.log.open("a") as log:
            self.child = self._spawn(log.fileno())

    def _spawn(self, log: int) -> Child:
        return self.namespace.call(
            subprocess.Popen, self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

    @property
    def pid(self) -> int:
        assert self.child is not None, "the daemon was not started"
        return self.child.pid

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def reload(self) -> None:
        self.send(signal.SIGHUP)

    def reloaded(self) -> None:
        """Reload, and wait until the tables are as the file says; both daemons tell when."""
        before = self.lines().count("Reload complete")
        self.reload()
        eventually(
            lambda: self.lines().count("Reload complete") > before,
            within=60, what=lambda: f"the reload\n{self.tail()}", every=0.05,
        )  # fmt: skip

    def stop(self) -> int:
        """Ask it to end (TERM), wait, and return its exit status."""
        return self.end(signal.SIGTERM)

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals) -> int:
        if self.exit_status() is None:
            self.send(number)
        return self.wait()

    def wait(self, within: float = LIMIT) -> int:
        def ended() -> bool:
            return self.exit_status() is not None

        eventually(ended, within=within, what=lambda: f"{self.program} ends\n{self.tail()}")
        status = self.exit_status()
        assert status is not None
        return status

    def exit_status(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return None if self.child is None else self.child.poll()

    def lines(self) -> list[str]:
        """Every log line so far, without the time."""
        text = self.log.read_text(errors="replace")
        return [STAMP.sub("", line) for line in text.splitlines()]

    def tail(self) -> str:
        return "\n".join(self.lines()[-30:])


class KeepalivePy(Daemon):
    """Ours, as installed beside the interpreter that runs the lab."""

    program = str(Path(sys.executable).parent / "keepalive-py")

    @property
    def control(self) -> Path:
        """The control socket, once the daemon runs with it."""
        return self.directory / "control.sock"

    def command(self) -> list[str]:
        return [*super().command(), "--control", str(self.control)]

    def withdraw(self, state_directory: Path) -> None:
        """What systemd runs when the daemon is not started again."""
        ctl = Path(self.program).with_name("keepalive-ctl")
        self.namespace.output([str(ctl), "announcer", "withdraw", "--state-directory", str(state_directory)])
