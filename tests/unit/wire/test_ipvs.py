"""The IPVS codec: the law, the kernel's own bytes, and bytes that nobody should send."""

from __future__ import annotations

import contextlib
import struct

import pytest
from contract.values import (
    daemons,
    destinations,
    endpoint,
    keys,
    marked,
    service,
    services,
    timeouts,
    virtual,
)
from hypothesis import example, given
from hypothesis import strategies as st

from keepalive_py.config.model import (
    Forwarding,
    LvsSyncDaemon,
    LvsTimeouts,
    SchedulerFlag,
    Tunnel,
    TunnelType,
)
from keepalive_py.errors import WireError
from keepalive_py.net import Family, Protocol
from keepalive_py.plan.table import Destination, Service, ServiceKey
from keepalive_py.wire import ipvs
from keepalive_py.wire.netlink import attribute

GENERIC_HEADER = bytes([0, 1, 0, 0])


def received(attributes: bytes) -> memoryview:
    """What a message with these attributes looks like when it comes in."""
    return memoryview(GENERIC_HEADER + attributes)


# ---------------------------------------------------------------- the law


@given(keys)
def test_a_key_survives_the_wire(key: ServiceKey) -> None:
    assert ipvs.decode_key(received(ipvs.encode_key(key))) == key


@given(services)
def test_a_service_survives_the_wire(value: Service) -> None:
    assert ipvs.decode_service(received(ipvs.encode_service(value))) == value


@given(destinations)
@example(Destination(endpoint("2001:db8::1"), Forwarding.TUN, tunnel=Tunnel(TunnelType.GUE, 6080)))
def test_a_destination_survives_the_wire(value: Destination) -> None:
    decoded = ipvs.decode_destination(received(ipvs.encode_destination(value)), Family.INET)
    assert decoded == value


@given(destinations)
def test_a_destinations_identity_survives_the_wire(value: Destination) -> None:
    encoded = received(ipvs.encode_endpoint(value.endpoint))
    assert ipvs.decode_endpoint(encoded, Family.INET) == value.endpoint


@given(daemons, st.booleans())
def test_a_sync_daemon_survives_the_wire(value: LvsSyncDaemon, master: bool) -> None:
    encoded = received(ipvs.encode_daemon(value, master=master))
    assert ipvs.decode_daemon(encoded) == (value, master)


@given(timeouts)
def test_timeouts_survive_the_wire(value: LvsTimeouts) -> None:
    assert ipvs.decode_timeouts(received(ipvs.encode_timeouts(value))) == value


# ---------------------------------------------------------------- the kernel's bytes


def test_a_service_has_the_bytes_that_the_kernel_dumps() -> None:
    """192.0.2.1:80 TCP rr, as read from a Linux 6.12 on a little-endian machine, without counters."""
    encoded = ipvs.encode_service(service(virtual("192.0.2.1", 80)))
    fields = dict(nested(encoded))
    assert fields[1] == bytes.fromhex("0200")
    assert fields[2] == bytes.fromhex("0600")
    assert fields[3] == bytes.fromhex("c0000201") + bytes(12)
    assert fields[4] == bytes.fromhex("0050")
    assert fields[6] == b"rr\0"
    assert fields[7] == bytes.fromhex("00000000ffffffff")
    assert fields[8] == bytes(4)
    assert fields[9] == bytes.fromhex("ffffffff")


def test_netmasks_are_in_network_order_for_ipv4_and_a_prefix_length_for_ipv6() -> None:
    four = dict(nested(ipvs.encode_service(service(virtual("192.0.2.1"), netmask=0xFFFFFF00))))
    six = dict(nested(ipvs.encode_service(service(virtual("2001:db8::1"), netmask=64))))
    assert four[9] == bytes.fromhex("ffffff00")
    assert six[9] == struct.pack("=I", 64)


def test_the_tunnel_port_is_in_network_order() -> None:
    value = Destination(endpoint("10.0.0.1"), Forwarding.TUN, tunnel=Tunnel(TunnelType.GUE, 6080))
    assert dict(nested(ipvs.encode_destination(value)))[14] == (6080).to_bytes(2, "big")


@pytest.mark.parametrize(("method", "code"), [(Forwarding.NAT, 0), (Forwarding.TUN, 2), (Forwarding.DR, 3)])
def test_forwarding_methods_have_the_numbers_of_ip_vs_h(method: Forwarding, code: int) -> None:
    encoded = ipvs.encode_destination(Destination(endpoint("10.0.0.1"), method))
    assert dict(nested(encoded))[3] == struct.pack("=I", code)


