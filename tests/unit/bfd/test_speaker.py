"""The speaker over real UDP on loopback addresses, with a virtual clock and a hand-driven loop."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from keepalive_py.bfd import Speaker, SpeakerThread
from keepalive_py.config.bfd_instance import BfdInstance
from keepalive_py.health.verdict import Failed, Passed, Reason, Unknown, Verdict
from keepalive_py.wire.bfd import Control, State, encode


class Timer:
    def __init__(self, due: float, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.due, self.callback, self.args, self.cancelled = due, callback, args, False

    def cancel(self) -> None:
        self.cancelled = True


class HandDriven:
    """A loop for any number of speakers whose time passes only in `run`."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []
        self.readers: dict[Any, Callable[[], None]] = {}

    def clock(self) -> float:
        return self.now

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:
        self.readers[fd] = lambda: callback(*args)

    def remove_reader(self, fd: Any) -> None:
        del self.readers[fd]

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Timer:
        timer = Timer(self.now + delay, callback, args)
        self.timers.append(timer)
        return timer

    def run(self, seconds: float, *, deaf: bool = False) -> None:
        """Let time pass. `deaf`: nobody reads the sockets meanwhile."""
        end = self.now + seconds
        while (timer := min(self.timers, key=lambda t: t.due, default=None)) and timer.due <= end:
            self.timers.remove(timer)
            if not timer.cancelled:
                self.now = max(self.now, timer.due)
                timer.callback(*timer.args)
            if not deaf:
                self.read()
        self.now = end

    def read(self) -> None:
        for callback in list(self.readers.values()):
            callback()


class End:
    """A speaker on one address with one instance, and what it reported."""

    def __init__(self, loop: HandDriven, here: str, there: str, **more: Any) -> None:
        self.instance = BfdInstance(name="peer", neighbor=ip_address(there), source=ip_address(here), **more)
        self.reports: list[Verdict] = []
        self.speaker = Speaker(
            lambda _name, verdict: self.reports.append(verdict), clock=loop.clock, rng=lambda: 0.5
        )
        self.speaker.attach(loop)
        self.speaker.apply({"peer": self.instance})


UP = Passed("")
LOST = Failed(Reason.PEER_DOWN, "control detection time expired")
NO_SESSION = Failed(Reason.PEER_DOWN, "no session yet")
TOLD = Failed(Reason.PEER_DOWN, "neighbor signaled session down")


@pytest.fixture
def loop() -> HandDriven:
    return HandDriven()


@pytest.fixture
def make(loop: HandDriven) -> Iterator[Callable[..., End]]:
    made: list[End] = []

    def _make(here: str, there: str, **more: Any) -> End:
        made.append(End(loop, here, there, **more))
        return made[-1]

    yield _make
    for end in made:
        end.speaker.close()


Make = Callable[..., End]


@pytest.mark.parametrize("multihop", [False, True])
def test_two_speakers_come_up_and_say_so_once(loop: HandDriven, make: Make, multihop: bool) -> None:
    ends = (
        make("127.0.7.1", "127.0.7.2", multihop=multihop),
        make("127.0.7.2", "127.0.7.1", multihop=multihop),
    )
    loop.run(10.0)
    assert [end.reports for end in ends] == [[UP], [UP]]
    assert ends[0].speaker.verdict("peer") == UP


def test_ipv6_works_as_well(loop: HandDriven) -> None:
    # ::1 is the only IPv6 address that every host has, so the neighbour is ourselves.
    end = End(loop, "::1", "::1")
    loop.run(5.0)
    voice = end.speaker.voices["peer"]
    end.speaker.close()
    assert voice.received > 0
    assert voice.discarded == 0


def test_a_neighbour_that_ends_says_so(loop: HandDriven, make: Make) -> None:
    end, other = make("127.0.7.1", "127.0.7.2"), make("127.0.7.2", "127.0.7.1")
    loop.run(5.0)
    other.speaker.close()
    loop.read()
    assert end.reports == [UP, TOLD]


