"""Mail alerts against an SMTP server of our own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from keepalive_py.config.model import Mail as MailSettings
from keepalive_py.net import Endpoint
from keepalive_py.notify import mail
from keepalive_py.notify.mail import Mailer, MailMessage

MESSAGE = MailMessage("[LVS1] Realserver [10.0.0.2]:tcp:80 - DOWN", "=> TCP CHECK failed on service <=", 1e9)


class SmtpServer:
    """Scripted by `answers`: what is said to a verb instead of the usual."""

    def __init__(self) -> None:
        self.answers: dict[str, list[bytes]] = {}
        self.commands: list[str] = []
        self.mails: list[str] = []
        self.endpoint = Endpoint(ip_address("127.0.0.1"), 0)

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.endpoint = Endpoint(ip_address("127.0.0.1"), server.sockets[0].getsockname()[1])
        return server

    def answer(self, verb: str, usual: bytes) -> bytes:
        scripted = self.answers.get(verb)
        return scripted.pop(0) if scripted else usual

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.answer("", b"220 mx ready\r\n"))
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            self.commands.append(line)
            verb = line.split()[0]
            writer.write(
                self.answer(verb, {"DATA": b"354 go\r\n", "QUIT": b"221 bye\r\n"}.get(verb, b"250 ok\r\n"))
            )
            if verb == "DATA":
                text = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append(text.decode())
                writer.write(self.answer(".", b"250 queued\r\n"))
            if verb == "QUIT":
                break
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[SmtpServer]:
    smtp = SmtpServer()
    listener = await smtp.start()
    yield smtp
    listener.close()


@pytest.fixture
def said() -> list[str]:
    return []


def settings(server: SmtpServer) -> MailSettings:
    return MailSettings(
        to=("a@example.org", "b@example.org"),
        sender='"LVS" <lvs@example.org>',
        server=server.endpoint,
        helo_name="node1",
        connect_timeout=5.0,
    )


async def test_the_dialogue_and_the_headers_are_keepalived_s(server: SmtpServer, said: list[str]) -> None:
    mailer = Mailer(settings(server), said.append)
    mailer.send(MESSAGE)
    await mailer.close(10.0)
    assert server.commands == [
        "HELO node1",
        "MAIL FROM:<lvs@example.org>",
        "RCPT TO:<a@example.org>",
        "RCPT TO:<b@example.org>",
        "DATA",
        "QUIT",
    ]
    (text,) = server.mails
    head, _, body = text.partition("\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.split("\r\n"))
    assert list(headers) == ["Date", "From", "Subject", "X-Mailer", "To"]
    assert headers["Subject"] == MESSAGE.subject
    assert headers["X-Mailer"] == "Keepalived"
    assert headers["To"] == "a@example.org, b@example.org"
    assert body == "=> TCP CHECK failed on service <=\r\n\r\n.\r\n"
    assert said == []


async def test_several_mails_each_have_their_connection(server: SmtpServer, said: list[str]) -> None:
    mailer = Mailer(settings(server), said.append)
    for number in range(3):
        mailer.send(MailMessage(f"subject {number}", "body"))
    await mailer.close(10.0)
    assert [line for line in server.commands if line.startswith("HELO")] == ["HELO node1"] * 3
    assert [f"subject {number}" in text for number, text in enumerate(server.mails)] == [True] * 3


async def test_a_temporary_failure_is_tried_again(server: SmtpServer, said: list[str]) -> None:
    server.answers = {"MAIL": [b"451 greylisted\r\n"]}
    mailer = Mailer(settings(server), said.append, pauses=(0.0, 0.0))
    mailer.send(MESSAGE)
    await mailer.close(10.0)
    assert len(server.mails) == 1
    assert said == []


async def test_a_permanent_failure_is_not(server: SmtpServer, said: list[str]) -> None:
    server.answers = {"RCPT": [b"550 no such user\r\n"]}
    mailer = Mailer(settings(server), said.append, pauses=(0.0,))
    mailer.send(MESSAGE)
    mailer.send(MailMessage("next", "x"))
    await mailer.close(10.0)
    assert said == [f"mail '{MESSAGE.subject}' is given up: the smtp server said: 550 no such user"]
    assert len(server.mails) == 1
    assert "Subject: next" in server.mails[0]


async def test_replies_of_several_lines(server: SmtpServer, said: list[str]) -> None:
    server.answers = {"HELO": [b"250-mx\r\n250-SIZE\r\n250 HELP\r\n"], "RCPT": [b"251 will forward\r\n"]}
    mailer = Mailer(settings(server), said.append, pauses=())
    mailer.send(MESSAGE)
    await mailer.close(10.0)
    assert (len(server.mails), said) == (1, [])


async def test_a_server_is_looked_up_when_there_is_a_mail_for_it(server: SmtpServer, said: list[str]) -> None:
    port = server.endpoint.port
    by_name = replace(settings(server), server=None, server_name="localhost", server_port=port)
    mailer = Mailer(by_name, said.append)
    mailer.send(MESSAGE)
    await mailer.close(10.0)
    assert len(server.mails) == 1


async def test_nobody_listens(said: list[str]) -> None:
    unused = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = unused.sockets[0].getsockname()[1]
    unused.close()
    await unused.wait_closed()
    nowhere = MailSettings(to=("a@b",), server=Endpoint(ip_address("127.0.0.1"), port))
    mailer = Mailer(nowhere, said.append, pauses=(0.0, 0.0))
    for _ in range(3):
        mailer.send(MESSAGE)
    await mailer.close(10.0)
    assert ["tried again" in line for line in said] == [True, False, False, False]
    assert all("given up" in line for line in said[1:])


async def test_a_server_that_is_silent_or_talks_without_end(server: SmtpServer, said: list[str]) -> None:
    server.answers = {"": [b"", b"220-" + b"x" * 9000 + b"\r\n"]}
    quick = MailSettings(to=("a@b",), server=server.endpoint, connect_timeout=0.05)
    mailer = Mailer(quick, said.append, pauses=())
    mailer.send(MESSAGE)
    mailer.send(MESSAGE)
    await mailer.close(10.0)
    assert len(said) == 2
    assert "no answer in 0.05 s" in said[0]


async def test_the_queue_is_bounded(
    server: SmtpServer, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "MOST_WAITING", 3)
    mailer = Mailer(settings(server), said.append)
    for _ in range(10):
        mailer.send(MESSAGE)
    assert (len(mailer.waiting), mailer.dropped, len(said)) == (3, 7, 1)
    await mailer.close(10.0)


async def test_what_cannot_be_sent_in_time_is_given_up_at_the_end(
    server: SmtpServer, said: list[str]
) -> None:
    server.answers = {"HELO": [b""]}
    mailer = Mailer(settings(server), said.append)
    for _ in range(3):
        mailer.send(MESSAGE)
    await mailer.close(0.05)
    assert mailer.task is not None
    assert mailer.task.cancelled()
    assert said == ["3 mail(s) are given up: there is no more time to send them"]


async def test_without_a_server_or_recipients_nothing_is_sent(server: SmtpServer, said: list[str]) -> None:
    for empty in (MailSettings(to=("a@b",)), MailSettings(server=server.endpoint)):
        mailer = Mailer(empty, said.append)
        mailer.send(MESSAGE)
        assert mailer.task is None


def test_a_subject_cannot_add_a_header_and_a_dot_cannot_end_the_mail() -> None:
    text = mail.content(MailSettings(to=("a@b",)), MailMessage("x\r\nBcc: evil@b", ".\n.x")).decode()
    assert "\r\nSubject: x Bcc: evil@b\r\n" in text
    assert text.endswith("\r\n\r\n..\r\n..x\r\n\r\n.\r\n")
