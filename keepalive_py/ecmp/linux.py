"""Which next hop Linux chooses. Pure.

The kernel hashes a flow's addresses (policy 0), or addresses, ports and protocol (policy 1), with
SipHash under a key made from net.ipv4.fib_multipath_hash_seed (Linux 6.11; while that is 0 the key is
random, and older kernels have nothing else: then the choice cannot be known). Both directions of a
flow hash alike: the smaller address and the smaller port come first. The upper 31 of the 32 bits
are compared with each next hop's bound, in the route's order.

This is IPv4's choice. IPv6 takes the flow label in and orders its next hops otherwise: for it the hash
here only serves to spread simulated flows.

What is hashed is laid out as `struct flow_keys` from its field `basic` on (include/net/flow_dissector.h).
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from typing import Final

from keepalive_py.ecmp.flow import Flow, NextHop
from keepalive_py.ecmp.siphash import siphash

LAYER3, LAYER4 = 0, 1
BITS: Final = 31
# n_proto, ip_proto, padding, then tags, vlan, cvlan and keyid, which are 0.
_BASIC: Final = struct.Struct("=HBx24x")
_PORTS: Final = struct.Struct(">HH4x")  # then the ICMP fields, which are 0


def flow_hash(flow: Flow, seed: int, policy: int = LAYER4) -> int:
    """31 bits."""
    value = siphash(_keys(flow, policy), struct.pack("<4I", *(seed,) * 4)) & 0xFFFFFFFF
    return (value or 1) >> 1


def _keys(flow: Flow, policy: int) -> bytes:
    ends = sorted((flow.source.packed, flow.destination.packed), key=_as_compared)
    protocol, ports = 0, (0, 0)
    if policy == LAYER4:
        protocol = int(flow.protocol)
        ports = _sorted_ports(flow.source_port, flow.destination_port)
    body = _BASIC.pack(0, protocol) + _PORTS.pack(*ports) + b"".join(ends)
    return body + bytes(-len(body) % 8)


def _as_compared(packed: bytes) -> int:
    """IPv4 addresses and ports are compared as numbers of this machine, IPv6 addresses by memcmp."""
    return int.from_bytes(packed, "big" if len(packed) == 16 else sys.byteorder)


def _sorted_ports(source: int, destination: int) -> tuple[int, int]:
    low, high = sorted((source, destination), key=lambda port: _as_compared(port.to_bytes(2, "big")))
    return low, high


def choose(hash31: int, hops: Sequence[NextHop]) -> NextHop:
    """The first whose upper bound is not below the hash."""
    total = sum(hop.weight for hop in hops)
    reached = 0
    for hop in hops:
        reached += hop.weight
        if hash31 <= _rounded(reached << BITS, total) - 1:
            return hop
    return hops[-1]


def _rounded(dividend: int, divisor: int) -> int:
    """As the kernel's DIV_ROUND_CLOSEST."""
    return (dividend + divisor // 2) // divisor