def test_a_neighbour_that_dies_is_noticed_in_the_detection_time(loop: HandDriven, make: Make) -> None:
    intervals = {"min_tx": 0.1, "min_rx": 0.1, "multiplier": 3}
    end, other = make("127.0.7.1", "127.0.7.2", **intervals), make("127.0.7.2", "127.0.7.1", **intervals)
    loop.run(5.0)
    voice = other.speaker.voices["peer"]
    assert voice.socket is not None
    voice.socket.close()
    loop.run(0.19)
    assert end.reports == [UP]
    loop.run(0.12)
    assert end.reports == [UP, LOST]


def test_packets_that_waited_while_we_were_busy_keep_the_session(loop: HandDriven, make: Make) -> None:
    end, _other = make("127.0.7.1", "127.0.7.2"), make("127.0.7.2", "127.0.7.1")
    loop.run(5.0)
    mine = [timer for timer in loop.timers if timer.args == (end.speaker.voices["peer"],)]
    for timer in mine:
        loop.timers.remove(timer)
    loop.run(0.040, deaf=True)  # the other end goes on sending
    loop.now += 1.0  # and now we are far behind
    for timer in mine:
        timer.callback(*timer.args)
    assert end.reports == [UP]


def test_a_new_session_is_given_time_before_it_is_down(loop: HandDriven, make: Make) -> None:
    end = make("127.0.7.1", "127.0.7.2")
    loop.run(2.9)
    assert end.reports == []
    loop.run(0.2)
    assert end.reports == [NO_SESSION]


def test_a_session_that_comes_up_late_is_reported_as_up(loop: HandDriven, make: Make) -> None:
    end = make("127.0.7.1", "127.0.7.2")
    loop.run(10.0)
    make("127.0.7.2", "127.0.7.1")
    loop.run(5.0)
    assert end.reports == [NO_SESSION, UP]


def send_from(address: str, packet: Control, *, ttl: int = 255) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        sock.bind((address, 0))
        sock.sendto(encode(packet), ("127.0.7.1", 3784))


INIT = Control(state=State.DOWN, my_discriminator=77)


@pytest.mark.parametrize(
    ("ttl", "max_hops", "heard"),
    [(255, 0, True), (254, 0, False), (250, 5, True), (249, 5, False), (1, -1, True), (1, 255, True)],
)
def test_packets_over_too_many_routers_are_passed_over(
    loop: HandDriven, make: Make, ttl: int, max_hops: int, heard: bool
) -> None:
    end = make("127.0.7.1", "127.0.7.2", max_hops=max_hops)
    send_from("127.0.7.2", INIT, ttl=ttl)
    loop.read()
    voice = end.speaker.voices["peer"]
    assert (voice.received, voice.discarded) == ((1, 0) if heard else (0, 1))
    assert voice.session.state is (State.INIT if heard else State.DOWN)


def test_packets_of_strangers_and_no_packets_at_all_are_passed_over(loop: HandDriven, make: Make) -> None:
    end = make("127.0.7.1", "127.0.7.2")
    send_from("127.0.7.3", INIT)
    send_from("127.0.7.2", dataclasses.replace(INIT, state=State.UP, your_discriminator=12345))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"not BFD", ("127.0.7.1", 3784))
    loop.read()
    assert end.speaker.voices["peer"].session.state is State.DOWN
    assert end.speaker.discarded == {"no session": 2, "shorter than a control packet": 1}


def test_packets_leave_as_the_rfc_wants_them(loop: HandDriven, make: Make) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
        sock.bind(("127.0.7.2", 3784))
        sock.settimeout(5.0)
        make("127.0.7.1", "127.0.7.2")
        loop.run(0.0)
        _, ancillary, _, sender = sock.recvmsg(100, 100)
    assert sender[0] == "127.0.7.1"
    assert sender[1] >= 49152
    assert ancillary[0][2][0] == 255


# Reload.


