"""This host's addresses, over rtnetlink."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from keepalive_py.daemon.addresses import AddressWatch, address_in, messages, present_addresses
from keepalive_py.dataplane.namespace import run_in


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def ifaddr(*attributes: bytes) -> bytes:
    return struct.pack("=BBBBi", socket.AF_INET, 32, 0, 0, 1) + b"".join(attributes)


def test_loopback_is_there() -> None:
    assert ip_address("127.0.0.1") in present_addresses()


def test_the_local_end_of_a_point_to_point_link_counts() -> None:
    body = ifaddr(attribute(1, b"\x0a\0\0\2"), attribute(2, b"\x0a\0\0\1"))
    assert address_in(body) == ip_address("10.0.0.1")


def test_an_ipv6_address_has_only_one_attribute() -> None:
    assert address_in(ifaddr(attribute(1, b"\xfd" + b"\0" * 14 + b"\1"))) == ip_address("fd00::1")


@pytest.mark.parametrize(
    "body", [b"", ifaddr(), ifaddr(b"\0\0\0\0"), ifaddr(attribute(1, b"\1\2")), ifaddr(b"\xff\xff\1\0")]
)
def test_a_body_without_an_address(body: bytes) -> None:
    assert address_in(body) is None


def test_a_message_with_an_impossible_length_ends_the_reading() -> None:
    assert list(messages(struct.pack("=IHHII", 3, 20, 0, 0, 0))) == []


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"keepalive-test-{os.getpid()}"
    if os.geteuid() != 0 or subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        pytest.skip("network namespaces need root")
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


def add_address(namespace: str, address: str) -> None:
    subprocess.run(["ip", "-n", namespace, "addr", "add", address, "dev", "lo"], check=True)


async def test_a_change_is_told(namespace: str) -> None:
    told: asyncio.Queue[frozenset[object]] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    watch = run_in(namespace, lambda: AddressWatch(told.put_nowait, loop))
    read = watch.read
    watch.read = lambda: run_in(namespace, read)  # type: ignore[method-assign]
    add_address(namespace, "192.0.2.77/32")
    assert ip_address("192.0.2.77") in await asyncio.wait_for(told.get(), 10)
    watch.close()
