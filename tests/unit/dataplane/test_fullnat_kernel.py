"""FULLNAT kernels: their IPVS messages, byte for byte, and a stand-in that answers as one did.

The stand-in holds what a 3.10 kernel with the FULLNAT patches was seen to do: local
addresses are commands 18 to 20 with a nested attribute 7, adding one twice is EEXIST, to an
unknown service ESRCH, removing an unknown one ENOENT, and forwarding method 5 is taken.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Sequence
from ipaddress import ip_address

import pytest

from keepalive_py.config.model import Forwarding
from keepalive_py.dataplane import fullnat_snat, ipvs
from keepalive_py.dataplane.fullnat_snat import FullnatSnatDataplane
from keepalive_py.net import Endpoint, Family, Protocol
from keepalive_py.plan.steps import (
    AddDestination,
    AddLocalAddress,
    AddService,
    DeleteLocalAddress,
    DeleteService,
    EditDestination,
    Step,
)
from keepalive_py.plan.table import Destination, Service, ServiceKey
from keepalive_py.wire import ipvs as wire
from keepalive_py.wire.ipvs import FULLNAT, MAINLINE, Command, Flavour
from keepalive_py.wire.netlink import Outcome, attribute, attributes

KEY = ServiceKey(Family.INET, Protocol.TCP, Endpoint(ip_address("192.0.2.1"), 80))
LOCAL = ip_address("10.0.0.2")
SERVER = Destination(Endpoint(ip_address("10.1.0.10"), 8080), Forwarding.FNAT, 3)
EVERY = set(range(1, 21)) - {14}


class FullnatKernel:
    """Keeps what it is sent, by the bytes of a service's key; answers with the same bytes."""

    commands = EVERY

    def __init__(self, *_: object, **__: object) -> None:
        self.services: dict[bytes, bytes] = {}
        self.destinations: dict[bytes, dict[bytes, bytes]] = {}
        self.locals: dict[bytes, list[bytes]] = {}

    def bind_family(self, name: str) -> bool:
        return name == "IPVS"

    def close(self) -> None: ...

    def ask(self, command: int, payload: bytes = b"") -> memoryview:
        assert command == Command.GET_INFO

        return memoryview(
            bytes(4) + attribute(1, struct.pack("=I", 0x010201)) + attribute(2, struct.pack("=I", 4194304))
        )

    def batch(self, requests: Sequence[tuple[int, bytes]]) -> dict[int, Outcome]:
        found = {at: self.run(*request) for at, request in enumerate(requests)}
        return {at: outcome for at, outcome in found.items() if outcome.errno}

    def run(self, command: int, payload: bytes = b"") -> Outcome:
        return Outcome(self._do(command, attributes(memoryview(payload))), "")

    def _do(self, command: int, found: dict[int, memoryview]) -> int:
        key = _identity(found[1])
        if command == Command.NEW_SERVICE:
            if key in self.services:
                return errno.EEXIST
            self.services[key] = bytes(found[1])
            self.destinations[key], self.locals[key] = {}, []
            return 0
        if key not in self.services:
            return errno.ESRCH
        if command == Command.DEL_SERVICE:
            del self.services[key], self.destinations[key], self.locals[key]
            return 0
        if command in (Command.NEW_LOCAL, Command.DEL_LOCAL):
            return self._local(command, key, found)
        return self._server(command, key, found)

    def _local(self, command: int, key: bytes, found: dict[int, memoryview]) -> int:
        if 7 not in found:
            return errno.EINVAL
        address, held = bytes(attributes(found[7])[1]), self.locals[key]
        if command == Command.NEW_LOCAL:
            if address in held:
                return errno.EEXIST
            held.append(address)
        elif address not in held:
            return errno.ENOENT
        else:
            held.remove(address)
        return 0

    def _server(self, command: int, key: bytes, found: dict[int, memoryview]) -> int:
        parts = attributes(found[2])
        identity = bytes(parts[1]) + bytes(parts[2])
        held = self.destinations[key]
        if command == Command.NEW_DEST and identity in held:
            return errno.EEXIST
        if command == Command.SET_DEST and identity not in held:
            return errno.ENOENT
        # It reports no attribute that came to mainline later.
        held[identity] = b"".join(attribute(kind, bytes(value)) for kind, value in parts.items() if kind <= 6)
        return 0

    def dump(self, command: int, payload: bytes = b"") -> Iterator[memoryview]:
        if command == Command.GET_SERVICE:
            yield from (_answer(attribute(1, one)) for one in self.services.values())
            return
        key = _identity(attributes(memoryview(payload))[1])
        if command == Command.GET_DEST:
            yield from (_answer(attribute(2, one)) for one in reversed(self.destinations[key].values()))
        else:
            assert command == Command.GET_LOCAL
            yield from (_answer(attribute(7, _used(one))) for one in self.locals[key])


