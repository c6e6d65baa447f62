"""DNS messages: laws, and bytes known to be right."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.errors import WireError
from keepalive_py.wire.dns import (
    Header,
    Query,
    Rcode,
    RecordType,
    decode_query,
    encode_header,
    encode_query,
    parse_header,
)

U16 = st.integers(0, 0xFFFF)
LABELS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=63)
NAMES = st.lists(LABELS, max_size=3).map(lambda labels: ".".join(labels) + ".")
QUERIES = st.builds(Query, identifier=U16, name=NAMES, type=st.sampled_from(RecordType))
HEADERS = st.builds(
    Header, identifier=U16, is_response=st.booleans(), rcode=st.integers(0, 15), truncated=st.booleans()
)


@given(QUERIES)
def test_a_query_reads_back(query: Query) -> None:
    assert decode_query(encode_query(query)) == query


@given(HEADERS)
def test_a_header_reads_back(header: Header) -> None:
    assert parse_header(encode_header(header)) == header


@given(st.binary(max_size=80))
def test_any_bytes_are_a_header_or_none(message: bytes) -> None:
    assert (parse_header(message) is None) == (len(message) < 12)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_query_or_a_wire_error(message: bytes) -> None:
    with contextlib.suppress(WireError):
        decode_query(message)


def test_the_root_query_byte_by_byte() -> None:
    query = Query(0xBEEF, ".", RecordType.SOA)
    assert encode_query(query) == bytes.fromhex("beef 0100 0001 0000 0000 0000 00 0006 0001")


def test_the_last_dot_changes_nothing() -> None:
    with_dot = encode_query(Query(1, "example.org.", RecordType.AAAA))
    assert with_dot == encode_query(Query(1, "example.org", RecordType.AAAA))
    assert b"\x07example\x03org\x00\x00\x1c\x00\x01" in with_dot


@pytest.mark.parametrize("name", [".a", "a..b", "..", "x" * 64, ".".join(["x" * 63] * 4)])
def test_names_nobody_could_be_asked_for_are_refused(name: str) -> None:
    with pytest.raises(WireError):
        encode_query(Query(1, name, RecordType.A))


def test_a_real_nxdomain_answer() -> None:
    answer = bytes.fromhex("1d2a8183000100000001000003666f6f0000010001")
    assert parse_header(answer) == Header(0x1D2A, is_response=True, rcode=Rcode.NXDOMAIN)
