"""systemd's notification protocol (sd_notify(3)) and watchdog (sd_watchdog_enabled(3))."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping

OWN_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class ServiceNotifier:
    """Tells systemd where we are in our life; silent when nobody listens. The socket is kept: without
    a descriptor left for another, systemd would end us for our silence."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.address = environment.get("NOTIFY_SOCKET", "")
        self.channel: socket.socket | None = None
        if self.address:
            self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self.channel.setblocking(False)
        self.watchdog_interval = watchdog_interval(environment)
        self.inherited = {name: environment[name] for name in OWN_VARIABLES if name in environment}

    @classmethod
    def take_over(cls) -> ServiceNotifier:
        """Read our environment and drop the variables, so that scripts do not speak for us."""
        notifier = cls(os.environ)
        for name in OWN_VARIABLES:
            os.environ.pop(name, None)
        return notifier

    def give_back(self) -> None:
        """Put them back, for the program that takes over this process."""
        os.environ.update(self.inherited)

    def ready(self, status: str = "") -> None:
        self.send("READY=1", f"MAINPID={os.getpid()}", *status_line(status))

    def reloading(self) -> None:
        """MONOTONIC_USEC is what Type=notify-reload asks for."""
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        self.send("STOPPING=1")

    def failed(self, errno: int) -> None:
        self.send(f"ERRNO={errno}")

    def status(self, text: str) -> None:
        self.send(*status_line(text))

    def alive(self) -> None:
        self.send("WATCHDOG=1")

    def send(self, *lines: str) -> None:
        """One datagram, never waiting: a stuck service manager is not our trouble."""
        if self.channel is None or not lines:
            return
        target = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with contextlib.suppress(OSError):
            self.channel.sendto("\n".join(lines).encode("utf-8", "backslashreplace"), target)


def status_line(text: str) -> tuple[str, ...]:
    return (f"STATUS={' '.join(text.split())}",) if text else ()


def watchdog_interval(environment: Mapping[str, str]) -> float:
    """Half of what systemd waits for, in seconds; 0 when it does not watch this process."""
    usec = environment.get("WATCHDOG_USEC", "")
    pid = environment.get("WATCHDOG_PID", "")
    if not usec.isdigit() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(usec) / 2_000_000
