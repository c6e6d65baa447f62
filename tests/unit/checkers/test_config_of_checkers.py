"""The blocks of SMTP, DNS, UDP, PING, FILE and BFD checks, from text to model."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from keepalive_py.checkers import REGISTRY
from keepalive_py.checkers.dns import DnsCheck
from keepalive_py.checkers.ping import PingCheck
from keepalive_py.checkers.smtp import SmtpCheck
from keepalive_py.checkers.udp import UdpCheck
from keepalive_py.config.build import Loaded, load
from keepalive_py.config.preprocess import ReadOptions
from keepalive_py.config.source import Documents
from keepalive_py.config.writer import write
from keepalive_py.net import Endpoint
from keepalive_py.wire.dns import RecordType

BEFORE = """
track_file load {
    file /run/load
    weight 2 reverse
}
bfd_instance peer {
    neighbor_ip 192.0.2.9
}
"""
TARGET = Endpoint(ip_address("192.0.2.1"), 8080)


def loaded(check: str, *, before: str = BEFORE, service: str = "", port: str = " 8080") -> Loaded:
    text = f"""{before}
virtual_server 198.51.100.1 80 {{
    protocol TCP
    lvs_sched rr
    lvs_method NAT
    {service}
    real_server 192.0.2.1{port} {{
        {check}
    }}
}}
"""
    return load("/k.conf", Documents({"/k.conf": text}), ReadOptions(), REGISTRY)


def checks(check: str, **more: Any) -> tuple[Any, ...]:
    found = loaded(check, **more).config
    assert found is not None
    return found.virtual_servers[0].real_servers[0].checks


def codes(found: Loaded) -> list[str]:
    return [diagnostic.code for diagnostic in found.diagnostics]


def test_defaults_of_each_type() -> None:
    block = "SMTP_CHECK {\n}\nDNS_CHECK {\n}\nUDP_CHECK {\n}\nPING_CHECK {\n}"
    smtp, dns, udp, ping = checks(block, service="delay_loop 7")
    assert smtp == SmtpCheck(target=TARGET, delay_loop=7, warmup=7)
    assert dns == DnsCheck(target=TARGET, delay_loop=7, warmup=7, retry=3, delay_before_retry=7)
    assert udp == UdpCheck(target=TARGET, delay_loop=7, warmup=7)
    assert ping == PingCheck(target=TARGET, delay_loop=7, warmup=7)


def test_every_keyword_of_every_type() -> None:
    block = """
        SMTP_CHECK {
            helo_name "lb.example"
            connect_ip 192.0.2.25
            connect_port 25
        }
        DNS_CHECK {
            type aaaa
            name www.example.org.
        }
        UDP_CHECK {
            payload Ab12f 3 456 546443123
            require_reply 0x 1 XX
            min_reply_length 2
            max_reply_length 9
        }
        FILE_CHECK {
            track_file load
            weight 5 noreverse
        }
        BFD_CHECK {
            name peer
            alpha
        }
    """
    smtp, dns, udp, file, bfd = checks(block)
    assert (smtp.helo_name, str(smtp.target)) == ("lb.example", "192.0.2.25:25")
    assert (dns.type, dns.name) == (RecordType.AAAA, "www.example.org.")
    assert udp.payload.hex(" ") == "ab 12 0f 03 45 06 54 64 43 12 03"
    assert udp.require_reply == (bytes.fromhex("000100"), bytes.fromhex("f0ff00"))
    assert (udp.min_reply_length, udp.max_reply_length) == (2, 9)
    assert (file.track_file, file.weight, file.reverse) == ("load", 5, False)
    assert (bfd.name, bfd.alpha) == ("peer", True)


@pytest.mark.parametrize(("line", "reply"), [("", None), ("require_reply", (b"", b""))])
def test_a_reply_may_be_required_without_bytes(line: str, reply: object) -> None:
    (check,) = checks(f"UDP_CHECK {{\n{line}\n}}")
    assert check.require_reply == reply


@pytest.mark.parametrize(
    ("line", "weight", "reverse"),
    [("", 2, True), ("weight 3", 3, True), ("weight 3 noreverse", 3, False), ("weight -3 reverse", -3, True)],
)
def test_what_a_file_check_does_not_say_its_track_file_does(line: str, weight: int, reverse: bool) -> None:
    (check,) = checks(f"FILE_CHECK {{\ntrack_file load\n{line}\n}}")
    assert (check.weight, check.reverse) == (weight, reverse)


@pytest.mark.parametrize("kind", ["FILE_CHECK {\ntrack_file load", "BFD_CHECK {\nname peer"])
def test_checks_driven_by_events_never_retry(kind: str) -> None:
    (check,) = checks(f"{kind}\n}}", service="retry 5\ndelay_before_retry 9")
    assert check.retry == 0


def test_host_blocks_become_checks_of_their_own() -> None:
    block = """SMTP_CHECK {
            helo_name lb.example
            retry 4
            host {
                connect_ip 192.0.2.25
            }
            host {
                connect_port 587
                bindto 192.0.2.99
            }
        }"""
    one, two = checks(block)
    assert [str(one.target), str(two.target)] == ["192.0.2.25:8080", "192.0.2.1:587"]
    assert (two.bindto, two.retry, two.helo_name) == (ip_address("192.0.2.99"), 4, "lb.example")
    assert loaded(block).exit_status == 0


def test_a_ping_needs_no_port() -> None:
    assert "port-zero" not in codes(loaded("PING_CHECK {\n}", port=""))


def test_a_ping_says_that_it_does_not_use_a_mark() -> None:
    found = loaded("PING_CHECK {\nfwmark 3\n}")
    assert "ignored-keyword" in codes(found)
    assert found.exit_status == 0


@pytest.mark.parametrize(
    "block",
    [
        "UDP_CHECK {\npayload 0g\n}",
        "UDP_CHECK {\npayload 1x\n}",
        "UDP_CHECK {\nmin_reply_length 5\nmax_reply_length 2\n}",
        "DNS_CHECK {\nname .a\n}",
        "DNS_CHECK {\nname a..b\n}",
        "DNS_CHECK {\nname a.example\nname b.example\n}",
        "DNS_CHECK {\ntype ANY\n}",
        "FILE_CHECK {\ntrack_file load\nweight 1 dynamic\n}",
    ],
)
def test_a_bad_line_is_an_error_and_the_check_stays(block: str) -> None:
    assert loaded(block).exit_status == 5
    assert len(checks(block)) == 1


def test_the_first_name_stays() -> None:
    (check,) = checks("DNS_CHECK {\nname a.example\nname b.example\n}")
    assert check.name == "a.example"


@pytest.mark.parametrize(
    "block",
    [
        "FILE_CHECK {\n}",
        "FILE_CHECK {\ntrack_file other\n}",
        "BFD_CHECK {\n}",
        "BFD_CHECK {\nname other\n}",
    ],
)
def test_a_check_of_something_undeclared_is_left_out(block: str) -> None:
    assert loaded(block).exit_status == 5
    assert checks(block) == ()


def test_declarations_after_their_use_are_too_late() -> None:
    found = loaded("FILE_CHECK {\ntrack_file load\n}", before="")
    assert codes(found) == ["unknown-track-file", "no-check-left"]


def test_what_is_written_is_read_as_the_same() -> None:
    block = """
        SMTP_CHECK {
            host {
                connect_ip 192.0.2.25
            }
        }
        DNS_CHECK {
            type MX
            name example.org
        }
        UDP_CHECK {
            payload 0a
            require_reply 1X
        }
        UDP_CHECK {
            require_reply
        }
        FILE_CHECK {
            track_file load
            weight 5 noreverse
        }
        BFD_CHECK {
            name peer
        }
    """
    first = loaded(block).config
    assert first is not None
    text = write(first)
    assert load("/k.conf", Documents({"/k.conf": text}), ReadOptions(), REGISTRY).config == first
