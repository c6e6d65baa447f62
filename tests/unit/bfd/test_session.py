"""BFD sessions on a virtual clock: two of them back to back, and one against scripted packets."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.bfd.session import TRANSITIONS, Session, Transition
from keepalive_py.config.bfd_instance import BfdInstance
from keepalive_py.wire.bfd import Control, Diagnostic, State, decode, encode

NEVER = float("inf")


def instance(**more: Any) -> BfdInstance:
    return BfdInstance(name="peer", neighbor=ip_address("192.0.2.2"), **more)


def session(discriminator: int = 1, *, random: float = 1.0, now: float = 0.0, **more: Any) -> Session:
    return Session(instance(**more), discriminator, now, lambda: random)


def packets(speaker: Session) -> list[Control]:
    return [decode(data) for data in speaker.to_send()]


def heard(state: State, **more: Any) -> Control:
    """A packet of a neighbour that wants and takes one every 100 ms, multiplier 3."""
    content: dict[str, Any] = {
        "my_discriminator": 9,
        "your_discriminator": 1,
        "multiplier": 3,
        "desired_min_tx": 100_000,
        "required_min_rx": 100_000,
    }
    return Control(state=state, **{**content, **more})


def brought_up(**more: Any) -> Session:
    """A session that is Up since 0.0, its Poll Sequence over."""
    speaker = session(**more)
    speaker.receive(heard(State.INIT), 0.0)
    speaker.receive(heard(State.UP, final=True), 0.0)
    speaker.to_send()
    speaker.transitions()
    return speaker


class Wire:
    """Two sessions and the time between them. `delay` seconds each way; `cut` loses everything."""

    def __init__(self, one: Session, other: Session, delay: float = 0.001) -> None:
        self.ends = (one, other)
        self.delay = delay
        self.cut = False
        self.now = 0.0
        self.flying: list[tuple[float, Session, Control]] = []
        self.sent: list[tuple[float, Session, Control]] = []

    def run(self, until: float) -> None:
        while (due := self._next()) <= until:
            self.now = max(due, self.now)
            arrived = [entry for entry in self.flying if entry[0] <= self.now]
            self.flying = [entry for entry in self.flying if entry[0] > self.now]
            for _, end, packet in arrived:
                end.receive(packet, self.now)
            for end in self.ends:
                end.wake(self.now)
            self._post()
        self.now = until

    def _next(self) -> float:
        return min([end.next_deadline() for end in self.ends] + [entry[0] for entry in self.flying])

    def _post(self) -> None:
        for end, peer in (self.ends, self.ends[::-1]):
            for packet in packets(end):
                self.sent.append((self.now, end, packet))
                if not self.cut:
                    self.flying.append((self.now + self.delay, peer, packet))


def joined(**more: Any) -> Wire:
    wire = Wire(session(1, **more), session(2, **more))
    wire.run(3.0)
    return wire


# Coming up.


def test_two_sessions_come_up() -> None:
    wire = joined()
    assert [end.state for end in wire.ends] == [State.UP, State.UP]
    assert [end.remote.my_discriminator for end in wire.ends] == [2, 1]


def test_a_passive_session_says_nothing_until_spoken_to() -> None:
    passive = session(2, passive=True)
    passive.wake(10.0)
    assert packets(passive) == []
    assert passive.next_deadline() == NEVER
    wire = Wire(session(1), passive)
    wire.run(3.0)
    assert wire.ends[0].up
    assert passive.up


def test_two_passive_sessions_never_meet() -> None:
    wire = Wire(session(1, passive=True), session(2, passive=True))
    wire.run(10.0)
    assert wire.sent == []


def test_packets_are_slow_until_the_session_is_up() -> None:
    speaker = session(min_tx=0.010, idle_tx=1.5)
    speaker.wake(0.0)
    (packet,) = packets(speaker)
    assert packet == Control(
        state=State.DOWN,
        my_discriminator=1,
        multiplier=5,
        desired_min_tx=1_500_000,
        required_min_rx=10_000,
    )
    assert speaker.next_deadline() == 1.5


def test_being_up_makes_it_fast_by_a_poll_sequence() -> None:
    speaker = session(min_tx=0.010)
    speaker.receive(heard(State.INIT, required_min_rx=10_000), 0.0)
    (packet,) = packets(speaker)
    assert (packet.state, packet.poll, packet.desired_min_tx) == (State.UP, True, 10_000)
    speaker.wake(0.010)
    assert packets(speaker)[0].poll
    speaker.receive(heard(State.UP, final=True, required_min_rx=10_000), 0.015)
    speaker.wake(0.020)
    assert not packets(speaker)[0].poll


@pytest.mark.parametrize("local", [State.DOWN, State.INIT, State.UP])
@pytest.mark.parametrize("remote", list(State))
def test_states_move_as_the_rfc_draws_it(local: State, remote: State) -> None:
    # RFC 5880 6.8.6, last paragraphs, written out
    if remote is State.ADMIN_DOWN:
        wanted = State.DOWN
    elif local is State.DOWN:
        wanted = {State.DOWN: State.INIT, State.INIT: State.UP}.get(remote, local)
    elif local is State.INIT:
        wanted = State.UP if remote in (State.INIT, State.UP) else local
    else:
        wanted = State.DOWN if remote is State.DOWN else local
    assert TRANSITIONS.get((local, remote), local) is wanted


# Staying up and going down.


def test_a_cut_wire_is_noticed_within_the_detection_time() -> None:
    wire = joined(min_tx=0.1, min_rx=0.1, multiplier=3)
    wire.cut = True
    cut_at = wire.now
    wire.run(cut_at + 0.2)
    assert [end.state for end in wire.ends] == [State.UP, State.UP]
    wire.run(cut_at + 0.3 + wire.delay)
    assert [end.state for end in wire.ends] == [State.DOWN, State.DOWN]
    assert wire.ends[0].diagnostic is Diagnostic.TIME_EXPIRED


def test_a_healed_wire_brings_the_session_back() -> None:
    wire = joined()
    wire.cut = True
    wire.run(wire.now + 5.0)
    wire.cut = False
    wire.run(wire.now + 5.0)
    assert [end.state for end in wire.ends] == [State.UP, State.UP]


def test_the_detection_time_follows_the_slower_of_both() -> None:
    speaker = brought_up(min_rx=0.050)
    assert speaker.detection_time == pytest.approx(3 * 0.100)
    assert brought_up(min_rx=0.200).detection_time == pytest.approx(3 * 0.200)


def test_a_packet_starts_the_detection_time_again() -> None:
    speaker = brought_up()
    speaker.receive(heard(State.UP), 0.25)
    speaker.wake(0.549)
    assert speaker.up
    speaker.wake(0.551)
    assert speaker.transitions() == [Transition(State.UP, State.DOWN, Diagnostic.TIME_EXPIRED)]


def test_a_lost_neighbour_is_told_so_at_once_and_is_a_stranger() -> None:
    speaker = brought_up()
    speaker.wake(0.301)
    (packet,) = packets(speaker)
    assert (packet.state, packet.diagnostic) == (State.DOWN, Diagnostic.TIME_EXPIRED)
    assert packet.your_discriminator == 0


@pytest.mark.parametrize("state", [State.DOWN, State.ADMIN_DOWN])
def test_a_neighbour_that_says_down_takes_us_down(state: State) -> None:
    speaker = brought_up()
    speaker.receive(heard(state, your_discriminator=0), 0.1)
    assert speaker.transitions() == [Transition(State.UP, State.DOWN, Diagnostic.NEIGHBOR_DOWN)]


def test_a_neighbour_that_is_administratively_down_never_comes_up() -> None:
    speaker = session()
    speaker.receive(heard(State.ADMIN_DOWN), 0.0)
    assert speaker.state is State.DOWN


def test_shutting_a_session_tells_the_neighbour_and_nothing_else_ever() -> None:
    speaker = brought_up()
    speaker.shut(0.1)
    (packet,) = packets(speaker)
    assert (packet.state, packet.diagnostic) == (State.ADMIN_DOWN, Diagnostic.ADMIN_DOWN)
    speaker.receive(heard(State.DOWN), 0.2)
    speaker.wake(99.0)
    assert (speaker.state, packets(speaker), speaker.next_deadline()) == (State.ADMIN_DOWN, [], NEVER)


# Intervals.


def test_the_neighbour_is_not_sent_more_than_it_takes() -> None:
    speaker = brought_up(min_tx=0.010)
    speaker.wake(speaker.next_deadline())
    speaker.to_send()
    sent_at = speaker.next_deadline() - 0.100
    speaker.receive(heard(State.UP, required_min_rx=250_000), sent_at)
    assert speaker.next_deadline() == pytest.approx(sent_at + 0.250)


def test_a_neighbour_that_takes_nothing_is_sent_nothing() -> None:
    speaker = brought_up()
    speaker.receive(heard(State.UP, required_min_rx=0), 0.1)
    speaker.wake(0.2)
    assert packets(speaker) == []


def test_a_neighbour_in_demand_mode_gets_no_periodic_packets() -> None:
    speaker = brought_up()
    speaker.receive(heard(State.UP, demand=True), 0.01)
    speaker.wake(0.3)
    assert packets(speaker) == []
    speaker.receive(heard(State.UP, demand=True, poll=True), 0.3)
    assert [packet.final for packet in packets(speaker)] == [True]


def test_a_poll_is_answered_at_once() -> None:
    speaker = brought_up()
    speaker.receive(heard(State.UP, poll=True), 0.001)
    (packet,) = packets(speaker)
    assert (packet.final, packet.poll) == (True, False)


@given(st.floats(0, 1), st.integers(1, 9))
def test_jitter_takes_up_to_a_quarter_and_leaves_a_tenth_if_the_multiplier_is_1(
    random: float, multiplier: int
) -> None:
    speaker = session(random=random, multiplier=multiplier, idle_tx=1.0)
    speaker.wake(0.0)
    assert 0.75 <= speaker.next_deadline() <= (0.90 if multiplier == 1 else 1.0)


# Changed intervals of a session that is up.


def test_slower_sending_waits_for_the_end_of_the_poll_sequence() -> None:
    speaker = brought_up(min_tx=0.1, min_rx=0.1)
    speaker.adopt(instance(min_tx=0.5, min_rx=0.1), 0.1)
    (packet,) = packets(speaker)
    assert (packet.poll, packet.desired_min_tx) == (True, 500_000)
    assert speaker.interval == 0.1
    speaker.receive(heard(State.UP, final=True), 0.11)
    assert speaker.interval == 0.5
    assert speaker.up


def test_faster_receiving_waits_for_the_end_of_the_poll_sequence() -> None:
    speaker = brought_up(min_rx=0.5)
    speaker.adopt(instance(min_rx=0.01), 0.1)
    assert speaker.detection_time == 1.5
    speaker.receive(heard(State.UP, final=True), 0.11)
    assert speaker.detection_time == pytest.approx(0.3)


def test_two_sessions_stay_up_through_a_change_of_intervals() -> None:
    wire = joined()
    for end in wire.ends:
        end.transitions()
    for other in (instance(min_tx=0.005), instance(min_tx=0.3, min_rx=0.3), instance()):
        wire.ends[0].adopt(other, wire.now)
        wire.run(wire.now + 2.0)
        assert wire.ends[1].remote.desired_min_tx == other.min_tx * 1_000_000
    assert [end.transitions() for end in wire.ends] == [[], []]
    assert all(end.up for end in wire.ends)


# Laws.


@given(st.integers(0, 2**32), st.floats(0.0, 0.3), st.floats(0.0001, 0.004))
def test_sessions_come_up_over_a_wire_that_loses_packets(seed: int, loss: float, delay: float) -> None:
    random = Random(seed)
    ends = [Session(instance(), number, 0.0, random.random) for number in (1, 2)]
    wire = Wire(ends[0], ends[1], delay)
    while wire.now < 60.0 and not all(end.up for end in ends):
        wire.cut = random.random() < loss
        wire.run(wire.now + 0.3)
    assert all(end.up for end in ends)


@given(
    st.lists(st.tuples(st.floats(0, 2), st.sampled_from(State), st.booleans(), st.booleans()), max_size=30)
)
def test_whatever_comes_a_session_keeps_its_promises(script: list[tuple[float, State, bool, bool]]) -> None:
    speaker, now = session(), 0.0
    for pause, state, poll, final in script:
        now += pause
        speaker.receive(heard(state, poll=poll, final=final), now)
        speaker.wake(now)
        for packet in packets(speaker):
            assert decode(encode(packet)) == packet
            assert not (packet.poll and packet.final)
        assert speaker.next_deadline() > now
        if speaker.state is not State.UP:
            assert speaker.desired_min_tx >= 1.0