def test_other_intervals_keep_the_session(loop: HandDriven, make: Make) -> None:
    end, other = make("127.0.7.1", "127.0.7.2"), make("127.0.7.2", "127.0.7.1")
    loop.run(5.0)
    changed = dataclasses.replace(end.instance, min_tx=0.2, multiplier=9)
    end.speaker.apply({"peer": changed})
    loop.run(5.0)
    assert [end.reports, other.reports] == [[UP], [UP]]
    remote = other.speaker.voices["peer"].session.remote
    assert (remote.desired_min_tx, remote.multiplier) == (200_000, 9)


def test_another_neighbour_is_another_session(loop: HandDriven, make: Make) -> None:
    end, other = make("127.0.7.1", "127.0.7.2"), make("127.0.7.2", "127.0.7.1")
    loop.run(5.0)
    end.speaker.apply({"peer": dataclasses.replace(end.instance, neighbor=ip_address("127.0.7.3"))})
    loop.run(5.0)
    assert end.reports == [UP, NO_SESSION]
    assert other.reports == [UP, TOLD]


def test_two_sessions_with_one_neighbour_from_two_addresses_are_two(loop: HandDriven, make: Make) -> None:
    ours = make("127.0.5.1", "127.0.5.9")
    second = BfdInstance(name="second", neighbor=ip_address("127.0.5.9"), source=ip_address("127.0.5.2"))
    ours.speaker.apply({"peer": ours.instance, "second": second})
    neighbour = make("127.0.5.9", "127.0.5.1")
    loop.run(10)
    assert ours.speaker.voices["peer"].session.up
    assert not ours.speaker.voices["second"].session.up
    assert neighbour.reports == [UP]


def test_an_instance_that_is_gone_leaves_nothing_behind(loop: HandDriven, make: Make) -> None:
    end = make("127.0.7.1", "127.0.7.2")
    end.speaker.apply({})
    assert loop.readers == {}
    assert end.speaker.verdict("peer") is None
    loop.run(10.0)
    assert end.reports == []


# Our own trouble.


def test_sockets_that_cannot_be_opened_move_no_server_and_are_tried_again(
    loop: HandDriven, make: Make
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as squatter:
        squatter.bind(("127.0.7.1", 3784))
        end = make("127.0.7.1", "127.0.7.2")
        loop.run(20.0)
        assert end.reports == [Unknown(Reason.LOCAL_ADDRESS, "BFD socket: Address already in use")]
    make("127.0.7.2", "127.0.7.1")
    loop.run(10.0)
    assert end.reports[1:] == [UP]


def test_after_our_own_trouble_a_dead_neighbour_is_still_found(loop: HandDriven, make: Make) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as squatter:
        squatter.bind(("127.0.7.1", 3784))
        end = make("127.0.7.1", "127.0.7.2")
        loop.run(1.0)
    loop.run(20.0)
    assert end.reports[1:] == [NO_SESSION]


# In a thread of its own.


async def test_a_speaker_thread_reports_in_the_loop_it_was_given() -> None:
    loop = asyncio.get_running_loop()
    reports: asyncio.Queue[tuple[str, Verdict]] = asyncio.Queue()

    def report(name: str, verdict: Verdict) -> None:
        assert asyncio.get_running_loop() is loop
        reports.put_nowait((name, verdict))

    here, there = ip_address("127.0.7.5"), ip_address("127.0.7.6")
    one, other = SpeakerThread(report, loop), SpeakerThread(report, loop)
    intervals = {"min_tx": 0.5, "min_rx": 0.5}
    one.apply({"one": BfdInstance(name="one", source=here, neighbor=there, **intervals)})
    other.apply({"other": BfdInstance(name="other", source=there, neighbor=here, **intervals)})
    try:
        async with asyncio.timeout(20.0):
            first = [await reports.get(), await reports.get()]
            assert sorted(first) == [("one", UP), ("other", UP)]
            assert one.verdict("one") == UP
            other.close()
            assert await reports.get() == ("one", TOLD)
    finally:
        one.close()
        other.close()


async def test_without_instances_there_is_no_thread() -> None:
    idle = SpeakerThread(lambda _name, _verdict: None, asyncio.get_running_loop())
    idle.apply({})
    assert idle.verdict("any") is None
    idle.close()
