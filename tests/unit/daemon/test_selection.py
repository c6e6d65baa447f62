"""What a few words mean."""

from __future__ import annotations

import pytest
from daemon_rig import config_of

from keepalive_py.daemon.selection import is_server, is_service
from keepalive_py.net import Endpoint, parse_address

TEXT = """
virtual_server_group web {
 10.0.0.5-7 80
}
virtual_server 10.0.0.1 80 {
 protocol TCP
 real_server 10.1.0.1 80 { }
}
virtual_server 10.0.0.1 53 {
 protocol UDP
 real_server 10.1.0.1 53 { }
}
virtual_server 2001:db8::1 80 {
 protocol TCP
 real_server 2001:db8::2 80 { }
}
virtual_server fwmark 7 {
 real_server 10.1.0.1 80 { }
}
virtual_server group web {
 protocol TCP
 real_server 10.1.0.1 80 { }
}
"""
SERVICES = config_of(TEXT).virtual_servers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[10.0.0.1]:tcp:80", [0]),
        ("[10.0.0.1]:TCP:80", [0]),
        ("10.0.0.1:80", [0]),
        (" 10.0.0.1:80 ", [0]),
        ("10.0.0.1", [0, 1]),
        ("10.0.0.1:81", []),
        ("10.0.0", []),
        ("10.0.0.5", []),
        ("2001:db8::1", [2]),
        ("[2001:db8::1]:80", [2]),
        ("2001:db8:0:0::1", [2]),
        ("FWM 7", [3]),
        ("fwm 7", [3]),
        ("web", [4]),
        ("[web]:0", [4]),
        ("", []),
        (":", []),
        ("*", []),
    ],
)
def test_virtual_servers(text: str, found: list[int]) -> None:
    assert [at for at, vs in enumerate(SERVICES) if is_service(vs, text)] == found


@pytest.mark.parametrize(
    ("text", "yes"),
    [("10.1.0.1", True), ("10.1.0.1:80", True), ("10.1.0.1:81", False), ("[10.1.0.1]:tcp:80", True),
     ("[10.1.0.1]:udp:80", False), ("10.1.0.10", False)],
)  # fmt: skip
def test_real_servers(text: str, yes: bool) -> None:
    assert is_server(SERVICES[0], Endpoint(parse_address("10.1.0.1"), 80), text) is yes
