"""The TCP option that carries a client's address behind FULLNAT: bytes <-> values. Pure.

A balancer that hides the client's address puts it into a TCP option; a module on the real
server (`toa`, `ttm`) reads it there. Kind, length and layout differ between them:

| layout    | kind | bytes after kind and length               | read by                          |
|-----------|-----:|-------------------------------------------|----------------------------------|
| TOA4      |  254 | port, IPv4 address                        | toa of Alibaba, DPVS, Huawei; ttm |
| TOA6      |  254 | port, IPv6 address                        | toa of DPVS                      |
| UCLOUD    |  200 | port, IPv4 address                        | toa of UCloud                    |
| TTM6      |  254 | port, a magic number, IPv6 address        | declared by ttm (baidu/ttm), not read |

Numbers are in network order. RFC 9293 section 3.2 has the form of TCP options, RFC 4727
sets kinds 253 and 254 aside for experiments.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from keepalive_py.errors import WireError
from keepalive_py.net import Address, Endpoint

END_OF_OPTIONS, NO_OPERATION = 0, 1
EXPERIMENT: Final = 0xF989  # behind kind 254 this port is the mark of TCP Fast Open (RFC 7413)
NETWORK4: Final = IPv4Address("198.18.0.0")  # RFC 2544: for tests, on no network
NETWORK6: Final = IPv6Address("2001:db8::")  # RFC 3849: for documentation


@dataclass(frozen=True, slots=True)
class Layout:
    """How one module wants the option. `magic` stands between port and address (None: nothing does)."""

    name: str
    kind: int
    version: int  # of the address
    magic: int | None = None

    @property
    def length(self) -> int:
        """Of the whole option, in bytes."""
        return 4 + (0 if self.magic is None else 4) + (4 if self.version == 4 else 16)


class Layouts(enum.Enum):
    """The layouts that are known; more can be made with another kind."""

    TOA4 = Layout("toa4", 254, 4)
    TOA6 = Layout("toa6", 254, 6)
    UCLOUD = Layout("ucloud", 200, 4)
    TTM6 = Layout("ttm6", 254, 6, magic=0)  # its number is not public


def encode(layout: Layout, client: Endpoint) -> bytes:
    """The option for this client. WireError when the layout is for the other family."""
    if client.address.version != layout.version:
        raise WireError(f"layout {layout.name} cannot carry {client}")
    head = struct.pack(">BBH", layout.kind, layout.length, client.port)
    magic = b"" if layout.magic is None else struct.pack(">I", layout.magic)
    return head + magic + client.address.packed


def decode(layout: Layout, options: bytes) -> Endpoint | None:
    """The client in a segment's options; None when the option is not among them."""
    for kind, payload in options_of(options):
        if kind == layout.kind and len(payload) == layout.length - 2:
            return _client(layout, payload)
    return None


def _client(layout: Layout, payload: bytes) -> Endpoint | None:
    port = struct.unpack_from(">H", payload)[0]
    rest = payload[2:]
    if layout.magic is not None:
        if struct.unpack_from(">I", rest)[0] != layout.magic:
            return None
        rest = rest[4:]
    address: Address = IPv4Address(rest) if layout.version == 4 else IPv6Address(rest)
    return Endpoint(address, port)


def options_of(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, payload) of each option; the list ends at the first that is cut short."""
    offset = 0
    while offset < len(raw) and raw[offset] != END_OF_OPTIONS:
        if raw[offset] == NO_OPERATION:
            offset += 1
            continue
        if offset + 1 >= len(raw) or not 2 <= raw[offset + 1] <= len(raw) - offset:
            return
        yield raw[offset], raw[offset + 2 : offset + raw[offset + 1]]
        offset += raw[offset + 1]


def pad(options: bytes) -> bytes:
    """Options to a multiple of four bytes, as a TCP header needs. WireError over 40 bytes."""
    padded = options + bytes([NO_OPERATION]) * (-len(options) % 4)
    if len(padded) > 40:
        raise WireError(f"{len(padded)} bytes of TCP options; 40 is the most")
    return padded


def client_for_tests(version: int, number: int) -> Endpoint:
    """A client that cannot be, another one for each number (128 random bits)."""
    port = 1024 + number % 64512
    address: Address
    if version == 4:
        address = NETWORK4 + 1 + (number >> 16) % ((1 << 17) - 2)
    else:
        address = NETWORK6 + 1 + (number >> 16) % ((1 << 96) - 2)
    return Endpoint(address, port if port != EXPERIMENT else port - 1)
