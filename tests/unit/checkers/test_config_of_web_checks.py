"""The blocks of TCP, HTTP, SSL and MISC checks, from text to model and back."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from keepalive_py.checkers import REGISTRY
from keepalive_py.checkers.http import HttpGet, Url
from keepalive_py.checkers.misc import MiscCheck
from keepalive_py.checkers.ssl import SslGet, SslUrl
from keepalive_py.checkers.tcp import TcpCheck
from keepalive_py.config.build import Loaded, load
from keepalive_py.config.preprocess import ReadOptions
from keepalive_py.config.source import Documents
from keepalive_py.config.writer import write
from keepalive_py.net import Endpoint

TARGET = Endpoint(ip_address("192.0.2.1"), 8080)


def loaded(check: str, *, service: str = "", server: str = "") -> Loaded:
    text = f"""
virtual_server 198.51.100.1 80 {{
    protocol TCP
    {service}
    real_server 192.0.2.1 8080 {{
        {server}
        {check}
    }}
}}
"""
    return load("/k.conf", Documents({"/k.conf": text}), ReadOptions(), REGISTRY)


def checks(check: str, **more: str) -> tuple[Any, ...]:
    found = loaded(check, **more).config
    assert found is not None
    return found.virtual_servers[0].real_servers[0].checks


def codes(found: Loaded) -> list[str]:
    return [diagnostic.code for diagnostic in found.diagnostics]


def test_defaults_of_each_type() -> None:
    block = (
        "TCP_CHECK {\n}\nHTTP_GET {\nurl {\npath /a\n}\n}\n"
        'SSL_GET {\nurl {\npath /b\n}\n}\nMISC_CHECK {\nmisc_path "/bin/true"\n}'
    )
    tcp, http, ssl, misc = checks(block, service="delay_loop 7")

    assert tcp == TcpCheck(target=TARGET, delay_loop=7, warmup=7)
    assert http == HttpGet(
        target=TARGET, delay_loop=7, warmup=7, delay_before_retry=3, urls=(Url(path="/a"),)
    )
    assert ssl == SslGet(
        target=TARGET, delay_loop=7, warmup=7, delay_before_retry=3, urls=(SslUrl(path="/b"),)
    )
    assert isinstance(misc, MiscCheck)
    assert (misc.script.argv, misc.timeout, misc.service_delay_loop) == (("/bin/true",), 0, 7)
    assert (misc.retry, misc.delay_before_retry, misc.dynamic) == (0, 1, False)


EVERYTHING = r"""
HTTP_GET {
    url {
        path "/a b"
        digest 0123456789abcdefABCDEF0123456789
        status_code 200 301-302 404
        virtualhost url.example
    }
    url {
        path /c
        regex "^ok\\s[[:digit:]]"
        regex_no_match
        regex_options caseless multiline
        regex_min_offset 3
        regex_max_offset 9
        regex_stack 10 20
    }
    virtualhost check.example
    http_protocol 1.0c
    enable_sni
    sni_name sni.example
    fast_recovery
    nb_get_retry 4
    connect_timeout 2.5
}
SSL_GET {
    url {
        path /d
        tls_compliant off
    }
    tls_compliant
    http_protocol 1.1
}
MISC_CHECK {
    misc_path "/bin/check 'a b' c"
    misc_timeout 5
    misc_dynamic
    user root
}
"""


def test_every_keyword_of_every_type() -> None:
    http, ssl, misc = checks(EVERYTHING)
    first, second = http.urls

    assert first == Url(
        path="/a b",
        digest=bytes.fromhex("0123456789abcdefabcdef0123456789"),
        status=((200, 200), (301, 302), (404, 404)),
        virtualhost="url.example",
    )
    assert second == Url(
        path="/c",
        regex=r"^ok\s[[:digit:]]",
        regex_no_match=True,
        regex_options=frozenset(("caseless", "multiline")),
        regex_min_offset=3,
        regex_max_offset=9,
    )
    assert second.regex_stack == (10, 20)
    assert (http.virtualhost, http.http_protocol, http.enable_sni) == ("check.example", "1.0C", True)
    assert (http.sni_name, http.fast_recovery, http.retry) == ("sni.example", True, 4)
    assert http.connect_timeout == 2.5
    assert (ssl.tls_compliant, ssl.urls[0].tls_compliant, ssl.http_protocol) == (True, False, "1.1")
    assert misc.script.argv == ("/bin/check", "a b", "c")
    assert (misc.script.user, misc.timeout, misc.dynamic) == ("root", 5, True)


def test_what_is_written_is_read_as_the_same() -> None:
    before = loaded(EVERYTHING).config
    assert before is not None
    after = load("/k.conf", Documents({"/k.conf": write(before)}), ReadOptions(), REGISTRY).config
    assert after is not None

    assert after.virtual_servers == before.virtual_servers


@pytest.mark.parametrize(
    ("service", "server", "own", "host"),
    [
        ("", "", "", None),
        ("virtualhost vs.example", "", "", "vs.example"),
        ("virtualhost vs.example", "virtualhost rs.example", "", "rs.example"),
        ("virtualhost vs.example", "virtualhost rs.example", "virtualhost own.example", "own.example"),
    ],
)
def test_the_virtualhost_comes_from_the_nearest_block(
    service: str, server: str, own: str, host: str | None
) -> None:
    (http,) = checks(f"HTTP_GET {{\nurl {{\npath /\n}}\n{own}\n}}", service=service, server=server)

    assert http.virtualhost == host


@pytest.mark.parametrize(
    ("block", "code"),
    [
        ("HTTP_GET {\n}", "check-without-url"),
        ("HTTP_GET {\nurl {\n}\n}", "url-without-path"),
        ("MISC_CHECK {\n}", "check-without-command"),
        ('MISC_CHECK {\nmisc_path "/bin/true"\nuser no-such-account\n}', "unknown-account"),
    ],
)
def test_a_check_that_lacks_something_is_left_out(block: str, code: str) -> None:
    found = loaded(block)

    assert code in codes(found)
    assert checks(block) == ()


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("regex (", "regex-unusable"),
        ('regex "(?C1)b"', "regex-unusable"),
        ("regex a\nregex_options dupnames", "regex-option-ignored"),
        ("regex a\nregex_options caseless nosuch", "unknown-choice"),
    ],
)
def test_a_pattern_that_is_not_what_it_seems_is_told_and_stays(lines: str, code: str) -> None:
    block = f"HTTP_GET {{\nurl {{\npath /\n{lines}\n}}\n}}"

    assert code in codes(loaded(block))
    assert len(checks(block)) == 1


def test_a_test_whether_a_file_opens_goes_through_the_shell() -> None:
    (misc,) = checks('MISC_CHECK {\nmisc_path "</run/ready"\n}')

    assert misc.script.argv == ("/bin/sh", "-c", "</run/ready")
