"""TLS over memory: the engine moves the bytes, OpenSSL never sees the socket.

As keepalived does, nothing about the peer is verified and old protocol versions, short keys
and servers without secure renegotiation are accepted: a check asks whether the service
answers, not whether its certificate is good.
"""

from __future__ import annotations

import ssl
import warnings
from functools import lru_cache
from typing import Any, Final

from keepalive_py.checkers.wishes import ProbeFailed
from keepalive_py.config.model import SslFiles
from keepalive_py.health.verdict import Reason
from keepalive_py.probing.trouble import ProbeUnknown

__all__ = ["TlsStream", "client_context"]

OP_LEGACY_SERVER_CONNECT: Final = 0x4  # openssl/ssl.h; in Python's ssl module from 3.12
CIPHERS: Final = "DEFAULT:@SECLEVEL=0"


@lru_cache(maxsize=64)
def client_context(files: SslFiles | None) -> ssl.SSLContext:
    """The context for a client certificate; ProbeUnknown when its files cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that old versions are old is known
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.options |= OP_LEGACY_SERVER_CONNECT | ssl.OP_NO_TICKET
    context.set_ciphers(CIPHERS)
    if files is not None and files.certificate is not None:
        _load_certificate(context, files.certificate, files.key, files.password)
    return context


def _load_certificate(
    context: ssl.SSLContext, certificate: str, key: str | None, password: str | None
) -> None:
    try:
        # A password that is a string, even an empty one, keeps OpenSSL from asking the terminal.
        context.load_cert_chain(certificate, key, password or "")
    except (OSError, ValueError) as error:
        raise ProbeUnknown(Reason.LOCAL_ERROR, f"client certificate {certificate}: {error}") from None


class TlsStream:
    """One TLS client. Operations answer HUNGRY when they need bytes from the peer first."""

    HUNGRY: Final[Any] = object()
    RECORD: Final = 17 * 1024  # a record of RFC 8446 5.2 with its overhead

    __slots__ = ("_incoming", "_outgoing", "_tls", "_unsent", "clean_close")

    def __init__(self, server_name: str | None, files: SslFiles | None, clean_close: bool) -> None:
        self.clean_close = clean_close
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._unsent = b""
        try:
            self._tls = client_context(files).wrap_bio(
                self._incoming, self._outgoing, server_hostname=server_name
            )
        except ValueError as error:
            raise ProbeUnknown(Reason.LOCAL_ERROR, f"server name {server_name}: {error}") from None

    def feed(self, found: bytes) -> None:
        """Bytes from the peer; b"" is the end of its stream."""
        if found:
            self._incoming.write(found)
        else:
            self._incoming.write_eof()

    def outgoing(self) -> bytes:
        """What is to be sent now; tell `sent` how much of it went."""
        if self._outgoing.pending:
            self._unsent += self._outgoing.read()
        return self._unsent

    def sent(self, count: int) -> None:
        self._unsent = self._unsent[count:]

    def handshake(self) -> Any:
        """None when the handshake is done."""
        try:
            return self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return self.HUNGRY
        except ssl.SSLError as error:
            raise ProbeFailed(Reason.TLS, _words(error)) from None

    def write(self, plain: bytes) -> None:
        try:
            self._tls.write(plain)
        except ssl.SSLError as error:
            raise ProbeFailed(Reason.TLS, _words(error)) from None

    def read(self, limit: int) -> Any:
        """At most `limit` bytes. A stream that ends without close_notify has ended all the same."""
        try:
            return self._tls.read(limit)
        except ssl.SSLWantReadError:
            return self.HUNGRY
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except ssl.SSLError as error:
            raise ProbeFailed(Reason.TLS, _words(error)) from None

    def shutdown(self) -> Any:
        """close_notify to the peer and from it; None when that is done or cannot be."""
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            return self.HUNGRY
        except ssl.SSLError:
            return None


def _words(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")
