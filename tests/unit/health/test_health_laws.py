"""What holds after any sequence of verdicts, reloads, suspensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from health_scenario import Check, endpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from keepalive_py.config.model import Config, RealServer, SorryServer, VirtualServer
from keepalive_py.health import depool
from keepalive_py.health.events import ServerDown, ServerEvent, ServerUp
from keepalive_py.health.lifecycle import start
from keepalive_py.health.membership import tick
from keepalive_py.health.reload import reload
from keepalive_py.health.report import report
from keepalive_py.health.service_state import ServiceState
from keepalive_py.health.suspension import addresses_changed
from keepalive_py.health.verdict import PASSED, Failed, Passed, Reason, Unknown, Verdict
from keepalive_py.health.wording import fifo_line
from keepalive_py.net import Endpoint, Protocol, parse_address
from keepalive_py.plan.apply import apply
from keepalive_py.plan.desired import desired
from keepalive_py.plan.diff import diff

HERE = parse_address("192.0.2.1")
VERDICTS: Sequence[Verdict] = (
    PASSED,
    Passed(weight=0),
    Passed(weight=7),
    Passed("HTTP status code", partial=True, part="/"),
    Failed(Reason.REFUSED),
    Failed(Reason.TIMEOUT),
    Unknown(Reason.BUG),
)

checks = st.builds(
    Check,
    kind=st.sampled_from(["TCP_CHECK", "HTTP_GET", "SMTP_CHECK", "MISC_CHECK", "FILE_CHECK"]),
    name=st.sampled_from("abc"),
    retry=st.integers(0, 2),
    alpha=st.booleans(),
    rise=st.integers(1, 3),
    log_all_failures=st.booleans(),
)


@st.composite
def real_servers(draw: st.DrawFn) -> tuple[RealServer, ...]:
    hosts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4, unique=True))
    return tuple(
        RealServer(
            endpoint=endpoint(host),
            weight=draw(st.integers(0, 3)),
            inhibit_on_failure=draw(st.booleans()),
            checks=tuple(draw(st.lists(checks, max_size=2))),
        )
        for host in hosts
    )


@st.composite
def virtual_servers(draw: st.DrawFn) -> VirtualServer:
    quorum = draw(st.integers(1, 4))
    sorry = st.builds(SorryServer, st.integers(3, 6).map(endpoint), inhibit=st.booleans())
    return VirtualServer(
        endpoint=Endpoint(HERE, draw(st.integers(80, 82))),
        protocol=Protocol.TCP,
        quorum=quorum,
        hysteresis=draw(st.integers(0, quorum - 1)),
        sorry_server=draw(st.none() | sorry),
        ha_suspend=draw(st.booleans()),
        depool_threshold=draw(st.sampled_from([0, 0, 1, 50, 66, 100])),
        slow_start=draw(st.sampled_from([0.0, 0.0, 8.0])),
        damping_half_life=draw(st.sampled_from([0.0, 0.0, 6.0, 1000.0])),
        real_servers=draw(real_servers()),
    )


configs = st.lists(virtual_servers(), min_size=1, max_size=3).map(
    lambda services: Config(virtual_servers=tuple(services))
)
verdict = st.tuples(st.just("verdict"), st.integers(0, 99), st.sampled_from(VERDICTS))
actions = st.lists(
    verdict
    | verdict
    | verdict
    | st.tuples(st.just("reload"), configs, st.none())
    | st.tuples(st.just("tick"), st.none(), st.none())
    | st.tuples(st.just("addresses"), st.sampled_from([frozenset(), frozenset({HERE})]), st.none()),
    max_size=40,
)


def act(services: list[ServiceState], action: tuple, now: float) -> tuple[list[ServiceState], Sequence]:  # type: ignore[type-arg]
    kind, what, verdict = action
    if kind == "reload":
        return reload(services, what, now, {HERE})
    if kind == "addresses":
        return services, addresses_changed(services, what, now)
    if kind == "tick":
        return services, [event for service in services for event in tick(service, now)[1]]
    checkers = [checker for service in services for checker in service.checkers()]
    if not checkers:
        return services, ()
    return services, report(checkers[what % len(checkers)], verdict, now)[1]


def check_invariants(service: ServiceState) -> None:
    vs = service.vs
    assert [server.rs for server in service.servers] == list(vs.real_servers)
    for server in service.servers:
        assert server.service is service
        assert [checker.config for checker in server.checkers] == list(server.rs.checks)
        assert server.failed == sum(not checker.up for checker in server.checkers)
        assert server.alive == all(checker.up for checker in server.checkers)
        assert server.weight == server.asked_weight() >= 0
        for checker in server.checkers:
            assert checker.server is server
            assert checker.up or checker.asked is None
            assert 0 <= checker.failures <= checker.config.retry
        assert 10 <= server.share <= 100
        assert (server.share == 100) is (server.ramp_since is None)
        assert not (server.held and (server.alive or not vs.depool_threshold))
        assert not (server.suppressed and not vs.damping_half_life)
        if not (vs.depool_threshold or vs.damping_half_life):
            assert server.serving is server.alive
    if any(server.alive and server.weight for server in service.servers):
        assert any(server.serving and server.weight for server in service.servers)
    total = sum(server.weight for server in service.servers if server.serving)
    assert service.alive_weight == total
    if service.quorum_up:
        assert total > 0
        assert total >= vs.quorum - vs.hysteresis
    else:
        assert total < max(1, vs.quorum + vs.hysteresis)
    assert (service.sorry_weight() == 1) is (vs.sorry_server is not None and not service.quorum_up)


@settings(deadline=None)
@given(first=configs, actions=actions)
def test_invariants_hold_through_any_life(first: Config, actions: list) -> None:  # type: ignore[type-arg]
    services, _ = start(first, 0.0, {HERE})
    for now, action in enumerate(actions, 1):
        services, _ = act(services, action, float(now))
        for service in services:
            check_invariants(service)


@settings(deadline=None)
@given(first=configs, actions=actions)
def test_a_reload_of_the_same_meaning_changes_nothing(first: Config, actions: list) -> None:  # type: ignore[type-arg]
    services, _ = start(first, 0.0)
    lives = [action for action in actions if action[0] == "verdict"]
    for now, action in enumerate(lives, 1):
        act(services, action, float(now))
    for service in services:
        tick(service, 99.0)
    before = desired(first, services)
    again = Config(virtual_servers=tuple(map(copied, first.virtual_servers)))
    services, events = reload(services, again, 99.0)

    assert events == []
    assert diff(desired(again, services), before) == []
    for service in services:
        check_invariants(service)


def copied(vs: VirtualServer) -> VirtualServer:
    """An equal value that shares no real server with the first."""
    return replace(vs, real_servers=tuple(replace(rs) for rs in vs.real_servers))


@settings(deadline=None)
@given(first=configs, actions=actions)
def test_up_and_down_alternate_for_every_quorum(first: Config, actions: list) -> None:  # type: ignore[type-arg]
    """Nobody is told twice of the same quorum, as long as nothing is reloaded."""
    services, events = start(first, 0.0, {HERE})
    told = list(events)
    for now, action in enumerate(actions, 1):
        if action[0] != "reload":
            told += act(services, action, float(now))[1]
    for service in services:
        mine = [event for event in told if event.vs is service.vs]
        states = [
            text.rsplit(" ", 1)[1] for event in mine if (text := fifo_line(event) or "").startswith("VS ")
        ]

        assert all(one != other for one, other in zip(states, states[1:], strict=False))
        if states:
            assert (states[-1] == "UP") is service.quorum_up


@settings(deadline=None)
@given(first=configs, actions=actions)
def test_checks_never_take_out_more_than_the_threshold_allows(first: Config, actions: list) -> None:  # type: ignore[type-arg]
    services, _ = start(first, 0.0, {HERE})
    for now, action in enumerate(actions, 1):
        before = [depool.staying(service) for service in services]
        weights = [[server.weight for server in service.servers] for service in services]
        services, _ = act(services, action, float(now))
        if action[0] == "reload":
            continue
        for service, was, weighed in zip(services, before, weights, strict=True):
            if [server.weight for server in service.servers] == weighed:
                assert depool.staying(service) >= min(was, depool.needed(service.vs))


@settings(deadline=None)
@given(first=configs, actions=actions)
def test_up_and_down_tell_who_serves(first: Config, actions: list) -> None:  # type: ignore[type-arg]
    services, _ = start(first, 0.0, {HERE})
    for now, action in enumerate(actions, 1):
        if action[0] == "reload":
            continue
        serving = {id(server): server.serving for service in services for server in service.servers}
        services, events = act(services, action, float(now))
        for service in services:
            for server in service.servers:
                mine = [each for each in events if isinstance(each, ServerEvent) and each.rs is server.rs]
                told = [
                    isinstance(each, ServerUp)
                    for each in mine
                    if each.vs is service.vs and isinstance(each, ServerUp | ServerDown) and not each.quiet
                ]
                changed = server.serving is not serving[id(server)]
                assert told == ([server.serving] if changed else [])


@settings(deadline=None)
@given(first=configs, actions=actions)
def test_the_kernel_follows_and_no_pool_is_empty_while_it_has_servers(first: Config, actions: list) -> None:  # type: ignore[type-arg]
    config = first
    services, _ = start(config, 0.0, {HERE})
    table = apply(diff(desired(config, services), {}), {})
    for now, action in enumerate(actions, 1):
        services, _ = act(services, action, float(now))
        if action[0] == "reload":
            config = action[1]
        want = desired(config, services)
        steps = diff(want, table)
        needs = {
            key
            for key in want.keys() & table.keys()
            if any(to.weight for to in want[key].destinations.values())
            and any(to.weight for to in table[key].destinations.values())
        }
        for step in steps:
            table = apply([step], table)
            for key in needs:
                assert any(to.weight for to in table[key].destinations.values())

        assert table == want
