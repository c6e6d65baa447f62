"""Where log lines go: console, journal, file, syslog. None of them can hold the daemon up.

Every sink writes without blocking. What cannot be written now waits in a bounded backlog
and goes out when the descriptor is writable; beyond the bound lines are lost, counted,
and the loss is itself logged when the way is free again.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
import select
import socket
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

SHOWN = {"\n": " | ", "\t": " "}
BACKLOG = 8192  # lines
CLOSING_TIME = 1.0  # seconds given to a backlog at the end
RECONNECT_AFTER = 1.0  # seconds between attempts to reach a syslog that is away
SYSLOG_SOCKET = "/dev/log"
SEVERITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}  # RFC 5424, table 2
FACILITIES = {"user": 1, "daemon": 3} | {f"local{n}": 16 + n for n in range(8)}  # RFC 5424, table 1


@dataclass(frozen=True, slots=True)
class LogLine:
    """One thing to say. `time` is wall-clock seconds; `fields` are for the JSON form."""

    time: float
    level: str
    text: str
    fields: Mapping[str, object] = field(default_factory=dict)

    def as_json(self) -> str:
        when = datetime.fromtimestamp(self.time, UTC).isoformat(timespec="microseconds")
        line = {"time": when, "level": self.level, "message": self.text, **self.fields}
        return json.dumps(line, default=str, ensure_ascii=False)

    def body(self, form: str) -> str:
        """The text without a time. Line breaks would fake another line, other control
        characters could speak to a terminal."""
        if form == "json":
            return self.as_json()
        if self.text.isprintable():
            return self.text
        return "".join(each if each.isprintable() else SHOWN.get(each, "\ufffd") for each in self.text)


class Sink(Protocol):
    def write(self, line: LogLine) -> None: ...

    def close(self) -> None: ...


class Outlet:
    """The way of bytes to a descriptor that may be slow or gone."""

    def __init__(self) -> None:
        self.waiting: collections.deque[bytes] = collections.deque()
        self.lost = 0
        self.watched = -1

    def put(self, data: bytes) -> None:
        if len(self.waiting) >= BACKLOG:
            self.lost += 1
            return
        self.waiting.append(data)
        self.drain()

    def drain(self) -> None:
        """Send what can be sent now."""
        try:
            while self.waiting:
                rest = self.send(self.waiting[0])
                if rest:
                    self.waiting[0] = rest
                else:
                    self.waiting.popleft()
        except BlockingIOError:
            self.watch()
            return
        except OSError:
            self.lost += len(self.waiting)
            self.waiting.clear()
            self.unwatch()
            return
        self.unwatch()
        if self.lost:
            count, self.lost = self.lost, 0
            self.put(self.confession(count))

    def close(self) -> None:
        """Give the backlog a moment, then let go."""
        self.unwatch()
        deadline = time.monotonic() + CLOSING_TIME
        while self.waiting and (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(OSError):
                select.select([], [self.fileno()], [], left)
            self.drain()
        self.unwatch()

    def watch(self) -> None:
        """Have the event loop drain us, when there is one."""
        with contextlib.suppress(RuntimeError, PermissionError):
            loop = asyncio.get_running_loop()
            self.unwatch()
            self.watched = self.fileno()
            loop.add_writer(self.watched, self.drain)

    def unwatch(self) -> None:
        if self.watched >= 0:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_writer(self.watched)
            self.watched = -1

    def send(self, data: bytes) -> bytes:
        """Send, return what is left over. BlockingIOError: later. OSError: lost."""
        raise NotImplementedError

    def fileno(self) -> int:
        raise NotImplementedError

    def confession(self, count: int) -> bytes:
        raise NotImplementedError


class Stream(Outlet):
    """A file, terminal, pipe or stream socket; lines end with a line feed."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        mode = os.fstat(descriptor).st_mode
        self.socket = stat.S_ISSOCK(mode)
        self.descriptor = descriptor if self.socket else without_blocking(descriptor, mode)

    def send(self, data: bytes) -> bytes:
        if not self.socket:
            return data[os.write(self.descriptor, data) :]
        with socket.socket(fileno=os.dup(self.descriptor)) as channel:
            return data[channel.send(data, socket.MSG_DONTWAIT) :]

    def fileno(self) -> int:
        return self.descriptor

    def confession(self, count: int) -> bytes:
        return f"{count} log lines were lost here\n".encode()