def _identity(service: memoryview) -> bytes:
    found = attributes(service)
    return b"".join(bytes(found[kind]) for kind in (1, 2, 3, 4, 5) if kind in found)


def _used(address: bytes) -> bytes:
    return attribute(1, address) + attribute(2, struct.pack("=Q", 5)) + attribute(3, struct.pack("=I", 7))


def _answer(payload: bytes) -> memoryview:
    return memoryview(bytes(4) + payload)


@pytest.fixture
async def plane(monkeypatch: pytest.MonkeyPatch) -> FullnatSnatDataplane:
    """The dataplane `ipvs` on such a kernel; nf_tables must not be touched."""

    def forbidden(*_: object) -> None:
        raise AssertionError("nf_tables was opened")

    monkeypatch.setattr(ipvs, "GenericNetlink", FullnatKernel)
    monkeypatch.setattr(fullnat_snat, "SourceTable", forbidden)
    made = FullnatSnatDataplane()
    await made.open()
    return made


def test_a_local_address_is_encoded_as_the_patched_header_has_it() -> None:
    assert wire.encode_local_address(LOCAL).hex() == (
        "1800" "0700" "1400" "0100" "0a000002" + 12 * "00"
    )  # fmt: skip


def test_a_local_address_comes_back_with_its_use() -> None:
    answer = _answer(attribute(7, _used(LOCAL.packed.ljust(16, b"\0"))))

    assert wire.decode_local_address(answer, Family.INET) == wire.LocalAddress(LOCAL, 5, 7)


def test_the_service_is_encoded_as_such_a_kernel_dumps_it() -> None:
    found = attributes(attributes(memoryview(wire.encode_service(Service(KEY, "rr"), FULLNAT)))[1])

    assert {kind: bytes(value).hex() for kind, value in found.items()} == {
        1: "0200", 2: "0600", 3: "c0000201" + 24 * "0", 4: "0050", 6: b"rr\0".hex(),
        7: "00000000ffffffff", 8: "00000000", 9: "ffffffff",
    }  # fmt: skip


def test_fullnat_is_forwarding_method_5() -> None:
    found = attributes(attributes(memoryview(wire.encode_destination(SERVER, FULLNAT)))[2])

    assert bytes(found[3]) == struct.pack("=I", 5)


@pytest.mark.parametrize(
    ("commands", "flavour"),
    [(EVERY, FULLNAT), (set(range(1, 18)), MAINLINE), (set(), MAINLINE), ({18}, MAINLINE)],
)
def test_the_flavour_is_known_by_the_commands_listed(commands: set[int], flavour: Flavour) -> None:
    assert wire.flavour_of(commands) is flavour


async def test_a_service_with_local_addresses_is_read_back(plane: FullnatSnatDataplane) -> None:
    steps: list[Step] = [
        AddService(Service(KEY, "rr")),
        AddLocalAddress(KEY, LOCAL),
        AddDestination(KEY, SERVER),
    ]

    assert await plane.apply(steps) == []

    entry = (await plane.read())[KEY]
    assert entry.local_addresses == (LOCAL,)
    assert list(entry.destinations.values()) == [SERVER]


async def test_what_is_there_already_is_no_refusal(plane: FullnatSnatDataplane) -> None:
    await plane.apply([AddService(Service(KEY, "rr")), AddLocalAddress(KEY, LOCAL)])

    again = await plane.apply([AddLocalAddress(KEY, LOCAL), EditDestination(KEY, SERVER)])
    gone = await plane.apply([DeleteLocalAddress(KEY, LOCAL), DeleteLocalAddress(KEY, LOCAL)])

    assert (again, gone) == ([], [])
    assert (await plane.read())[KEY].local_addresses == ()


async def test_a_deleted_service_takes_its_local_addresses_along(plane: FullnatSnatDataplane) -> None:
    await plane.apply([AddService(Service(KEY, "rr")), AddLocalAddress(KEY, LOCAL)])

    assert await plane.apply([DeleteService(KEY)]) == []
    assert await plane.read() == {}


async def test_a_mainline_kernel_refuses_politely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ipvs, "GenericNetlink", type("Mainline", (FullnatKernel,), {"commands": set(range(1, 18))})
    )
    plane = ipvs.IpvsDataplane()
    await plane.open()

    refused = await plane.apply(
        [AddService(Service(KEY, "rr")), AddLocalAddress(KEY, LOCAL), AddDestination(KEY, SERVER)]
    )

    assert [(type(one.step), one.errno) for one in refused] == [
        (AddLocalAddress, errno.EOPNOTSUPP), (AddDestination, errno.EOPNOTSUPP),
    ]  # fmt: skip
    assert all(one.hint for one in refused)
