"""The client's address in a TCP option."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.errors import WireError
from keepalive_py.net import Endpoint
from keepalive_py.wire import toa
from keepalive_py.wire.toa import Layout, Layouts

TTM6 = Layout("ttm6", 254, 6, magic=0x12345678)
LAYOUTS = [*(one.value for one in Layouts), TTM6]
ports = st.integers(0, 65535)


def test_the_bytes_are_those_seen_behind_a_fullnat_kernel() -> None:
    client = Endpoint(ip_address("10.9.0.2"), 54122)

    assert toa.encode(Layouts.TOA4.value, client) == bytes.fromhex("fe08d36a0a090002")


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@given(data=st.data(), port=ports, before=st.integers(0, 3))
def test_a_client_comes_back_from_its_option(
    layout: Layout, data: st.DataObject, port: int, before: int
) -> None:
    client = Endpoint(data.draw(st.ip_addresses(v=layout.version)), port)
    option = toa.encode(layout, client)

    assert len(option) == layout.length
    assert toa.decode(layout, toa.pad(b"\1" * before + option)) == client


@given(st.binary(max_size=60), st.sampled_from(LAYOUTS))
def test_any_options_are_survived(raw: bytes, layout: Layout) -> None:
    toa.decode(layout, raw)
    assert all(0 <= kind <= 255 for kind, _ in toa.options_of(raw))


def test_an_option_of_another_layout_is_not_taken_for_ours() -> None:
    v6 = Endpoint(ip_address("2001:db8::1"), 1)

    assert toa.decode(Layouts.TOA4.value, toa.encode(Layouts.TOA6.value, v6)) is None
    assert toa.decode(TTM6, toa.encode(Layout("other", 254, 6, magic=1), v6)) is None


def test_a_layout_refuses_the_other_family() -> None:
    with pytest.raises(WireError, match="toa4"):
        toa.encode(Layouts.TOA4.value, Endpoint(ip_address("2001:db8::1"), 1))


def test_more_options_than_a_header_holds_are_refused() -> None:
    with pytest.raises(WireError, match="40"):
        toa.pad(bytes(41))