def test_flags_of_the_kernel_alone_are_not_read_back() -> None:
    """HASHED is set on every service, and a FULLNAT kernel adds bits that mainline has not."""
    value = service(flags=SchedulerFlag.ONE_PACKET)
    encoded = ipvs.encode_service(value).replace(
        struct.pack("=II", 0x4, 0xFFFFFFFF), struct.pack("=II", 0x8006, 0xFFFFFFFF)
    )
    assert ipvs.decode_service(received(encoded)) == value


def test_a_destination_without_family_has_that_of_its_service() -> None:
    fields = [
        pair
        for pair in nested(ipvs.encode_destination(Destination(endpoint("2001:db8::1"))))
        if pair[0] != 11
    ]
    encoded = attribute(ipvs.DEST, b"".join(attribute(kind, value) for kind, value in fields))
    decoded = ipvs.decode_destination(received(encoded), Family.INET6)
    assert decoded.endpoint == endpoint("2001:db8::1")


# ---------------------------------------------------------------- counters

WIDE = [1 << 40, 2 << 40, 3 << 40, 4 << 40, 5 << 40]


def counters(kind: int, numbers: list[int], widths: str) -> bytes:
    values = zip(range(1, 6), numbers, widths, strict=True)
    return attribute(kind, b"".join(attribute(i, struct.pack("=" + w, n)) for i, n, w in values))


def test_wide_counters_are_preferred() -> None:
    block = counters(ipvs.SVC_STATS, [1, 2, 3, 4, 5], "IIIQQ") + counters(ipvs.SVC_STATS64, WIDE, "QQQQQ")
    decoded = ipvs.decode_service_traffic(received(attribute(ipvs.SERVICE, block)))
    assert decoded == ipvs.Traffic(*WIDE)


def test_an_old_kernel_has_only_narrow_counters() -> None:
    block = counters(ipvs.SVC_STATS, [1, 2, 3, 4, 5], "IIIQQ")
    decoded = ipvs.decode_service_traffic(received(attribute(ipvs.SERVICE, block)))
    assert decoded == ipvs.Traffic(1, 2, 3, 4, 5)


def test_a_destination_counts_its_connections() -> None:
    gauges = b"".join(attribute(kind, struct.pack("=I", kind)) for kind in (7, 8, 9))
    block = gauges + counters(ipvs.DEST_STATS64, WIDE, "QQQQQ")
    decoded = ipvs.decode_destination_traffic(received(attribute(ipvs.DEST, block)))
    assert decoded == ipvs.DestinationTraffic(ipvs.Traffic(*WIDE), 7, 8, 9)


def test_the_version_is_three_numbers() -> None:
    payload = attribute(1, struct.pack("=I", 0x010201)) + attribute(2, struct.pack("=I", 4096))
    assert ipvs.decode_version(received(payload)) == ((1, 2, 1), 4096)


# ---------------------------------------------------------------- what cannot be said

OTHER = ipvs.Flavour(name="other", forwarding={Forwarding.NAT: 0}, persistence_engine=None, tunnels=False)


def test_a_kernel_that_lacks_something_is_told_so_before_anything_is_sent() -> None:
    with pytest.raises(ipvs.Inexpressible, match="FNAT"):
        ipvs.encode_destination(Destination(endpoint("10.0.0.1"), Forwarding.FNAT))
    with pytest.raises(ipvs.Inexpressible, match="tunnel"):
        ipvs.encode_destination(Destination(endpoint("10.0.0.1"), tunnel=Tunnel(TunnelType.GRE)), OTHER)
    with pytest.raises(ipvs.Inexpressible, match="engine"):
        ipvs.encode_service(service(persistence_engine="sip"), OTHER)


@pytest.mark.parametrize(
    "value",
    [
        Destination(endpoint("10.0.0.1"), weight=1 << 31),
        Destination(endpoint("10.0.0.1"), u_threshold=1 << 32),
        Destination(endpoint("10.0.0.1", 70000)),
        Destination(endpoint("10.0.0.1"), tunnel=Tunnel(TunnelType.GUE, 70000)),
    ],
)
def test_a_number_that_does_not_fit_is_inexpressible(value: Destination) -> None:
    with pytest.raises(ipvs.Inexpressible):
        ipvs.encode_destination(value)


