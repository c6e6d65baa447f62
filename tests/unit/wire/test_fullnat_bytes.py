"""A FULLNAT kernel's IPVS messages, byte for byte, as one was seen to send and to take them
(Linux 3.10 with the FULLNAT patches, little-endian). What stands in a message is written out, an
attribute a line: length, number, value.
"""

from __future__ import annotations

import pytest

from keepalive_py.config.model import Forwarding, SchedulerFlag
from keepalive_py.net import Endpoint, Family, Protocol, parse_address
from keepalive_py.plan.table import Destination, Service, ServiceKey, ServiceOptions
from keepalive_py.wire import ipvs, netlink
from keepalive_py.wire.ipvs import FULLNAT, MAINLINE, TRANSLATED, Flavour

V4 = ServiceKey(Family.INET, Protocol.TCP, Endpoint(parse_address("192.0.2.1"), 80))
V6 = ServiceKey(Family.INET6, Protocol.UDP, Endpoint(parse_address("2001:db8::1"), 53))
MARK = ServiceKey(Family.INET, fwmark=77)
SERVER = Destination(Endpoint(parse_address("10.1.0.10"), 8080), Forwarding.FNAT, 7)


def dumped(*attributes: str) -> memoryview:
    """The payload of a message that the kernel sends: its generic header first."""
    return memoryview(bytes(4) + bytes.fromhex("".join(attributes)))


