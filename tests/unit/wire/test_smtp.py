"""SMTP replies in any pieces."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.errors import WireError
from keepalive_py.wire.smtp import LONGEST_REPLY, Reply, ReplyReader, command

TEXTS = st.text(st.characters(codec="ascii", exclude_characters="\r\n"), max_size=20)
REPLIES = st.builds(
    Reply, code=st.integers(100, 599), lines=st.lists(TEXTS, min_size=1, max_size=4).map(tuple)
)


def on_the_wire(reply: Reply) -> bytes:
    *first, last = reply.lines
    lines = [f"{reply.code}-{line}" for line in first] + [f"{reply.code} {last}"]
    return "".join(line + "\r\n" for line in lines).encode()


def read(*pieces: bytes) -> list[Reply]:
    reader, found = ReplyReader(), []
    for piece in pieces:
        reader.feed(piece)
        while reply := reader.reply():
            found.append(reply)
    return found


@given(st.lists(REPLIES, min_size=1, max_size=3), st.integers(1, 40))
def test_replies_read_back_however_they_are_cut(replies: list[Reply], size: int) -> None:
    wire = b"".join(on_the_wire(reply) for reply in replies)
    assert read(*(wire[i : i + size] for i in range(0, len(wire), size))) == replies


@given(st.binary(max_size=200))
def test_any_bytes_give_replies_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        read(data)


@pytest.mark.parametrize("line", [b"220\r\n", b"220\n", b"220 \r\n"])
def test_a_bare_code_is_a_reply(line: bytes) -> None:
    assert read(line) == [Reply(220, ("",))]


def test_several_lines_are_one_reply() -> None:
    assert read(b"220-mail\r\n220-be gentle\r\n220 ready\r\n") == [Reply(220, ("mail", "be gentle", "ready"))]


@pytest.mark.parametrize("line", [b"HTTP/1.1 400 Bad Request\r\n", b"\r\n", b"22\r\n", b"2200 x\r\n"])
def test_another_protocol_is_a_wire_error(line: bytes) -> None:
    with pytest.raises(WireError):
        read(line)


def test_an_endless_line_is_a_wire_error() -> None:
    with pytest.raises(WireError):
        read(b"2" * (LONGEST_REPLY + 1))


def test_an_endless_reply_is_a_wire_error() -> None:
    with pytest.raises(WireError):
        read(b"220-x\r\n" * LONGEST_REPLY)


def test_a_command_is_one_line_whatever_is_in_it() -> None:
    assert command("HELO", "a\r\nMAIL FROM:<x>") == b"HELO aMAIL FROM:<x>\r\n"