@pytest.mark.parametrize("field", [{"netmask": 1 << 32}, {"persistence_timeout": 1 << 32}])
def test_a_setting_that_does_not_fit_is_inexpressible(field: dict[str, int]) -> None:
    with pytest.raises(ipvs.Inexpressible):
        ipvs.encode_service(service(**field))


# ---------------------------------------------------------------- what others may have put there


def test_another_programs_forwarding_method_is_foreign() -> None:
    encoded = ipvs.encode_destination(Destination(endpoint("10.0.0.1"), Forwarding.DR))
    local_node = encoded.replace(struct.pack("=HHI", 8, 3, 3), struct.pack("=HHI", 8, 3, 1))
    with pytest.raises(ipvs.Foreign):
        ipvs.decode_destination(received(local_node), Family.INET)


def test_a_later_tunnel_type_is_foreign() -> None:
    value = Destination(endpoint("10.0.0.1"), Forwarding.TUN, tunnel=Tunnel(TunnelType.GRE))
    later = ipvs.encode_destination(value).replace(
        struct.pack("=HHB", 5, 13, 2), struct.pack("=HHB", 5, 13, 9)
    )
    with pytest.raises(ipvs.Foreign):
        ipvs.decode_destination(received(later), Family.INET)


def test_a_service_of_another_protocol_is_foreign() -> None:
    esp = ipvs.encode_key(virtual(protocol=Protocol.TCP)).replace(
        struct.pack("=HHH", 6, 2, 6), struct.pack("=HHH", 6, 2, 50)
    )
    with pytest.raises(ipvs.Foreign):
        ipvs.decode_key(received(esp))


# ---------------------------------------------------------------- broken bytes

DECODERS = [
    ipvs.decode_key,
    ipvs.decode_service,
    ipvs.decode_service_traffic,
    lambda payload: ipvs.decode_destination(payload, Family.INET),
    lambda payload: ipvs.decode_endpoint(payload, Family.INET6),
    ipvs.decode_destination_traffic,
    ipvs.decode_daemon,
    ipvs.decode_timeouts,
    ipvs.decode_version,
]
SAMPLES = [
    ipvs.encode_service(service(virtual("2001:db8::1"), persistence_engine="sip")),
    ipvs.encode_key(marked(7)),
    ipvs.encode_destination(
        Destination(endpoint("10.0.0.1"), Forwarding.TUN, tunnel=Tunnel(TunnelType.GUE, 6080))
    ),
    ipvs.encode_daemon(
        LvsSyncDaemon("eth0", group=endpoint("ff02::51").address, maxlen=1, port=2, ttl=3), master=True
    ),
    ipvs.encode_timeouts(LvsTimeouts(1, 2, 3)),
]


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("sample", SAMPLES, ids=range(len(SAMPLES)))
def test_a_cut_message_gives_a_value_or_a_wire_error(decode: object, sample: bytes) -> None:
    whole = GENERIC_HEADER + sample
    for end in range(len(whole)):
        value_or_wire_error(decode, whole[:end])


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_wire_error(payload: bytes) -> None:
    for decode in DECODERS:
        value_or_wire_error(decode, GENERIC_HEADER + payload)


@given(st.sampled_from(SAMPLES), st.data())
def test_changed_bytes_give_a_value_or_a_wire_error(sample: bytes, data: st.DataObject) -> None:
    broken = bytearray(GENERIC_HEADER + sample)
    for position in data.draw(st.lists(st.integers(4, len(broken) - 1), min_size=1, max_size=4)):
        broken[position] = data.draw(st.integers(0, 255))
    for decode in DECODERS:
        value_or_wire_error(decode, bytes(broken))


def test_a_message_without_the_wanted_attribute_is_a_wire_error() -> None:
    for decode in DECODERS[:7]:
        with pytest.raises(WireError):
            decode(received(b""))


def value_or_wire_error(decode: object, payload: bytes) -> None:
    with contextlib.suppress(WireError):
        decode(memoryview(payload))  # type: ignore[operator]


def nested(encoded: bytes) -> list[tuple[int, bytes]]:
    """The attributes inside the one that `encoded` is."""
    found = []
    offset = 4
    while offset < len(encoded):
        length, kind = struct.unpack_from("=HH", encoded, offset)
        found.append((kind, encoded[offset + 4 : offset + length]))
        offset += (length + 3) & ~3
    return found
