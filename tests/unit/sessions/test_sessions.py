"""The session table: parsing, filtering, counting."""

from __future__ import annotations

import contextlib
import json
import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.errors import WireError
from keepalive_py.sessions import model
from keepalive_py.sessions.model import Filter, Session
from keepalive_py.sessions.proc import parse, parse_services
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

    assert as_row(tcp) == {
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

    flow = conntrack.decode(raw, 0)

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
    assert conntrack.decode_state(raw, 0, len(raw), 6) == ("ESTABLISHED", 116)


def test_a_datagram_session_was_answered_or_not() -> None:
    raw = entry("10.1.0.3", "10.99.0.1", "10.2.1.2", "10.200.0.2", protocol=17)

    assert conntrack.decode_state(raw, 0, len(raw), 17) == ("ANSWERED", 116)
    unanswered = raw.replace(struct.pack(">I", 0x18E), struct.pack(">I", 0x188))
    assert conntrack.decode_state(unanswered, 0, len(raw), 17) == ("UNANSWERED", 116)


def test_an_entry_whose_destination_was_not_translated_is_no_session() -> None:
    raw = entry("10.1.0.3", "10.99.0.1", "10.99.0.1", "10.1.0.3").replace(
        struct.pack(">H", 8080), struct.pack(">H", 80)
    )

    assert conntrack.decode(raw, 0) is None


PROC_OF_FULLNAT = """\
Pro FromIP   FPrt ToIP     TPrt LocalIP  LPrt DestIP   DPrt State       Expires
TCP 0A090002 E7D2 C0000201 0050 0A010065 1389 0A01000A 1F90 ESTABLISHED     899
""".splitlines()


def test_a_fullnat_kernel_tells_the_local_address_itself() -> None:
    (one,) = parse(PROC_OF_FULLNAT)

    assert as_row(one) == {
        "protocol": "tcp", "client": "10.9.0.2:59346", "virtual": "192.0.2.1:80",
        "local": "10.1.0.101:5001", "server": "10.1.0.10:8080", "state": "ESTABLISHED", "timeout": 899,
    }  # fmt: skip


PROC_SERVICES = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A630001:0050 rr
  -> 0A020102:0050      Masq    1      0          0
TCP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0050 rr
  -> [2001:0db8:0000:0000:0000:0000:0000:0009]:1F90      Masq    1      0          0
FWM  0000004D rr
  -> 0A020107:0000      Masq    1      0          0
""".splitlines()


def test_the_services_tell_which_tracked_connections_are_theirs() -> None:
    services = parse_services(PROC_SERVICES)

    def session(virtual: str, port: int, server: str) -> Session:
        ends = [ip_address(one).packed for one in ("192.0.2.9", virtual, "10.200.0.1", server)]
        return Session(6, ends[0], 1, ends[1], port, ends[2], 2, ends[3], 80, "ESTABLISHED", 1)

    assert services.only_nat
    assert services.has(session("10.99.0.1", 80, "10.2.1.2"))
    assert services.has(session("2001:db8::1", 80, "2001:db8::9"))
    assert services.has(session("10.99.0.9", 443, "10.2.1.7")), "of a firewall mark, by its server"
    assert not services.has(session("10.99.0.1", 81, "10.2.1.2"))


def test_a_server_of_another_method_is_noticed() -> None:
    assert not parse_services([line.replace("Masq  ", "Route ") for line in PROC_SERVICES]).only_nat


def test_entries_of_other_protocols_are_left_out() -> None:
    raw = entry("10.1.0.3", "10.99.0.1", "10.2.1.2", "10.200.0.2", protocol=47)

    assert conntrack.decode(raw, 0) is None


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_refused_as_broken(raw: bytes) -> None:
    with contextlib.suppress(WireError):
        conntrack.decode(raw, 0)
    with contextlib.suppress(WireError):
        conntrack.decode_state(raw, 0, len(raw), 6)


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
    assert len(list(wanted.select(sessions()))) == found


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


@given(st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=4), st.integers(0, 9), st.booleans())
def test_a_remembered_layout_reads_what_a_careful_look_reads(
    words: list[int], state: int, swapped: bool
) -> None:
    """Entries of one length whose attributes stand in one order, or another."""
    ends = entry("10.1.0.3", "10.99.0.1", "10.2.1.2", "10.200.0.2")[:104]
    for word in words:
        parts = [attribute(3, struct.pack(">I", word)), attribute(7, struct.pack(">I", word ^ 0xFFFF))]
        parts += [attribute(0x8004, attribute(0x8001, attribute(1, bytes([state]))))]
        raw = ends + b"".join(reversed(parts) if swapped else parts)

        found = conntrack.decode_state(raw, 0, len(raw), 6)

        assert found == (conntrack.TCP_STATES[state], word ^ 0xFFFF)


def as_row(one: Session) -> dict[str, object]:
    return json.loads(model.as_json(one))  # type: ignore[no-any-return]


def test_any_state_is_quoted() -> None:
    assert as_row(sessions()[0]._replace(state='"odd"'))["state"] == '"odd"'
