"""When probes run and who is told, in virtual time."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

from keepalive_py.checkers.misc import MiscCheck
from keepalive_py.checkers.wishes import Connect, OpenDatagram, Probe, ProbeFailed, Receive
from keepalive_py.config.kinds import Script
from keepalive_py.health.verdict import PASSED, Failed, Passed, Reason, Unknown
from keepalive_py.net import Endpoint, parse_address
from keepalive_py.probing import Limits

SILENT = Endpoint(parse_address("127.0.0.1"), 9)


def instant() -> Probe:
    return PASSED
    yield


def failing() -> Probe:
    return Failed(Reason.REFUSED)
    yield


def lasting(seconds: float) -> Callable[[], Probe]:
    """Waits for a datagram that never comes."""

    def probe() -> Probe:
        yield OpenDatagram(SILENT)
        with suppress(ProbeFailed):
            yield Receive(100, seconds)
        return PASSED

    return probe


Virtual = Callable[..., Any]


def test_the_first_run_is_at_its_time_and_the_next_ones_follow_the_report(virtual: Virtual) -> None:
    v = virtual()
    v.listen("a", instant, every=2.0, first_in=0.5)

    v.loop.run(6.0)

    assert v.times("a") == pytest.approx([0.5, 2.5, 4.5], abs=0.031)


def test_the_interval_counts_from_the_end_of_a_run(virtual: Virtual) -> None:
    v = virtual()
    v.listen("a", lasting(3.0), every=2.0)

    v.loop.run(11.0)

    assert v.times("a") == pytest.approx([0.0, 5.0], abs=0.05)


def test_a_run_is_in_the_tick_next_to_its_time(virtual: Virtual) -> None:
    v = virtual()
    for number in range(200):
        v.listen(f"{number}", instant, every=1.0, first_in=number * 0.00317)

    v.loop.run(0.99)

    for number in range(200):
        assert v.times(f"{number}")[0] == pytest.approx(number * 0.00317, abs=0.0051)


def test_the_time_between_two_runs_is_what_was_asked_for_to_half_a_tick(virtual: Virtual) -> None:
    v = virtual()
    wanted = {"a": 1.0, "b": 0.3371, "c": 0.3329}
    for name, every in wanted.items():
        v.listen(name, instant, every=every, first_in=0.0031)

    v.loop.run(300.0)

    for name, every in wanted.items():
        times = v.times(name)
        assert {round(later - one, 3) for one, later in pairwise(times)} == {round(every, 2)}
    assert len(v.times("a")) == 301


def test_a_run_that_is_wanted_at_once_waits_for_the_next_tick(virtual: Virtual) -> None:
    v = virtual()

    def clock() -> float:
        v.loop.now += 1e-5
        return float(v.loop.now)

    v.engine.clock = clock
    v.listen("a", instant, every=0.0, first_in=0.0031)

    v.loop.run(1.0)

    assert 95 <= len(v.times("a")) <= 101


def test_an_answer_that_came_while_the_process_was_stopped_is_no_timeout(virtual: Virtual) -> None:
    v = virtual()
    server = socket.create_server(("127.0.0.1", 0), backlog=512)
    where = Endpoint(parse_address("127.0.0.1"), server.getsockname()[1])

    def connecting() -> Probe:
        yield Connect(where, 5.0)
        return PASSED

    for number in range(400):  # more than are taken at a time
        v.listen(f"{number}", connecting, every=1000.0)
    now = v.loop.now
    while v.engine.statistics.in_flight < 400:
        v.engine._start_due()
    v.loop.now = now + 30.0

    v.loop.run(0.1)

    assert v.verdicts() == [PASSED] * 400
    server.close()


def test_a_due_probe_that_cannot_start_waits_and_is_counted_late(virtual: Virtual) -> None:
    v = virtual(limits=Limits(probes=2))
    for name in "abcde":
        v.listen(name, lasting(1.0), every=100.0, first_in=0.01 * ord(name))

    v.loop.run(6.0)

    starts = [v.times(name)[0] for name in "abcde"]
    assert starts == sorted(starts)
    assert starts == pytest.approx([0.97, 0.98, 1.97, 1.98, 2.97], abs=0.06)
    assert v.engine.statistics.passed == 5
    assert sum(v.engine.statistics.late.counts[-3:]) == 3


def test_one_who_leaves_the_queue_is_not_started(virtual: Virtual) -> None:
    v = virtual(limits=Limits(probes=1))
    v.listen("a", lasting(1.0), every=100.0)
    waiting = v.listen("b", lasting(1.0), every=100.0, first_in=0.1)
    v.listen("c", lasting(1.0), every=100.0, first_in=0.2)
    v.loop.run(0.5)
    v.engine.remove(waiting)

    v.loop.run(5.0)

    assert [who for who, _, _ in v.log] == ["a", "c"]


def test_suspend_ends_a_run_and_resume_begins_anew(virtual: Virtual) -> None:
    v = virtual()
    subscription = v.listen("a", lasting(2.0), every=1.0)
    v.loop.run(1.0)
    v.engine.suspend(subscription)
    v.loop.run(10.0)
    assert v.log == []
    assert v.engine.statistics.aborted == 1
    assert v.engine.statistics.in_flight == 0

    v.engine.resume(subscription, first_in=0.5)
    v.loop.run(2.9)

    assert v.times("a") == pytest.approx([11.5], abs=0.02)


def test_run_now_does_not_wait_for_the_interval(virtual: Virtual) -> None:
    v = virtual()
    subscription = v.listen("a", instant, every=60.0, first_in=60.0)
    v.loop.run(5.0)
    v.engine.run_now(subscription)
    v.loop.run(5.0)

    assert v.times("a") == pytest.approx([5.0], abs=0.02)


def test_run_now_does_not_wake_a_suspended_one(virtual: Virtual) -> None:
    v = virtual()
    subscription = v.listen("a", instant, first_in=1.0)
    v.engine.suspend(subscription)
    v.engine.run_now(subscription)
    v.loop.run(5.0)

    assert v.log == []


def test_remove_within_the_report_is_the_end(virtual: Virtual) -> None:
    v = virtual()
    told = []

    def report(verdict: Any, started: float, ended: float) -> float:
        told.append(verdict)
        v.engine.remove(subscription)
        return 0.0

    template = v.listen("template", instant, first_in=100.0)
    subscription = v.engine.add(template.check, report, first_in=0.0)
    v.loop.run(5.0)

    assert told == [PASSED]
    assert v.engine.statistics.in_flight == 0
    assert v.engine.statistics.aborted == 0


def test_remove_twice_is_harmless(virtual: Virtual) -> None:
    v = virtual()
    subscription = v.listen("a", instant)
    v.engine.remove(subscription)
    v.engine.remove(subscription)
    v.loop.run(5.0)

    assert v.log == []


def test_children_are_started_a_few_at_a_time(virtual: Virtual) -> None:
    """Starting one stops the loop for a while: other probes get their turn in between."""
    v = virtual()
    for number in range(50):
        script = Script(("/nonexistent", str(number)), "x")
        v.engine.add(MiscCheck(script=script), v.report("child"), first_in=0.0)
    v.listen("other", instant, first_in=0.0)
    v.engine.turn()

    assert 0 < len(v.times("child")) <= 5
    v.loop.run(1.0)
    assert len(v.times("child")) == 50


def test_one_with_much_to_read_leaves_the_others_their_turn(virtual: Virtual) -> None:
    got: list[bytes] = []

    def reading(target: Endpoint) -> Probe:
        yield Connect(target, 10.0)
        while len(got) < 1000:
            got.append((yield Receive(1, 10.0)))
        return PASSED

    v = virtual()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = Endpoint(parse_address("127.0.0.1"), listener.getsockname()[1])
        v.listen("a", lambda: reading(target))
        v.engine.turn()
        connection, _ = listener.accept()
        with connection:
            connection.sendall(bytes(1000))
            v.engine.turn()
            assert 0 < len(got) < 50
            v.loop.run(0.0)

    assert len(got) == 1000
    assert v.verdicts() == [PASSED]


# Sharing.


def test_identical_checks_are_one_probe(virtual: Virtual) -> None:
    v = virtual()
    for name in "abc":
        v.listen(name, instant, key="same", every=1.0)

    v.loop.run(10.5)

    assert v.engine.statistics.started in (10, 11)
    assert v.times("a") == v.times("b") == v.times("c")
    assert v.engine.statistics.shared == 2 * v.engine.statistics.started


def test_sharing_can_be_switched_off(virtual: Virtual) -> None:
    v = virtual(share=False)
    for name in "abc":
        v.listen(name, instant, key="same", every=100.0)

    v.loop.run(1.0)

    assert v.engine.statistics.started == 3


def test_a_twin_that_joins_later_is_soon_told_by_the_same_probe(virtual: Virtual) -> None:
    v = virtual()
    v.listen("a", instant, key="same", every=10.0)
    v.loop.run(26.0)
    v.listen("b", instant, key="same", every=10.0, first_in=0.0)
    v.loop.run(100.0)

    assert v.times("a")[-5:] == v.times("b")[-5:]


def test_a_failure_is_not_told_to_a_twin_before_its_time(virtual: Virtual) -> None:
    v = virtual()
    v.listen("often", failing, key="same", every=1.0)
    v.listen("seldom", failing, key="same", every=10.0)

    v.loop.run(40.0)

    gaps = [b - a for a, b in zip(v.times("seldom"), v.times("seldom")[1:], strict=False)]
    assert all(gap >= 9.0 for gap in gaps)
    assert len(v.times("often")) >= 36


def test_the_last_one_to_leave_ends_the_probe(virtual: Virtual) -> None:
    v = virtual()
    first = v.listen("a", lasting(5.0), key="same")
    second = v.listen("b", lasting(5.0), key="same")
    v.loop.run(1.0)
    v.engine.remove(first)
    assert v.engine.statistics.in_flight == 1
    v.engine.remove(second)

    assert v.engine.statistics.in_flight == 0
    assert v.engine.statistics.aborted == 1


def test_one_leaves_and_the_other_is_still_told(virtual: Virtual) -> None:
    v = virtual()
    first = v.listen("a", lasting(2.0), key="same")
    v.listen("b", lasting(2.0), key="same")
    v.loop.run(1.0)
    v.engine.suspend(first)
    v.loop.run(1.5)

    assert [who for who, _, _ in v.log] == ["b"]


# Our own trouble.


def test_a_bug_in_a_checker_is_unknown_and_told_once(virtual: Virtual, troubles: Any) -> None:
    def broken() -> Probe:
        yield OpenDatagram(SILENT)
        raise ZeroDivisionError("oops")

    v = virtual()
    v.listen("a", broken, every=1.0)
    v.listen("b", instant, every=1.0)
    v.loop.run(30.5)

    (verdict,) = {verdict for who, _, verdict in v.log if who == "a"}
    assert verdict == Unknown(Reason.BUG, "ZeroDivisionError: oops")
    assert len(v.times("b")) >= 29
    assert [reason for reason, _ in troubles.told] == [Reason.BUG]
    assert "broken" in troubles.told[0][1]
    assert v.engine.statistics.unknown == len(v.times("a"))


def test_something_that_is_no_wish_is_a_bug(virtual: Virtual) -> None:
    def broken() -> Probe:
        yield "please"  # type: ignore[misc]

    v = virtual()
    v.listen("a", broken)
    v.loop.run(0.5)

    assert v.verdicts() == [Unknown(Reason.BUG, "KeyError: <class 'str'>")]


def test_a_wish_without_any_time_limit_is_a_bug(virtual: Virtual) -> None:
    def endless() -> Probe:
        yield OpenDatagram(SILENT)
        yield Receive(1)

    v = virtual()
    v.listen("a", endless, bound=float("inf"))
    v.loop.run(0.5)

    assert v.verdicts() == [Unknown(Reason.BUG, "a wish without a time limit")]


def test_a_report_that_raises_is_asked_again(virtual: Virtual, troubles: Any) -> None:
    v = virtual()
    template = v.listen("template", instant, every=2.0, first_in=100.0)
    calls = []

    def report(verdict: Any, started: float, ended: float) -> float:
        calls.append(started)
        raise RuntimeError("listener")

    v.engine.add(template.check, report, first_in=0.0)
    v.loop.run(5.0)

    assert len(calls) == 3
    assert len(troubles.told) == 1


def test_the_bound_on_a_whole_run_holds_over_all_wishes(virtual: Virtual) -> None:
    def dripping() -> Probe:
        yield OpenDatagram(SILENT)
        for _ in range(5):
            try:
                yield Receive(1, 1.0)
            except ProbeFailed:
                continue
        return Passed("got to the end")

    v = virtual()
    v.listen("a", dripping, every=10.0, bound=2.5)
    v.loop.run(2.6)

    assert v.verdicts() == [Passed("got to the end")]


def test_an_unknown_kind_of_check_is_refused(virtual: Virtual) -> None:
    v = virtual()
    template = v.listen("template", instant)

    class Other(type(template.check)):  # type: ignore[misc]
        KIND = "NO_SUCH_CHECK"

    with pytest.raises(KeyError):
        v.engine.add(Other(probe=instant), lambda *_: 1.0, first_in=0.0)
