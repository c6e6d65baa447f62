"""TLS over real sockets, with certificates made here."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keepalive_py.checkers.wishes import Connect, Probe, Receive, Send, StartTls
from keepalive_py.config.model import SslFiles
from keepalive_py.health.verdict import PASSED, Failed, Passed, Reason, Unknown
from keepalive_py.net import Endpoint, parse_address

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl(1)")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> SslFiles:
    place = tmp_path_factory.mktemp("tls")
    key, certificate = place / "key.pem", place / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test"
    subprocess.run(
        [*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60
    )
    return SslFiles(certificate=str(certificate), key=str(key))


def context(files: SslFiles) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert files.certificate is not None
    made.load_cert_chain(files.certificate, files.key)
    return made


class Server:
    """Blocking TLS in a thread, one connection: what it saw is in `seen`."""

    def __init__(self, context: ssl.SSLContext, talk: Callable[[ssl.SSLSocket], Any]) -> None:
        self.context, self.talk = context, talk
        self.seen: list[Any] = []
        self.names: list[str | None] = []
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)

    def __enter__(self) -> Server:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(10)
        self.target = Endpoint(parse_address("127.0.0.1"), self.listener.getsockname()[1])
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        return self

    def _serve(self) -> None:
        plain, _ = self.listener.accept()
        plain.settimeout(10)
        try:
            with self.context.wrap_socket(plain, server_side=True) as connection:
                self.seen.append(self.talk(connection))
        except OSError as error:
            self.seen.append(type(error).__name__)

    async def finished(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.thread.join, 10)

    def __exit__(self, *_: object) -> None:
        self.thread.join(10)
        self.listener.close()


def dialogue(target: Endpoint, *wishes: Any, **tls: Any) -> Any:
    def probe() -> Probe:
        yield Connect(target, 5.0)
        yield StartTls(**tls)
        got = b""
        for wish in wishes:
            answer = yield wish
            got += answer or b""
        return Passed(got.decode())

    return probe


def shout(connection: ssl.SSLSocket) -> bytes:
    heard = connection.recv(100)
    connection.sendall(heard.upper())
    return heard


async def test_a_certificate_that_nobody_signed_is_good_enough(real: Any, files: SslFiles) -> None:
    with Server(context(files), shout) as server:
        verdict = await real.run(dialogue(server.target, Send(b"ping", 5.0), Receive(100, 5.0)))

    assert verdict == Passed("PING")
    assert server.names == [None]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_old_and_new_versions_are_spoken(real: Any, files: SslFiles, version: Any) -> None:
    made = context(files)
    made.set_ciphers("DEFAULT:@SECLEVEL=0")
    made.minimum_version = made.maximum_version = version
    with Server(made, shout) as server:
        verdict = await real.run(dialogue(server.target, Send(b"ping", 5.0), Receive(100, 5.0)))

    assert verdict == Passed("PING")


async def test_the_server_name_is_sent(real: Any, files: SslFiles) -> None:
    with Server(context(files), shout) as server:
        await real.run(
            dialogue(server.target, Send(b"ping", 5.0), Receive(9, 5.0), server_name="www.example")
        )

    assert server.names == ["www.example"]


async def test_a_name_that_cannot_be_sent_is_our_own_trouble(real: Any, files: SslFiles) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = Endpoint(parse_address("127.0.0.1"), listener.getsockname()[1])
        verdict = await real.run(dialogue(target, server_name=".bad"))

    assert isinstance(verdict, Unknown)
    assert verdict.reason is Reason.LOCAL_ERROR


async def test_large_bodies_come_whole(real: Any, files: SslFiles) -> None:
    size = 3_000_000

    def flood(connection: ssl.SSLSocket) -> None:
        connection.recv(10)
        connection.sendall(b"x" * size)

    with Server(context(files), flood) as server:

        def probe() -> Probe:
            yield Connect(server.target, 5.0)
            yield StartTls()
            yield Send(b"go", 5.0)
            total = 0
            while piece := (yield Receive(16384, 5.0)):
                total += len(piece)
            return Passed(str(total))

        verdict = await real.run(probe)

    assert verdict == Passed(str(size))


async def test_large_requests_go_whole(real: Any, files: SslFiles) -> None:
    size = 3_000_000

    def gulp(connection: ssl.SSLSocket) -> int:
        total = 0
        while total < size:
            total += len(connection.recv(65536))
        connection.sendall(b"done")
        return total

    with Server(context(files), gulp) as server:
        verdict = await real.run(dialogue(server.target, Send(b"x" * size, 5.0), Receive(9, 5.0)))

    assert verdict == Passed("done")
    assert server.seen == [size]


async def test_an_end_without_close_notify_is_an_end(real: Any, files: SslFiles) -> None:
    def cut(connection: ssl.SSLSocket) -> None:
        connection.recv(10)
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_RDWR)

    with Server(context(files), cut) as server:
        wishes = Send(b"x", 5.0), Receive(9, 5.0), Receive(9, 5.0)
        verdict = await real.run(dialogue(server.target, *wishes))

    assert verdict == Passed("bye")


def how_it_ends(connection: ssl.SSLSocket) -> str:
    connection.suppress_ragged_eofs = False
    connection.sendall(connection.recv(10))
    try:
        return "close_notify" if connection.recv(10) == b"" else "more"
    except (ssl.SSLError, ConnectionResetError):
        return "dropped"


@pytest.mark.parametrize(("clean_close", "ending"), [(True, "close_notify"), (False, "dropped")])
async def test_tls_is_closed_as_asked(real: Any, files: SslFiles, clean_close: bool, ending: str) -> None:
    strict = context(files)
    strict.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    with Server(strict, how_it_ends) as server:
        wishes = Send(b"x", 5.0), Receive(9, 5.0)
        verdict = await real.run(dialogue(server.target, *wishes, clean_close=clean_close))
        await server.finished()

    assert verdict == Passed("x")
    assert server.seen == [ending]


async def test_a_server_that_speaks_no_tls_fails(real: Any) -> None:
    async def talk(reader: Any, writer: Any) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    target = Endpoint(parse_address("127.0.0.1"), server.sockets[0].getsockname()[1])
    verdict = await real.run(dialogue(target, clean_close=True))
    server.close()

    assert verdict == Failed(Reason.TLS, "wrong version number")


async def test_a_handshake_that_never_ends_is_a_timeout(real: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = Endpoint(parse_address("127.0.0.1"), listener.getsockname()[1])
        verdict = await real.run(dialogue(target, timeout=0.1))

    assert verdict == Failed(Reason.TIMEOUT, "no end of the TLS handshake in time")


# The client's own certificate.


@pytest.mark.parametrize("given", ["wish", "engine"])
async def test_the_client_certificate_is_presented(real: Any, files: SslFiles, given: str) -> None:
    made = context(files)
    made.verify_mode = ssl.CERT_REQUIRED
    assert files.certificate is not None
    made.load_verify_locations(files.certificate)
    more: dict[str, Any] = {"files": files} if given == "wish" else {}
    real.engine.ssl_files = files if given == "engine" else None

    def who(connection: ssl.SSLSocket) -> Any:
        connection.sendall(b"ok")
        return connection.getpeercert() is not None

    with Server(made, who) as server:
        verdict = await real.run(dialogue(server.target, Receive(9, 5.0), **more))

    assert verdict == Passed("ok")
    assert server.seen == [True]


async def test_a_client_certificate_that_is_not_there_is_our_own_trouble(real: Any, tmp_path: Path) -> None:
    missing = SslFiles(certificate=str(tmp_path / "missing.pem"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = Endpoint(parse_address("127.0.0.1"), listener.getsockname()[1])
        verdict = await real.run(dialogue(target, files=missing))

    assert isinstance(verdict, Unknown)
    assert verdict.reason is Reason.LOCAL_ERROR
    assert "missing.pem" in verdict.detail


async def test_nothing_of_tls_stays_for_the_next_run(real: Any) -> None:
    """The same flight runs a probe with TLS, which fails, and then one without."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = Endpoint(parse_address("127.0.0.1"), listener.getsockname()[1])
        runs = [dialogue(target, timeout=0.05, clean_close=True), dialogue_without_tls(target)]
        verdicts: list[Any] = []
        done = asyncio.Event()

        def report(verdict: Any, started: float, ended: float) -> float:
            verdicts.append(verdict)
            if len(verdicts) == 2:
                done.set()
            return 0.0 if len(verdicts) < 2 else 1000.0

        check = real.scripted(lambda: runs[len(verdicts)]())
        real.engine.add(check, report, first_in=0.0)
        await asyncio.wait_for(done.wait(), 10.0)

    assert [type(verdict) for verdict in verdicts] == [Failed, Passed]


def dialogue_without_tls(target: Endpoint) -> Any:
    def probe() -> Probe:
        yield Connect(target, 5.0)
        return PASSED

    return probe
