"""FULLNAT's local addresses on the host: bound, kept while in use, warned of when full."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from daemon_rig import config_of
from until import until

from keepalive_py.daemon import local_addresses as room
from keepalive_py.daemon import pressure, voice
from keepalive_py.daemon.local_addresses import LocalAddresses, wanted_of
from keepalive_py.daemon.pressure import PressureWatch, Sight, needed
from keepalive_py.net import Address
from keepalive_py.sessions.pressure import PORTS, Pressure, is_crowded
from keepalive_py.sessions.proc import Services
from keepalive_py.wire import rtnetlink as wire
from keepalive_py.wire.rtnetlink import InterfaceAddress, Link

ONE, TWO, THREE = (ip_address(f"10.200.0.{number}") for number in (1, 2, 3))
INDEX = {"lo": 1, "back": 2}


class Kernel:
    """One network namespace's addresses; it outlives the daemon."""

    marks = True

    def __init__(self) -> None:
        self.held: dict[tuple[Address, int], int] = {}

    def links(self) -> dict[str, Link]:
        return {name: Link(index, name, True, True, "") for name, index in INDEX.items()}

    def addresses(self) -> list[InterfaceAddress]:
        return [
            InterfaceAddress(address, address.max_prefixlen, index, proto)
            for (address, index), proto in self.held.items()
        ]

    def batch(
        self, requests: Sequence[tuple[object, tuple[Address, int]]], *, told: object = ()
    ) -> dict[int, int]:
        failed = {}
        for place, (encode, key) in enumerate(requests):
            if encode is wire.delete_address:
                self.held.pop(key, None)
                continue
            assert encode is wire.add_local_address
            if key in self.held:
                failed[place] = errno.EEXIST
            self.held.setdefault(key, wire.LOCAL_PROTO)
        return failed

    def close(self) -> None: ...

    def bound(self) -> set[Address]:
        return {address for (address, index), _ in self.held.items() if index == INDEX["back"]}


class Listener:
    def __init__(self, groups: int) -> None:
        self.ends = os.pipe2(os.O_NONBLOCK)

    def fileno(self) -> int:
        return self.ends[0]

    def drain(self) -> None:
        os.read(self.ends[0], 1)

    def close(self) -> None:
        for end in self.ends:
            os.close(end)


def config(*lines: str, method: str = "FNAT") -> Any:
    text = "\n".join(lines)
    return config_of(
        f"local_address_group pool {{\n{text}\n}}\nvirtual_server 10.0.0.1 80 {{\n lvs_sched rr\n"
        f" lvs_method {method}\n laddr_group_name pool\n protocol TCP\n real_server 10.2.0.1 80 {{\n }}\n}}\n"
    )


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(room, "Rtnetlink", lambda: made)
    monkeypatch.setattr(room, "Listener", Listener)
    monkeypatch.setattr(room, "RELEASE", 0.01)
    return made


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    said: list[str] = []
    monkeypatch.setattr(voice, "warn", said.append)
    return said


def daemon(directory: Path, used: Callable[[], set[Address]] = set) -> LocalAddresses:
    return LocalAddresses("ipvs", str(directory), in_use=used)


def test_only_lines_with_an_interface_of_a_fullnat_service_are_wanted() -> None:
    assert wanted_of(config("10.200.0.1-2 back", "10.200.0.3")) == {ONE: "back", TWO: "back"}
    assert wanted_of(config("10.200.0.1-2 back", method="NAT")) == {}


async def test_what_is_wanted_is_bound_and_all_of_it_goes_with_the_table(
    kernel: Kernel, tmp_path: Path
) -> None:
    ours = daemon(tmp_path)
    ours.prepare(config("10.200.0.1-2 back"))
    assert kernel.bound() == {ONE, TWO}
    ours.close(keep_table=False)
    assert kernel.held == {}


async def test_with_another_dataplane_nothing_is_bound(kernel: Kernel, tmp_path: Path) -> None:
    LocalAddresses("dpvs", str(tmp_path)).prepare(config("10.200.0.1-2 back"))
    assert kernel.held == {}


async def test_an_address_stays_while_a_session_has_it(kernel: Kernel, tmp_path: Path) -> None:
    used = {ONE}
    ours = daemon(tmp_path, lambda: set(used))
    ours.prepare(config("10.200.0.1-2 back"))
    after = config("10.200.0.3 back")
    ours.prepare(after)
    assert kernel.bound() == {ONE, TWO, THREE}, "nobody has looked yet"
    ours.release(after)
    await until(lambda: kernel.bound() == {ONE, THREE})
    assert ours.as_json()["leaving"] == {"10.200.0.1": "back"}
    used.clear()
    await until(lambda: kernel.bound() == {THREE})
    ours.close(keep_table=True)
    assert kernel.bound() == {THREE}


