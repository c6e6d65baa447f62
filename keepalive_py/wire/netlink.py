"""Netlink messages and attributes: bytes to values and back. Pure.

Standards: linux/netlink.h, linux/genetlink.h, RFC 3549 section 2.3. Integers are in the
machine's byte order; everything is aligned to four bytes.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

from keepalive_py.errors import WireError

HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
GENERIC: Final = struct.Struct("=BBH")  # command, version, reserved
ATTRIBUTE: Final = struct.Struct("=HH")  # length, type
ATTRIBUTE_TYPE: Final = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER

NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
NLM_F_REQUEST: Final = 0x01
NLM_F_ACK: Final = 0x04
NLM_F_DUMP_INTR: Final = 0x10
NLM_F_DUMP: Final = 0x300
NLM_F_CAPPED: Final = 0x100  # in an error: only the request's header follows, not all of it
NLM_F_ACK_TLVS: Final = 0x200  # in an error: attributes follow

NLMSGERR_ATTR_MSG: Final = 1
GENL_ID_CTRL: Final = 0x10
CTRL_CMD_GETFAMILY: Final = 3
CTRL_ATTR_FAMILY_ID: Final = 1
CTRL_ATTR_FAMILY_NAME: Final = 2
CTRL_ATTR_OPS: Final = 6
CTRL_ATTR_OP_ID: Final = 1

_ORDER: Final = sys.byteorder

Attributes = dict[int, memoryview]


class Message(NamedTuple):
    """`port`: whose request it answers, or, of news, whose request made them."""

    type: int
    flags: int
    sequence: int
    payload: memoryview
    port: int = 0


class Outcome(NamedTuple):
    """The kernel's answer to one request. `errno` 0 is success; `text` is the kernel's own
    explanation, which few commands give."""

    errno: int
    text: str


def aligned(length: int) -> int:
    return (length + 3) & ~3


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute with its padding. struct.error if `value` has more than 65,531 bytes."""
    length = len(value) + ATTRIBUTE.size
    return ATTRIBUTE.pack(length, kind) + value + bytes(-length & 3)


def request(
    family: int, command: int, payload: bytes, *, sequence: int, flags: int = 0, version: int = 1
) -> bytes:
    """A generic netlink request; `payload` is its attributes."""
    length = HEADER.size + GENERIC.size + len(payload)
    header = HEADER.pack(length, family, NLM_F_REQUEST | flags, sequence, 0)
    return header + GENERIC.pack(command, version, 0) + payload


def family_request(name: str, *, sequence: int) -> bytes:
    """Ask the controller for the number of the generic netlink family `name`."""
    payload = attribute(CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0")
    return request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, payload, sequence=sequence)


def messages(datagram: memoryview) -> Iterator[Message]:
    """The messages of one datagram. WireError when a length does not fit."""
    offset, end = 0, len(datagram)
    while offset < end:
        if offset + HEADER.size > end:
            raise WireError("netlink: a message header is cut short")
        length, kind, flags, sequence, port = HEADER.unpack_from(datagram, offset)
        if not HEADER.size <= length <= end - offset:
            raise WireError(f"netlink: message length {length} does not fit")
        yield Message(kind, flags, sequence, datagram[offset + HEADER.size : offset + length], port)
        offset += aligned(length)


def attributes(payload: memoryview) -> Attributes:
    """Attributes by number; of a repeated one the last. WireError when a length does not fit."""
    found: Attributes = {}
    offset, end = 0, len(payload)
    while offset < end:
        if offset + 4 > end:
            raise WireError("netlink: an attribute header is cut short")
        length, kind = ATTRIBUTE.unpack_from(payload, offset)
        if not 4 <= length <= end - offset:
            raise WireError(f"netlink: attribute length {length} does not fit")
        found[kind & ATTRIBUTE_TYPE] = payload[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def generic_attributes(payload: memoryview) -> Attributes:
    """The attributes of a generic netlink message, behind its own header."""
    if len(payload) < GENERIC.size:
        raise WireError("netlink: a generic header is cut short")
    return attributes(payload[GENERIC.size :])


def family_commands(operations: memoryview) -> set[int]:
    """The commands in a family's CTRL_ATTR_OPS: a list of nested attributes, numbered from 1."""
    entries = (attributes(entry) for entry in attributes(operations).values())
    return {number(entry[CTRL_ATTR_OP_ID]) for entry in entries if CTRL_ATTR_OP_ID in entry}


def outcome(message: Message) -> Outcome:
    """The content of an NLMSG_ERROR or NLMSG_DONE message, with extended acknowledgement."""
    payload = message.payload
    if len(payload) < 4:
        # A dump may end with a bare NLMSG_DONE.
        if message.type == NLMSG_DONE:
            return Outcome(0, "")
        raise WireError("netlink: an error message is cut short")
    errno = -int.from_bytes(payload[:4], _ORDER, signed=True)
    if not message.flags & NLM_F_ACK_TLVS:
        return Outcome(errno, "")
    text = attributes(payload[_echo_end(message) :]).get(NLMSGERR_ATTR_MSG, b"")
    return Outcome(errno, bytes(text).rstrip(b"\0").decode(errors="replace"))


def _echo_end(message: Message) -> int:
    """Where the echo of the request, which stands before the attributes, ends."""
    if message.type == NLMSG_DONE:
        return 4
    if len(message.payload) < 4 + HEADER.size:
        raise WireError("netlink: an error message is cut short")
    length = HEADER.size
    if not message.flags & NLM_F_CAPPED:
        length = int.from_bytes(message.payload[4:8], _ORDER)
    return 4 + aligned(length)


def number(value: memoryview) -> int:
    """An unsigned integer of one, two, four or eight bytes in the machine's order."""
    if len(value) not in (1, 2, 4, 8):
        raise WireError(f"netlink: an integer of {len(value)} bytes")
    return int.from_bytes(value, _ORDER)


def text(value: memoryview) -> str:
    """A string, up to its first NUL. Undecodable bytes are replaced."""
    return bytes(value).split(b"\0", 1)[0].decode(errors="replace")
