"""Doubtful settings are found, and sound ones are left in peace."""

import re
from pathlib import Path

import pytest
from strategies import loaded

from keepalive_py.config.lint import lint

SERVICE = """
virtual_server 192.0.2.1 80 {{
    protocol {protocol}
    lb_algo rr
    lb_kind {kind}
    delay_loop 10
    {more}
    real_server 192.0.2.2 80 {{
        {server}
    }}
}}
"""
SOUND = "TCP_CHECK { connect_timeout 3 }"


def found(more="", server=SOUND, protocol="TCP", kind="NAT", before="", after=""):
    text = before + SERVICE.format(more=more, server=server, protocol=protocol, kind=kind) + after
    return [each.code for each in lint(loaded(text).config)]


def test_a_sound_configuration_has_no_doubts():
    assert found() == []


@pytest.mark.parametrize(
    ("code", "setting"),
    [
        ("quorum-out-of-reach", {"more": "weight 3\n quorum 3\n hysteresis 1"}),
        ("no-weight", {"server": f"weight 0\n {SOUND}"}),
        ("no-check", {"server": "weight 1"}),
        ("timeout-over-interval", {"server": "TCP_CHECK { connect_timeout 11 }"}),
        ("hectic-check", {"server": "TCP_CHECK { connect_timeout 0.01\n delay_loop 0.02 }"}),
        ("same-check-twice", {"server": f"{SOUND} TCP_CHECK {{ connect_timeout 3\n delay_loop 20 }}"}),
        ("udp-checked-by-tcp", {"protocol": "UDP"}),
        ("fullnat-without-addresses", {"kind": "FNAT"}),
        (
            "addresses-without-fullnat",
            {"before": "local_address_group g {\n 10.0.0.1\n}\n", "more": "laddr_group_name g"},
        ),
        (
            "checks-from-unbound-addresses",
            {
                "before": "local_address_group g {\n 10.0.0.1\n 10.0.0.2 lo\n}\n",
                "more": "laddr_group_name g\n check_from_local_address",
                "kind": "FNAT",
            },
        ),
        ("checks-without-effect", {"more": "depool_threshold 50%"}),
        ("idle-sorry-server", {"more": "depool_threshold 50%\n sorry_server 192.0.2.9 80"}),
        ("slow-start-unweighed", {"more": "slow_start 10"}),
        ("slow-start-in-few-steps", {"more": "lb_algo wrr\n slow_start 10"}),
        ("damping-too-short", {"more": "damping_half_life 15"}),
        ("sorry-is-real", {"more": "sorry_server 192.0.2.2 80"}),
        ("same-service-twice", {"after": SERVICE.format(protocol="TCP", kind="NAT", more="", server=SOUND)}),
    ],
)
def test_a_doubtful_setting_is_told(code, setting):
    assert code in found(**setting)


def test_the_place_is_told():
    text = SERVICE.format(protocol="TCP", kind="NAT", more="", server="weight 1")

    (doubt,) = lint(loaded(text).config)

    assert doubt.subject.line == 8


def test_the_same_check_at_two_paces_in_two_services():
    other = SERVICE.format(more="delay_loop 20", server=SOUND, protocol="TCP", kind="NAT")
    other = other.replace("192.0.2.1 80", "192.0.2.9 80")
    assert found(after=other) == ["uneven-intervals"]
    assert found(after=other.replace("delay_loop 20", "")) == []


def test_every_doubt_is_explained():
    root = Path(__file__).resolve().parents[3]
    codes = re.findall(r'_doubt\(\s*"([a-z-]+)"', (root / "keepalive_py/config/lint.py").read_text())
    docs = (root / "docs/config.md").read_text()
    assert len(codes) > 15
    assert [code for code in codes if f"`{code}`" not in docs] == []
