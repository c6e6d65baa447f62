"""Mail alerts: a plain SMTP dialogue for each, out of a bounded queue.

One task sends one mail at a time, with keepalived's headers. A mail is tried a few times
over some minutes, then it is given up; while the server is away the rest waits, and what
exceeds the queue is dropped. Nothing else of the daemon ever waits for any of this.

Standards: RFC 5321 (HELO, no extensions, no TLS: as keepalived), RFC 5322.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import email.utils
import time
from collections.abc import Callable
from dataclasses import dataclass

from keepalive_py.config.model import Mail as MailSettings

MOST_WAITING = 1000
PAUSES = (5.0, 30.0, 120.0)  # seconds before each further attempt
REPLY_LINES = 100
LINE_LIMIT = 4096  # bytes; RFC 5321 section 4.5.3.1.5 asks for 512

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class MailMessage:
    """What to say; the wall-clock `time` is when it happened."""

    subject: str
    body: str
    time: float = 0.0


class SmtpFailed(Exception):
    """The dialogue broke; `permanent`: trying again is of no use (a 5xx reply)."""

    def __init__(self, text: str, *, permanent: bool = False) -> None:
        super().__init__(text)
        self.permanent = permanent


class Mailer:
    """Sends mails in order. `settings` may be replaced at a reload."""

    def __init__(self, settings: MailSettings, warn: Warn, pauses: tuple[float, ...] = PAUSES) -> None:
        self.settings = settings
        self.warn = warn
        self.pauses = pauses
        self.waiting: collections.deque[MailMessage] = collections.deque()
        self.dropped = 0
        self.troubled = False  # the server is away, and that was said
        self.task: asyncio.Task[None] | None = None

    @property
    def configured(self) -> bool:
        return place(self.settings) is not None and bool(self.settings.to)

    def send(self, message: MailMessage) -> None:
        if not self.configured:
            return
        if len(self.waiting) >= MOST_WAITING:
            self.dropped += 1
            if self.dropped == 1:
                self.warn(f"{MOST_WAITING} mails are waiting for the smtp server: further ones are dropped")
            return
        self.waiting.append(message)
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self.work(), name="mail")

    async def work(self) -> None:
        while self.waiting:
            await self.deliver(self.waiting[0])
            self.waiting.popleft()
        self.dropped = 0

    async def deliver(self, message: MailMessage) -> None:
        for failures, pause in enumerate((*self.pauses, None), 1):
            try:
                await converse(self.settings, message)
            except SmtpFailed as failure:
                if pause is None or failure.permanent or not self.configured:
                    self.warn(f"mail '{message.subject}' is given up: {failure}")
                    return
                if failures > 1 and not self.troubled:
                    self.troubled = True
                    self.warn(f"mail cannot be sent, and is tried again: {failure}")
                await asyncio.sleep(pause)
            else:
                self.troubled = False
                return

    async def close(self, patience: float) -> None:
        """Give what waits `patience` seconds, then give it up."""
        if self.task is None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.task, patience)
        if self.waiting:
            self.warn(f"{len(self.waiting)} mail(s) are given up: there is no more time to send them")
        self.waiting.clear()


def place(settings: MailSettings) -> tuple[str, int] | None:
    """Host and port of the server. A name is looked up at each mail, in a thread of the loop."""
    if settings.server is not None:
        return str(settings.server.address), settings.server.port
    return (settings.server_name, settings.server_port) if settings.server_name else None


async def converse(settings: MailSettings, message: MailMessage) -> None:
    """One connection, one mail. The timeout of the settings is for each step. SmtpFailed."""
    try:
        await dialogue(settings, message)
    except TimeoutError:
        raise SmtpFailed(f"no answer in {settings.connect_timeout:g} s") from None
    except (OSError, EOFError, ValueError) as error:  # ValueError: a line beyond the limit
        raise SmtpFailed(str(error) or type(error).__name__) from None


async def dialogue(settings: MailSettings, message: MailMessage) -> None:
    patience = settings.connect_timeout
    host, port = place(settings) or ("", 0)
    connecting = asyncio.open_connection(host, port, limit=LINE_LIMIT)
    reader, writer = await asyncio.wait_for(connecting, patience)

    async def step(line: bytes, expected: int) -> None:
        writer.write(line)
        await asyncio.wait_for(writer.drain(), patience)
        await asyncio.wait_for(reply(reader, expected), patience)

    try:
        await step(b"", 220)
        await step(command("HELO", settings.helo_name or "localhost"), 250)
        await step(command("MAIL", f"FROM:<{bare_address(settings.sender or '')}>"), 250)
        for recipient in settings.to:
            await step(command("RCPT", f"TO:<{bare_address(recipient)}>"), 250)
        await step(b"DATA\r\n", 354)
        await step(content(settings, message), 250)
        writer.write(b"QUIT\r\n")
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), patience)


async def reply(reader: asyncio.StreamReader, expected: int) -> None:
    """Read one reply, of one or several lines; any other code than expected breaks it off."""
    for _ in range(REPLY_LINES):
        line = await reader.readline()
        if not line:
            raise EOFError("the smtp server closed the connection")
        if line[3:4] != b"-":
            break
    code = int(line[:3]) if line[:3].isdigit() else 0
    if code // 10 != expected // 10:  # 250 and 251 are both well
        text = line.decode("utf-8", "replace").strip()
        raise SmtpFailed(f"the smtp server said: {text}", permanent=code >= 500)


def command(verb: str, argument: str) -> bytes:
    return f"{verb} {one_line(argument)}\r\n".encode()


def content(settings: MailSettings, message: MailMessage) -> bytes:
    """Headers and body, with dots doubled and the closing dot (RFC 5321 section 4.5.2)."""
    headers = [
        f"Date: {email.utils.formatdate(message.time or time.time(), localtime=True)}",
        f"From: {one_line(settings.sender or '')}",
        f"Subject: {one_line(message.subject)}",
        "X-Mailer: Keepalived",
        f"To: {one_line(', '.join(settings.to))}",
    ]
    lines = [*headers, "", *message.body.splitlines(), ""]  # keepalived's have a blank line at the end
    doubled = ["." + line if line.startswith(".") else line for line in lines]
    return "".join(f"{line}\r\n" for line in [*doubled, "."]).encode("utf-8", "replace")


def bare_address(text: str) -> str:
    """`"Load balancer" <lb@example.org>` -> lb@example.org."""
    _name, address = email.utils.parseaddr(text)
    return address or text


def one_line(text: str) -> str:
    return " ".join(text.split())
