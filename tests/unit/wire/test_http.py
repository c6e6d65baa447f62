"""One GET and where its answer ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.wire.http import ResponseReader, encode_get


def read(answer: bytes, *cuts: int) -> tuple[ResponseReader, bytes, bytes]:
    """The reader after `answer` in pieces, the body, and what was not asked for any more."""
    reader, body, start = ResponseReader(), b"", 0
    for end in (*sorted(cuts), len(answer)):
        if end > start and not reader.complete:
            body += reader.feed(answer[start:end])
            start = end
    return reader, body, answer[start:]


@pytest.mark.parametrize(
    ("protocol", "wanted"),
    [
        ("1.0", b"GET /x HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: a:80\r\n\r\n"),
        (
            "1.0C",
            b"GET /x HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: a:80\r\n\r\n",
        ),
        ("1.1", b"GET /x HTTP/1.1\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: a:80\r\n\r\n"),
    ],
)
def test_the_request_is_keepalived_s(protocol: str, wanted: bytes) -> None:
    assert encode_get("/x", "a:80", protocol) == wanted


def test_bytes_that_are_not_utf8_go_out_as_they_were_written() -> None:
    assert encode_get("/\udcff", "a", "1.0").startswith(b"GET /\xff HTTP")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"HTTP/1.1 200 OK", 200),
        (b"HTTP/1.1 200 ", 200),
        (b"HTTP/1.1 200", 200),
        (b"ICY 404 what", 404),
        (b"HTTP/1.1 2000 OK", None),
        (b"HTTP/1.1 20 OK", None),
        (b"HTTP/1.1  200 OK", None),
        (b"nonsense", None),
        (b"", None),
    ],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_the_status_line(line: bytes, status: int | None, end: bytes) -> None:
    reader, _, _ = read(line + end + b"A: b" + end + end)

    assert reader.status == status


def test_an_answer_without_end_of_headers_has_no_status() -> None:
    reader, body, _ = read(b"HTTP/1.0 200 OK\r\nA: b\r\n")
    reader.feed(b"")

    assert (reader.status, reader.complete, reader.empty, body) == (None, True, False, b"")


def test_nothing_at_all_is_empty() -> None:
    reader = ResponseReader()
    reader.feed(b"")

    assert (reader.empty, reader.complete, reader.status) == (True, True, None)


@pytest.mark.parametrize(("size", "status"), [(4093, 200), (4094, 200), (4095, None)])
def test_headers_have_a_limit(size: int, status: int | None) -> None:
    start, end = b"HTTP/1.0 200 OK\r\nA: ", b"\r\n\r\n"
    reader, _, _ = read(start + b"x" * (size - len(start) - len(end)) + end)

    assert reader.status == status


def test_a_body_without_length_ends_with_the_connection() -> None:
    reader, body, _ = read(b"HTTP/1.0 200 OK\r\n\r\nbody")
    assert (body, reader.complete) == (b"body", False)

    reader.feed(b"")
    assert reader.complete


@pytest.mark.parametrize("name", [b"Content-Length", b"content-length", b"CONTENT-LENGTH"])
def test_a_length_ends_the_body(name: bytes) -> None:
    reader, body, _ = read(b"HTTP/1.1 200 OK\r\n" + name + b": 4\r\n\r\nbodyand more")

    assert (body, reader.complete) == (b"body", True)


def test_a_length_of_none_ends_at_once() -> None:
    reader, body, _ = read(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    assert (body, reader.complete) == (b"", True)


@pytest.mark.parametrize("lengths", [b"4\r\nContent-Length: 5", b"-4", b"four", b"0x4", b"", b"9" * 30])
def test_a_length_that_makes_no_sense_is_not_used(lengths: bytes) -> None:
    reader, body, _ = read(b"HTTP/1.1 200 OK\r\nContent-Length: " + lengths + b"\r\n\r\nbody and more")

    assert (body, reader.complete) == (b"body and more", False)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified", b"100 Continue"])
def test_some_answers_have_no_body(status: bytes) -> None:
    reader, body, _ = read(b"HTTP/1.1 " + status + b"\r\nContent-Length: 9\r\n\r\n")

    assert (body, reader.complete) == (b"", True)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"4\r\nbody\r\n0\r\n\r\n",
        b"4;name=value\r\nbody\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
        b"0\r\n\r\n",
        b"4\nbody\n0\n\n",
        b"000004\r\n\r\n\r\n\r\n0\r\n\r\n",
    ],
)
def test_chunks_are_followed_to_their_end_and_passed_on_as_they_are(body: bytes) -> None:
    for cut in range(1, len(body)):
        reader, found, rest = read(CHUNKED + body + b"MORE", len(CHUNKED), len(CHUNKED) + cut)

        assert reader.complete
        assert found == body
        assert rest in (b"", b"MORE")


def test_chunks_that_make_no_sense_end_with_the_connection() -> None:
    reader, body, _ = read(CHUNKED + b"zz\r\nwhat\r\n")
    assert (reader.complete, body) == (False, b"zz\r\nwhat\r\n")

    reader.feed(b"")
    assert reader.complete


ANSWERS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
        b"HTTP/1.0 503 Busy\n\nsorry",
        CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\nA: b\r\n\r\n",
    ]
)


@given(ANSWERS, st.lists(st.integers(1, 90), max_size=6))
def test_the_cuts_between_pieces_do_not_matter(answer: bytes, cuts: list[int]) -> None:
    whole, body, _ = read(answer)
    pieces, found, _ = read(answer, *[cut for cut in cuts if cut < len(answer)])

    assert (pieces.status, pieces.complete, found) == (whole.status, whole.complete, body)


@given(st.binary(max_size=300), st.lists(st.integers(1, 300), max_size=6))
def test_any_bytes_are_read_without_an_exception(noise: bytes, cuts: list[int]) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", CHUNKED):
        reader, body, _ = read(start + noise, *cuts)
        reader.feed(b"")

        assert reader.complete
        assert len(body) <= len(noise) + len(start)