async def test_another_life_knows_what_is_ours(kernel: Kernel, tmp_path: Path) -> None:
    daemon(tmp_path).prepare(config("10.200.0.1-2 back"))
    ours = daemon(tmp_path)
    none = config("10.200.0.3")
    ours.prepare(none)
    ours.release(none)
    await until(lambda: not kernel.held)
    ours.close(keep_table=True)


async def test_what_somebody_took_away_comes_back(kernel: Kernel, tmp_path: Path, warned: list[str]) -> None:
    ours = daemon(tmp_path)
    ours.prepare(config("10.200.0.1 back"))
    kernel.held.clear()
    assert ours.work is not None
    ours.work.look()
    assert kernel.bound() == {ONE}
    assert warned == ["Local address 10.200.0.1 was taken off back by somebody else: put back"]
    ours.close(keep_table=False)


async def test_what_is_not_ours_is_used_and_left(kernel: Kernel, tmp_path: Path, warned: list[str]) -> None:
    kernel.held[ONE, INDEX["back"]] = 0
    ours = daemon(tmp_path)
    ours.prepare(config("10.200.0.1 back", "10.200.0.2 nowhere"))
    assert warned == [
        "local addresses: there is no interface nowhere",
        "Local address 10.200.0.1 is on back and not put there by us: it stays",
    ]
    ours.close(keep_table=False)
    assert kernel.bound() == {ONE}


def test_a_full_address_is_told_once_and_again_when_it_was_not_full_in_between(warned: list[str]) -> None:
    watch = PressureWatch(active=True)

    def seen(share: float) -> Sight:
        many = int(share * PORTS)
        return Sight((Pressure(ONE, 1, many, "TCP 10.2.0.1:80", many),) if share >= 0.7 else ())

    for share in (0.75, 0.85, 0.95, 0.75, 0.85, 0.5, 0.9):
        watch.take(seen(share))

    assert [line[:60] for line in warned] == [
        "Local address 10.200.0.1 has 85% of its ports to TCP 10.2.0.",
        "Local address 10.200.0.1 has 90% of its ports to TCP 10.2.0.",
    ]
    assert [each["address"] for each in watch.as_json()["full"]] == ["10.200.0.1"]


def test_a_full_conntrack_is_told(warned: list[str]) -> None:
    watch = PressureWatch(active=True)
    for entries in (1000, 59_000, 60_000):
        watch.take(Sight((), entries, 65_536))
    assert len(warned) == 1
    assert "nf_conntrack_max" in warned[0]


def test_a_setting_that_is_switched_off_is_told_when_a_service_needs_it(warned: list[str]) -> None:
    watch = PressureWatch(active=True)
    watch.needed = needed(config("10.200.0.1"))
    on = frozenset(pressure.SETTINGS)
    off = on - {"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"}
    for each in (off, on, off, off, on, off):
        watch.take(Sight(on=each))
    told = "net.ipv4.ip_forward was switched off: FULLNAT has no new connections"
    assert [line[: len(told)] for line in warned] == [told, told]
    assert needed(config("10.200.0.1", method="NAT")) == frozenset()


def test_connections_that_were_dropped_are_told(warned: list[str]) -> None:
    watch = PressureWatch(active=True)
    for dropped in (100, 100, 130, 130):
        watch.take(Sight(failures={"drop": dropped}))
    assert [line.split(":")[0] for line in warned] == ["conntrack dropped 30 new connections in 30 s"]


def test_sessions_are_only_looked_at_when_a_server_has_very_many() -> None:
    services = Services()
    services.connections[b"\x0a\x02\x00\x01", 80] = 1000
    assert not is_crowded(services)
    services.connections[b"\x0a\x02\x00\x02", 80] = 60_000
    assert is_crowded(services)


def test_the_hosts_own_connections_do_not_choose_an_ipv6_local_address() -> None:
    """Its preferred lifetime is over from the start, its valid one never ends."""
    made = wire.add_local_address(ip_address("fd00::1"), 2, sequence=1, flags=0)
    lifetimes = bytes.fromhex("1400060000000000ffffffff0000000000000000")

    assert lifetimes in made
    assert lifetimes not in wire.add_local_address(ONE, 2, sequence=1, flags=0)


async def test_a_look_that_we_stumble_over_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = asyncio.Queue[int]()

    def look() -> Sight:
        loop.call_soon_threadsafe(looks.put_nowait, 1)
        raise ValueError("a line of /proc that is none")

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(pressure, "EVERY", 0.0)
    before = voice.mistakes["local addresses' ports"]
    task = loop.create_task(PressureWatch(active=True, look=look).run())
    async with asyncio.timeout(30):
        await looks.get()
        await looks.get()
    task.cancel()
    assert voice.mistakes["local addresses' ports"] > before
