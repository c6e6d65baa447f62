"""Messages for FULLNAT's table: what is encoded comes back when decoded."""

from __future__ import annotations

import contextlib
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.errors import WireError
from keepalive_py.net import Endpoint, Family, Protocol
from keepalive_py.plan.table import ServiceKey
from keepalive_py.wire import nftables as nft

ports = st.integers(0, 65535)
keys = st.one_of(
    st.builds(
        lambda address, port, protocol: ServiceKey(Family.INET, protocol, Endpoint(address, port)),
        st.ip_addresses(v=4), ports, st.sampled_from(Protocol),
    ),
    st.builds(
        lambda address, port, protocol: ServiceKey(Family.INET6, protocol, Endpoint(address, port)),
        st.ip_addresses(v=6), ports, st.sampled_from(Protocol),
    ),
    st.builds(
        lambda family, mark: ServiceKey(family, fwmark=mark),
        st.sampled_from(Family), st.integers(1, 2**32 - 1),
    ),
)  # fmt: skip


def body(message: bytes) -> bytes:
    """A message without its netlink and nfnetlink heads."""
    assert struct.unpack_from("=I", message)[0] == len(message)

    return message[20:]


@given(keys)
def test_a_service_is_found_again_under_its_key(key: ServiceKey) -> None:
    assert nft.decode_key(nft.map_name(key), nft.encode_key(key)) == key


@given(st.lists(keys, max_size=900), st.text("0123456789abcdef", min_size=16, max_size=16))
def test_elements_come_back_as_they_were_sent(wanted: list[ServiceKey], digits: str) -> None:
    items = [nft.service_element(key, f"pool4_{digits}") for key in wanted]

    messages = list(nft.change_elements(nft.NEW_ELEMENT, "tcp4", items))

    assert [found for one in messages for found in nft.decode_elements(body(one))] == items
    assert all(len(one) < 65536 for one in messages)


def test_a_pool_is_named_by_its_addresses_and_their_order() -> None:
    one, two = ip_address("10.0.0.1"), ip_address("10.0.0.2")

    assert nft.pool_name([one, two], Family.INET) == nft.pool_name((one, two), Family.INET)
    assert nft.pool_name([one, two], Family.INET) != nft.pool_name([two, one], Family.INET)
    assert nft.is_pool(nft.pool_name([one], Family.INET))
    assert not nft.is_pool(nft.SOURCE)


@pytest.mark.parametrize(
    ("family", "addresses"),
    [
        (Family.INET, [IPv4Address("10.0.0.1") + n for n in range(300)]),
        (Family.INET6, [IPv6Address("fd00::1"), IPv6Address("fd00::9")]),
    ],
)
def test_a_pool_holds_every_address_once(family: Family, addresses: list[IPv4Address]) -> None:
    elements = [
        element
        for one in nft.new_pool(addresses, family)
        if one[4] == nft.NEW_ELEMENT
        for element in nft.decode_elements(body(one))
    ]

    assert nft.pool_addresses(elements) == tuple(addresses)
    assert nft.pool_addresses(elements[1:]) == ()


def test_a_rule_tells_its_chain_and_the_map_it_looks_into() -> None:
    rules = [nft.decode_rule(body(one)) for one in nft.skeleton() if one[4] == nft.NEW_RULE]

    assert rules == [(nft.SOURCE, name) for name in nft.MAPS]


def test_a_batch_is_framed_and_numbered() -> None:
    messages = nft.number_messages(nft.skeleton(), 100)

    framed = nft.batch(messages)

    kinds = []
    while framed:
        length, kind, _, sequence = struct.unpack_from("=IHHI", framed)
        kinds.append((kind & 0xFF, sequence))
        framed = framed[length:]
    assert kinds[0][0] == nft.BATCH_BEGIN
    assert kinds[-1][0] == nft.BATCH_END
    assert [sequence for _, sequence in kinds[1:-1]] == list(range(100, 100 + len(messages)))


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused_as_broken(raw: bytes) -> None:
    for decode in (nft.decode_elements, nft.decode_rule):
        with contextlib.suppress(WireError):
            decode(raw)
    for name in nft.MAPS:
        with contextlib.suppress(WireError):
            nft.decode_key(name, raw)


def test_news_of_our_table_are_known_by_its_name() -> None:
    """Every message about a table, and about what is in it, begins with the table's name."""
    ours = [*nft.skeleton(), nft.delete_table(), nft.delete_pool("pool4_x")]
    assert all(nft.is_ours(body(message)) for message in ours)
    theirs = body(nft.delete_table()).replace(b"keepalive_py", b"keepalive_xy")
    assert not nft.is_ours(theirs)
    assert not nft.is_ours(b"")


@given(st.binary(max_size=60))
def test_any_bytes_may_be_news(raw: bytes) -> None:
    nft.is_ours(raw)
