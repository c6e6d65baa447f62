"""The session table: parsing, filtering, counting."""

from __future__ import annotations

import contextlib
import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.errors import WireError
from keepalive_py.sessions import model
from keepalive_py.sessions.model import Filter, Session
from keepalive_py.sessions.proc import parse
from keepalive_py.wire import conntrack

PROC = """\
Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP 0A010003 B2A9 0A630001 0050 0A020102 0050 ESTABLISHED     899
UDP 0A010003 B2A9 0A630001 0035 0A020102 0035 UDP             299
TCP 2001:0db8:0000:0000:0000:0000:0000:0002 C350 2001:0db8:0000:0000:0000:0000:0000:0001 0050 \
2001:0db8:0000:0000:0000:0000:0000:0009 1F90 SYN_RECV      57
""".splitlines()


def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def entry(client: str, virtual: str, server: str, local: str, protocol: int = 6) -> bytes:
    """A conntrack entry as the kernel lays it out."""

    def ends(source: str, destination: str, ports: tuple[int, int]) -> bytes:
        one, two = ip_address(source), ip_address(destination)
        kinds = (1, 2) if one.version == 4 else (3, 4)
        addresses = attribute(0x8001, attribute(kinds[0], one.packed) + attribute(kinds[1], two.packed))
        numbers = attribute(1, bytes([protocol]))
        numbers += b"".join(
            attribute(kind, struct.pack(">H", port)) for kind, port in zip((2, 3), ports, strict=True)
        )
        return addresses + attribute(0x8002, numbers)

    state = attribute(0x8004, attribute(0x8001, attribute(1, b"\x03")))
    return (
        attribute(0x8001, ends(client, virtual, (45731, 80)))
        + attribute(0x8002, ends(server, local, (8080, 20001)))
        + attribute(3, struct.pack(">I", 0x18E))
        + attribute(7, struct.pack(">I", 116))
        + state
    )


def test_the_lines_of_ip_vs_conn_become_sessions() -> None:
    tcp, udp, v6 = parse(PROC)

    assert model.as_row(tcp) == {
        "protocol": "tcp", "client": "10.1.0.3:45737", "virtual": "10.99.0.1:80", "local": None,
        "server": "10.2.1.2:80", "state": "ESTABLISHED", "timeout": 899,
    }  # fmt: skip
    assert (udp.protocol, udp.virtual_port, udp.timeout) == (17, 53, 299)
    assert model.show_end(v6.server, v6.server_port) == "[2001:db8::9]:8080"


@given(st.lists(st.text(max_size=100)))
def test_any_text_in_ip_vs_conn_is_survived(lines: list[str]) -> None:
    list(parse(lines))


@pytest.mark.parametrize(
    "ends",
    [
        ("10.1.0.3", "10.99.0.1", "10.2.1.2", "10.200.0.2"),
        ("2001:db8::3", "2001:db8::1", "fd00::2", "fd01::2"),
    ],
)
def test_a_conntrack_entry_has_all_four_ends(ends: tuple[str, str, str, str]) -> None:
    raw = entry(*ends)

    flow = conntrack.decode(raw, 0, len(raw))

    assert flow is not None
    assert (flow.client, flow.virtual, flow.server, flow.local) == tuple(
        ip_address(one).packed for one in ends
    )
    assert (flow.client_port, flow.virtual_port, flow.server_port, flow.local_port) == (
        45731,
        80,
        8080,
        20001,
    )
    assert (flow.timeout, conntrack.TCP_STATES[flow.state]) == (116, "ESTABLISHED")


def test_entries_of_other_protocols_are_left_out() -> None:
    raw = entry("10.1.0.3", "10.99.0.1", "10.2.1.2", "10.200.0.2", protocol=47)

    assert conntrack.decode(raw, 0, len(raw)) is None


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_refused_as_broken(raw: bytes) -> None:
    with contextlib.suppress(WireError):
        conntrack.decode(raw, 0, len(raw))


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("10.0.0.1", "10.0.0.1", 0),
        ("10.0.0.1:80", "10.0.0.1", 80),
        ("[2001:db8::1]:80", "2001:db8::1", 80),
        ("2001:db8::1", "2001:db8::1", 0),
    ],
)
def test_an_end_is_an_address_with_or_without_a_port(text: str, address: str, port: int) -> None:
    assert model.parse_end(text) == (ip_address(address).packed, port)


@pytest.mark.parametrize("text", ["", "nonsense", "10.0.0.1:x", "[::1", ":http"])
def test_what_is_no_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        model.parse_end(text)


def sessions() -> list[Session]:
    return list(parse(PROC))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(), 3),
        (Filter(client=model.parse_end("10.1.0.3")), 2),
        (Filter(virtual=model.parse_end("10.99.0.1:53")), 1),
        (Filter(virtual=model.parse_end(":80")), 2),
        (Filter(server=model.parse_end("10.2.1.2"), protocol=6), 1),
        (Filter(state="SYN_RECV"), 1),
        (Filter(local=model.parse_end("10.200.0.1")), 0),
    ],
)
def test_sessions_are_filtered_by_any_end(wanted: Filter, found: int) -> None:
    assert len(wanted.select(sessions())) == found


def test_sessions_are_counted_most_first() -> None:
    assert model.count(sessions(), "server") == [
        ("10.2.1.2:80", 1),
        ("10.2.1.2:53", 1),
        ("[2001:db8::9]:8080", 1),
    ]
    assert model.count(sessions(), "client")[0] == ("10.1.0.3", 2)
    assert {
        by: sum(number for _, number in model.count(sessions(), by)) for by in model.COUNTS
    } == dict.fromkeys(model.COUNTS, 3)
