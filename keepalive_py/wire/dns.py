"""DNS queries and the heads of their answers (RFC 1035 section 4): bytes and values. Pure.

A check needs no more than one question and the header of the reply: keepalived looks
neither at the answer section nor at the TC bit, so a truncated NOERROR answer is a good
one. Names are absolute, with or without the last dot; `.` is the root.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Final

from keepalive_py.errors import WireError

__all__ = [
    "Header",
    "Query",
    "Rcode",
    "RecordType",
    "decode_query",
    "encode_header",
    "encode_query",
    "parse_header",
]

HEADER: Final = struct.Struct("!HHHHHH")  # id, flags, then the counts of the four sections
TAIL: Final = struct.Struct("!HH")  # type, class
CLASS_IN: Final = 1
QR: Final = 0x8000
TC: Final = 0x0200
RD: Final = 0x0100
LONGEST_LABEL: Final = 63
LONGEST_NAME: Final = 255


class RecordType(enum.IntEnum):
    """The types that a check may ask for (RFC 1035, 3596, 4034)."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    MX = 15
    TXT = 16
    AAAA = 28
    RRSIG = 46
    DNSKEY = 48


class Rcode(enum.IntEnum):
    """Response codes of RFC 1035 4.1.1 and RFC 2136."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    YXDOMAIN = 6
    YXRRSET = 7
    NXRRSET = 8
    NOTAUTH = 9
    NOTZONE = 10


@dataclass(frozen=True, slots=True)
class Query:
    """One question of class IN with recursion desired. `identifier` is 16 bits wide."""

    identifier: int
    name: str
    type: RecordType


@dataclass(frozen=True, slots=True)
class Header:
    """What a check reads of a message. `rcode` may be a number that `Rcode` does not name."""

    identifier: int
    is_response: bool
    rcode: int
    truncated: bool = False


def encode_name(name: str) -> bytes:
    """Length-prefixed labels. Raises WireError for an empty label, a label over 63 bytes or
    a name over 255: no server could be asked for those."""
    absolute = name.removesuffix(".")
    labels = [label.encode(errors="surrogateescape") for label in absolute.split(".")] if absolute else []
    for label in labels:
        if not 0 < len(label) <= LONGEST_LABEL:
            raise WireError(f"a label of {name!r} has {len(label)} bytes, 1 to {LONGEST_LABEL} are possible")
    encoded = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    if len(encoded) > LONGEST_NAME:
        raise WireError(f"the name needs {len(encoded)} bytes, {LONGEST_NAME} are possible")
    return encoded


def encode_query(query: Query) -> bytes:
    """The whole UDP payload, without EDNS."""
    head = HEADER.pack(query.identifier, RD, 1, 0, 0, 0)
    return head + encode_name(query.name) + TAIL.pack(query.type, CLASS_IN)


def decode_query(message: bytes) -> Query:
    """The query in a message with one question; raises WireError. For responders in tests."""
    if len(message) < HEADER.size:
        raise WireError("shorter than a DNS header")
    identifier, flags, questions, *_ = HEADER.unpack_from(message)
    if flags & QR or questions != 1:
        raise WireError("not a message with one question")
    name, offset = _decode_name(message, HEADER.size)
    try:
        kind, _class = TAIL.unpack_from(message, offset)
        return Query(identifier, name, RecordType(kind))
    except (struct.error, ValueError) as error:
        raise WireError(str(error)) from None


def _decode_name(message: bytes, offset: int) -> tuple[str, int]:
    labels: list[str] = []
    while True:
        length = message[offset] if offset < len(message) else -1
        label = message[offset + 1 : offset + 1 + length]
        if length == 0:
            return ".".join(labels) + ".", offset + 1
        if not 0 < length <= LONGEST_LABEL or len(label) < length:
            raise WireError("bad label")
        labels.append(label.decode("utf-8", "replace"))
        offset += 1 + length


def encode_header(header: Header) -> bytes:
    """A header with no sections behind it, such as the shortest answer has."""
    flags = (QR if header.is_response else 0) | (TC if header.truncated else 0) | RD | header.rcode
    return HEADER.pack(header.identifier, flags, 0, 0, 0, 0)


def parse_header(message: bytes) -> Header | None:
    """The header of a message; None when it is too short to have one."""
    if len(message) < HEADER.size:
        return None
    identifier, flags, *_ = HEADER.unpack_from(message)
    return Header(identifier, bool(flags & QR), flags & 0x0F, bool(flags & TC))