def without_blocking(descriptor: int, mode: int) -> int:
    """A descriptor of our own for a pipe or terminal: the flag O_NONBLOCK on the given one
    would also be seen by everybody who shares it, such as the shell."""
    if stat.S_ISREG(mode):
        return descriptor
    try:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return os.open(f"/proc/self/fd/{descriptor}", flags)
    except OSError:
        return descriptor


class SyslogSocket(Outlet):
    """Datagrams to the local syslog; a syslog that is away is tried again now and then."""

    def __init__(self, address: str, prefix: bytes) -> None:
        super().__init__()
        self.address = address
        self.prefix = prefix
        self.channel: socket.socket | None = None
        self.next_attempt = 0.0

    def connect(self) -> socket.socket:
        if self.channel is None:
            if time.monotonic() < self.next_attempt:
                raise ConnectionError("syslog is away")
            self.next_attempt = time.monotonic() + RECONNECT_AFTER
            channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            channel.setblocking(False)
            try:
                channel.connect(self.address)
            except OSError:
                channel.close()
                raise
            self.channel = channel
        return self.channel

    def send(self, data: bytes) -> bytes:
        channel = self.connect()
        try:
            channel.send(data)
        except BlockingIOError:
            raise
        except OSError:
            self.disconnect()
            self.next_attempt = 0.0
            self.connect().send(data)  # it was restarted: one more try at the new one
        return b""

    def disconnect(self) -> None:
        self.unwatch()
        if self.channel is not None:
            self.channel.close()
            self.channel = None

    def fileno(self) -> int:
        return -1 if self.channel is None else self.channel.fileno()

    def confession(self, count: int) -> bytes:
        return self.prefix + f"{count} log lines were lost here".encode()


class Console:
    """stderr: keepalived's form with the time, or bare with a priority when the journal
    reads it (sd-daemon(3))."""

    def __init__(self, descriptor: int, form: str, journal: bool) -> None:
        self.stream = Stream(descriptor)
        self.form = form
        self.journal = journal

    def write(self, line: LogLine) -> None:
        text = line.body(self.form)
        if self.journal:
            text = f"<{SEVERITIES[line.level]}>{text}"
        elif self.form == "text":
            text = f"{time.ctime(line.time)}: {text}"
        self.stream.put(encoded(text) + b"\n")

    def close(self) -> None:
        self.stream.close()


class LogFile:
    """A file that is appended to, reopened at a reload so that logrotate can move it."""

    def __init__(self, path: str, form: str) -> None:
        self.path = path
        self.form = form
        self.descriptor = -1
        self.reopen()

    def reopen(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
        fresh = os.open(self.path, flags, 0o644)
        self.close()
        self.descriptor = fresh

    def write(self, line: LogLine) -> None:
        text = line.body(self.form)
        if self.form == "text":
            text = f"{time.ctime(line.time)}: {text}"
        with contextlib.suppress(OSError):
            os.write(self.descriptor, encoded(text) + b"\n")

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Syslog:
    """The local syslog (RFC 3164 as /dev/log understands it)."""

    def __init__(self, ident: str, facility: str, form: str, address: str = SYSLOG_SOCKET) -> None:
        self.ident = ident
        self.facility = FACILITIES[facility]
        self.form = form
        self.outlet = SyslogSocket(address, self.header(time.time(), "warning").encode())

    def header(self, when: float, level: str) -> str:
        stamp = time.strftime("%b %e %H:%M:%S", time.localtime(when))
        return f"<{self.facility * 8 + SEVERITIES[level]}>{stamp} {self.ident}[{os.getpid()}]: "

    def write(self, line: LogLine) -> None:
        self.outlet.put(encoded(self.header(line.time, line.level) + line.body(self.form)))

    def close(self) -> None:
        self.outlet.close()
        self.outlet.disconnect()


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def is_journal(descriptor: int, environment: Mapping[str, str]) -> bool:
    """Whether systemd connected this descriptor to the journal (systemd.exec(5), JOURNAL_STREAM)."""
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    if not inode:
        return False
    status = os.fstat(descriptor)
    return (str(status.st_dev), str(status.st_ino)) == (device, inode)