def nest(kind: str, *attributes: str) -> str:
    inside = "".join(attributes)
    return (4 + len(inside) // 2).to_bytes(2, "little").hex() + kind + inside


KEY_V4 = (
    "3000 0100"
    "0600 0100 0200 0000"  # family
    "0600 0200 0600 0000"  # protocol
    "1400 0300 c0000201 000000000000000000000000"
    "0600 0400 0050 0000"  # port, network order
)
KEY_V6 = (
    "3000 0100"
    "0600 0100 0a00 0000"
    "0600 0200 1100 0000"
    "1400 0300 20010db8 000000000000000000000001"
    "0600 0400 0035 0000"
)
KEY_MARK = "1400 01000600 0100 0200 00000800 0500 4d000000"
LOCAL_V4 = "1800 07001400 0100 0a000002 000000000000000000000000"
LOCAL_V6 = "1800 07001400 0100 fd030000 000000000000000000000007"


@pytest.mark.parametrize(
    ("key", "address", "expected"),
    [
        (V4, "10.0.0.2", KEY_V4 + LOCAL_V4),
        (V6, "fd03::7", KEY_V6 + LOCAL_V6),
        (MARK, "10.0.0.2", KEY_MARK + LOCAL_V4),
    ],
    ids=["v4", "v6", "mark"],
)
def test_a_local_address_follows_its_service(key: ServiceKey, address: str, expected: str) -> None:
    """NEW_LADDR (18) and DEL_LADDR (19)."""
    encoded = ipvs.encode_key(key) + ipvs.encode_local_address(parse_address(address))

    assert encoded == bytes.fromhex(expected)
    assert (ipvs.Command.NEW_LOCAL, ipvs.Command.DEL_LOCAL, ipvs.Command.GET_LOCAL) == (18, 19, 20)


def test_a_dump_of_local_addresses_tells_their_use() -> None:
    answer = dumped(
        nest(
            "0700",
            "1400 0100 0a000002 000000000000000000000000".replace(" ", ""),
            "0c00 0200 0500000000000000".replace(" ", ""),
            "0800 0300 07000000".replace(" ", ""),
        )
    )

    assert ipvs.decode_local_address(answer, Family.INET) == (parse_address("10.0.0.2"), 5, 7)


def test_a_fullnat_server_is_method_5() -> None:
    """The family's attribute is mainline's (11); such a kernel takes the message and ignores it."""
    expected = (
        "4800 0200"
        "1400 0100 0a01000a 000000000000000000000000"
        "0600 0200 1f90 0000"  # port, network order
        "0600 0b00 0200 0000"
        "0800 0300 05000000"  # FULLNAT
        "0800 0400 07000000"  # weight
        "0800 0500 00000000"
        "0800 0600 00000000"
    )

    assert ipvs.encode_destination(SERVER, FULLNAT) == bytes.fromhex(expected)


def test_on_a_stock_kernel_it_is_nat_there() -> None:
    fullnat, stock = ipvs.encode_destination(SERVER, FULLNAT), ipvs.encode_destination(SERVER, TRANSLATED)

    assert stock == fullnat.replace(bytes.fromhex("0800030005000000"), bytes.fromhex("0800030000000000"))
    read = ipvs.decode_destination(memoryview(bytes(4) + stock), Family.INET, TRANSLATED)
    assert read.forwarding is Forwarding.NAT


def test_a_dumped_server_has_wide_counters_where_mainline_has_narrow_ones() -> None:
    words = "".join(f"0c000{kind}000{kind}00000000000000" for kind in range(1, 6))
    words += "".join(f"0800{kind:02x}0000000000" for kind in range(6, 11))
    answer = dumped(
        nest(
            "0200",
            "140001000a01000a000000000000000000000000",
            "060002001f900000",
            "0800030005000000",
            *(f"08000{kind}000{kind}000000" for kind in range(4, 10)),
            nest("0a00", words),
        )
    )

    assert ipvs.decode_destination(answer, Family.INET, FULLNAT) == Destination(
        SERVER.endpoint, Forwarding.FNAT, 4, 5, 6
    )
    traffic = ipvs.decode_destination_traffic(answer)
    assert traffic.traffic == (1, 2, 3, 4, 5)
    assert (traffic.active, traffic.inactive, traffic.persistent) == (7, 8, 9)


SERVICE = (
    "0600010002000000",
    "0600020006000000",
    "14000300c0000201000000000000000000000000",
    "0600040000500000",
)
SETTINGS = ("0700060072720000", "0c000700{flags}ffffffff", "0800080000000000", "08000900ffffffff")


@pytest.mark.parametrize(
    ("flags", "options"),
    [("02000000", ServiceOptions()), ("02800000", ServiceOptions(syn_proxy=True))],
    ids=["plain", "SYN proxy"],
)
def test_a_dumped_service_has_the_attributes_1_to_10_only(flags: str, options: ServiceOptions) -> None:
    """Flag 2 (hashed) is the kernel's own; attribute 11 is never reported."""
    settings = "".join(SETTINGS).format(flags=flags)

    found = ipvs.decode_service(dumped(nest("0100", *SERVICE, settings)), FULLNAT)

    assert found == Service(V4, "rr", SchedulerFlag.NONE, options=options)


def test_the_syn_proxy_is_a_flag_of_the_service() -> None:
    encoded = ipvs.encode_service(Service(V4, "rr", options=ServiceOptions(syn_proxy=True)), FULLNAT)

    settings = "0c00070000800000ffffffff" + "0800080000000000" + "08000900ffffffff" + "0700060072720000"
    assert encoded == bytes.fromhex(nest("0100", *SERVICE, settings))


def test_the_version_of_such_a_kernel() -> None:
    answer = dumped("0800010001020100", "0800020000004000")

    assert ipvs.decode_version(answer) == ((1, 2, 1), 4194304)


def family(*commands: int) -> memoryview:
    """The answer to CTRL_CMD_GETFAMILY: number, name, version, header, highest attribute, and the
    commands, each with its flags."""
    listed = [
        nest(place.to_bytes(2, "little").hex(), f"08000100{command:02x}000000", "080002000b000000")
        for place, command in enumerate(commands, 1)
    ]
    return dumped(
        "0600010015000000", "090002004950565300000000", "0800030001000000", "0800040000000000",
        "0800050014000000", nest("0600", *listed),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("commands", "flavour"),
    [
        ([*range(1, 14), *range(15, 21)], FULLNAT),
        ([*range(1, 14), *range(15, 18)], MAINLINE),
        ([*range(1, 14), *range(15, 19)], MAINLINE),
    ],
    ids=["FULLNAT", "mainline", "one command more"],
)
def test_the_commands_that_a_kernel_lists_tell_what_it_is(commands: list[int], flavour: Flavour) -> None:
    found = netlink.generic_attributes(family(*commands))

    assert netlink.number(found[netlink.CTRL_ATTR_FAMILY_ID]) == 0x15
    listed = netlink.family_commands(found[netlink.CTRL_ATTR_OPS])
    assert listed == set(commands)
    assert ipvs.flavour_of(listed) is flavour
