"""HTTP/1.0 and 1.1 as a check speaks it: one GET, and where its answer ends. Pure.

The request is keepalived's, byte for byte. The answer is read as keepalived reads it (any
protocol name, a status of three digits, headers below 4095 bytes, chunks not decoded) with two
differences. A status line without a reason and header lines that end with LF alone are
understood (RFC 9112 sections 2.2 and 4). And an answer ends where its framing says so
(RFC 9112 section 6.3), not only with the connection, so a server that keeps the connection
open in spite of what it was asked does not let the check run into its timeout.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

__all__ = ["HEADER_LIMIT", "ResponseReader", "encode_get"]

HEADER_LIMIT: Final = 4094  # bytes of headers, their end included (keepalived's buffer)
USER_AGENT: Final = "KeepAliveClient"
# http_protocol of keepalived.conf(5): the version sent, and whether "Connection: close" is.
PROTOCOLS: Final = {"1.0": ("1.0", False), "1.0C": ("1.0", True), "1.1": ("1.1", True)}

STATUS: Final = re.compile(rb"[^ \r\n]* ([0-9]{3})(?=[ \r\n])")
LENGTH: Final = b"\ncontent-length:"
ENCODING: Final = b"\ntransfer-encoding:"
CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
CHUNK_LINE_LIMIT: Final = 4096
LENGTH_DIGITS: Final = 18


def encode_get(path: str, host: str, protocol: str) -> bytes:
    """The request. `protocol` is a key of PROTOCOLS; `host` the value of its Host field."""
    version, close = PROTOCOLS[protocol]
    connection = "Connection: close\r\n" if close else ""
    text = f"GET {path} HTTP/{version}\r\nUser-Agent: {USER_AGENT}\r\n{connection}Host: {host}\r\n\r\n"
    return text.encode("utf-8", "surrogateescape")


def end_of_headers(head: bytes) -> int:
    """Where the headers end, behind their empty line; 0: not yet."""
    after_lf, after_crlf = head.find(b"\n\n") + 2, head.find(b"\n\r\n") + 3
    if after_lf == 1:
        return 0 if after_crlf == 2 else after_crlf
    return after_lf if after_crlf == 2 else min(after_lf, after_crlf)


def field(lowered: bytes, name: bytes) -> bytes:
    """The value of a header field in small letters; b"" when there is none, or when there are
    several that differ."""
    start = lowered.find(name)
    if start < 0:
        return b""
    start += len(name)
    value = lowered[start : lowered.find(b"\n", start)].strip()
    rest = lowered.find(name, start)
    return value if rest < 0 or field(lowered[rest:], name) == value else b""


class ResponseReader:
    """Takes an answer in pieces. `status` is None until the headers are whole, and stays so
    when there are none; `complete` says that nothing more belongs to the answer."""

    __slots__ = ("_framing", "_head", "_left", "complete", "empty", "status")

    def __init__(self) -> None:
        self.status: int | None = None
        self.complete = False
        self.empty = True
        self._head = b""
        self._left = 0
        self._framing: Callable[[bytes], bytes] = self._headers

    def feed(self, piece: bytes) -> bytes:
        """What of `piece` is body, as it was sent; b"" as `piece` is the end of the stream."""
        if not piece:
            self.complete = True
            return b""
        self.empty = False
        return self._framing(piece)

    def _headers(self, piece: bytes) -> bytes:
        head = self._head + piece
        end = end_of_headers(head)
        if not 0 < end <= HEADER_LIMIT:
            self._head = head
            self.complete = len(head) > HEADER_LIMIT
            return b""
        self._head = b""
        self._understand(head[:end])
        return self._framing(head[end:])

    def _understand(self, head: bytes) -> None:
        status = STATUS.match(head)
        self.status = int(status[1]) if status else None
        if self.status is None or self.status < 200 or self.status in (204, 304):
            self._framing = self._nothing
            return
        lowered = head.lower()
        if b"chunked" in field(lowered, ENCODING):
            self._framing = self._chunked
        else:
            self._by_length(lowered)

    def _by_length(self, lowered: bytes) -> None:
        """A length that is no number, or several that differ, says nothing."""
        length = field(lowered, LENGTH)
        if length.isdigit() and len(length) <= LENGTH_DIGITS:
            self._framing = self._counted
            self._left = int(length)
        else:
            self._framing = self._until_closed

    def _nothing(self, piece: bytes) -> bytes:
        self.complete = True
        return b""

    def _until_closed(self, piece: bytes) -> bytes:
        return piece

    def _counted(self, piece: bytes) -> bytes:
        body = piece[: self._left]
        self._left -= len(body)
        self.complete = self._left == 0
        return body

    # Chunks (RFC 9112 section 7.1) are followed to find their end, and passed on as they are.

    def _chunked(self, piece: bytes) -> bytes:
        """`_head` holds the begin of a line, `_left` what is left of a chunk and its line end."""
        position = 0
        while position < len(piece) and not self.complete:
            if self._left:
                step = min(self._left, len(piece) - position)
                self._left -= step
                position += step
            else:
                position = self._size_line(piece, position)
        return piece[:position]

    def _size_line(self, piece: bytes, position: int) -> int:
        end = piece.find(b"\n", position) + 1 or len(piece)
        self._head += piece[position:end]
        if not self._head.endswith(b"\n"):
            if len(self._head) > CHUNK_LINE_LIMIT:
                self._framing = self._until_closed
            return end
        size = CHUNK_SIZE.fullmatch(self._head)
        line_end = 2 if self._head.endswith(b"\r\n") else 1
        self._head = b""
        if size is None:
            self._framing = self._until_closed
            return len(piece)
        self._left = int(size[1], 16) + line_end
        if self._left == line_end:
            self._left = 0
            self._framing = self._trailers
            return end + len(self._trailers(piece[end:]))
        return end

    def _trailers(self, piece: bytes) -> bytes:
        """Lines up to an empty one."""
        position = 0
        while position < len(piece) and not self.complete:
            end = piece.find(b"\n", position) + 1 or len(piece)
            self._head += piece[position:end]
            position = end
            if self._head in (b"\r\n", b"\n"):
                self.complete = True
            if self._head.endswith(b"\n") or len(self._head) > CHUNK_LINE_LIMIT:
                self._head = b""
        return piece[:position]
