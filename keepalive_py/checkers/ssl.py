"""SSL_GET: HTTP_GET over TLS. keepalived.conf(5).

Nothing about the peer's certificate is verified. Connection and handshake share one
`connect_timeout`; sending the request has its own, the first byte of the answer another, and
from then on all reads share what is left of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final

from keepalive_py.checkers.http import (
    HttpCheckConfig,
    Request,
    Sequence,
    Url,
    at_most,
    http_get,
    identical,
)
from keepalive_py.checkers.wishes import REMAINING, Checker, StartTls, connection
from keepalive_py.config.kinds import Block, Switch
from keepalive_py.config.schema import keyword

__all__ = ["CHECKER", "SslGet", "SslUrl", "server_name", "sequence"]

PORT: Final = re.compile(r":[0-9]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class SslUrl(Url):
    """One `url` block of SSL_GET."""

    tls_compliant: bool | None = keyword(
        "tls_compliant", Switch(), default=None, compare=False, doc="As that of the check."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SslGet(HttpCheckConfig):
    """The SSL_GET block."""

    KIND: ClassVar[str] = "SSL_GET"

    tls_compliant: bool = keyword(
        "tls_compliant", Switch(), default=False, doc="Close TLS properly instead of dropping the connection."
    )
    urls: tuple[SslUrl, ...] = keyword("url", Block(SslUrl), repeated=True, default=(), doc="A request.")


def sequence(config: SslGet) -> Sequence:
    requests = tuple(Request(config, url, REMAINING, hello(config, url)) for url in config.urls)
    return Sequence(connection(config), requests)


def hello(config: SslGet, url: SslUrl) -> StartTls:
    clean_close = config.tls_compliant if url.tls_compliant is None else url.tls_compliant
    return StartTls(REMAINING, server_name(config, url), clean_close=clean_close)


def server_name(config: SslGet, url: SslUrl) -> str | None:
    """The name for SNI; None: none is sent. keepalived leaves the real server's virtualhost
    out of the search, which is of no use to anybody."""
    if config.sni_name is not None:
        return config.sni_name
    if not config.enable_sni:
        return None
    name = url.virtualhost or config.virtualhost
    return PORT.sub("", name) if name else None


def identical_ssl(config: SslGet) -> object:
    key = identical(config)
    return None if key is None else (key, config.tls_compliant, config.urls[0].tls_compliant)


CHECKER: Final = Checker(
    "SSL_GET", SslGet, http_get, identical=identical_ssl, memory=sequence, at_most=at_most
)
