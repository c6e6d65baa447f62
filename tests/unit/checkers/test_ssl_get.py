"""SSL_GET as a generator."""

from __future__ import annotations

from typing import Any

import pytest

from keepalive_py.checkers.http import http_get
from keepalive_py.checkers.ssl import CHECKER, SslGet, SslUrl, sequence, server_name
from keepalive_py.checkers.wishes import REMAINING, Connect, Receive, Send, StartTls
from keepalive_py.net import Endpoint, parse_address

TARGET = Endpoint(parse_address("192.0.2.1"), 443)


def check(url: SslUrl | None = None, **more: Any) -> SslGet:
    return SslGet(target=TARGET, urls=(url or SslUrl(path="/"),), **more)


def wishes(config: SslGet) -> list[Any]:
    probe = http_get(config, sequence(config))
    found = [next(probe)]
    answers = iter((b"HTTP/1.0 200 OK\r\n\r\n", b"body", b""))
    try:
        while True:
            found.append(probe.send(next(answers) if isinstance(found[-1], Receive) else None))
    except StopIteration:
        return found


def test_the_timeouts_are_keepalived_s() -> None:
    """Connection and handshake share one, the request has its own, the reads share another."""
    found = wishes(check(connect_timeout=2.0))

    assert [type(wish) for wish in found] == [Connect, StartTls, Send, Receive, Receive, Receive]
    assert [wish.timeout for wish in found] == [2.0, REMAINING, 2.0, 2.0, REMAINING, REMAINING]


@pytest.mark.parametrize(
    ("of_check", "of_url", "clean"),
    [(False, None, False), (True, None, True), (True, False, False), (False, True, True)],
)
def test_tls_compliant_of_the_url_wins(of_check: bool, of_url: bool | None, clean: bool) -> None:
    found = wishes(check(SslUrl(path="/", tls_compliant=of_url), tls_compliant=of_check))

    assert found[1].clean_close is clean


@pytest.mark.parametrize(
    ("settings", "url_host", "name"),
    [
        ({}, "url.example", None),
        ({"enable_sni": True}, None, None),
        ({"enable_sni": True, "virtualhost": "check.example"}, None, "check.example"),
        ({"enable_sni": True, "virtualhost": "check.example"}, "url.example", "url.example"),
        ({"enable_sni": True, "virtualhost": "check.example:8443"}, None, "check.example"),
        ({"sni_name": "sni.example", "virtualhost": "check.example"}, "url.example", "sni.example"),
    ],
)
def test_the_server_name(settings: dict[str, Any], url_host: str | None, name: str | None) -> None:
    url = SslUrl(path="/", virtualhost=url_host)

    assert server_name(check(url, **settings), url) == name


def test_how_tls_is_closed_keeps_probes_apart() -> None:
    assert CHECKER.identical is not None
    assert CHECKER.identical(check()) == CHECKER.identical(check(retry=3))
    assert CHECKER.identical(check()) != CHECKER.identical(check(tls_compliant=True))
