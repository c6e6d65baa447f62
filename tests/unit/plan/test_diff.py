"""The steps between two tables, and their order."""

from __future__ import annotations

from hypothesis import given, settings
from strategies_plan import LOCALS, tables, usable

from keepalive_py.config.model import Forwarding, SchedulerFlag
from keepalive_py.net import Endpoint, Family, Protocol, parse_address
from keepalive_py.plan.apply import apply
from keepalive_py.plan.diff import diff
from keepalive_py.plan.steps import (
    AddDestination,
    AddLocalAddress,
    AddService,
    DeleteDestination,
    DeleteLocalAddress,
    DeleteService,
    EditDestination,
    EditService,
    Step,
)
from keepalive_py.plan.table import Destination, Service, ServiceEntry, ServiceKey, Table


def key(host: int = 1) -> ServiceKey:
    return ServiceKey(Family.INET, Protocol.TCP, Endpoint(parse_address(f"192.0.2.{host}"), 80))


def to(host: int, weight: int = 1, forwarding: Forwarding = Forwarding.NAT) -> Destination:
    return Destination(Endpoint(parse_address(f"10.0.0.{host}"), 80), forwarding, weight)


def table(*destinations: Destination, host: int = 1, **settings: object) -> Table:
    service = Service(key(host), **settings)  # type: ignore[arg-type]
    return {key(host): ServiceEntry(service, {found.endpoint: found for found in destinations})}


def kinds(steps: list[Step]) -> list[type[Step]]:
    return [type(step) for step in steps]


@settings(deadline=None)
@given(want=tables(), have=tables())
def test_the_steps_lead_from_one_table_to_the_other(want: Table, have: Table) -> None:
    assert apply(diff(want, have), have) == want


@settings(deadline=None)
@given(same=tables())
def test_there_is_nothing_to_do_between_equal_tables(same: Table) -> None:
    copied = {
        name: ServiceEntry(entry.service, dict(entry.destinations), entry.local_addresses)
        for name, entry in same.items()
    }

    assert diff(same, same) == []
    assert diff(same, copied) == []


@settings(deadline=None)
@given(want=tables(), have=tables())
def test_no_pool_with_servers_before_and_after_is_without_one_in_between(want: Table, have: Table) -> None:
    needs = [name for name in want if usable(want[name]) and usable(have.get(name))]
    now = have
    for step in diff(want, have):
        now = apply([step], now)

        assert all(usable(now.get(name)) for name in needs)


@settings(deadline=None)
@given(want=tables(), have=tables())
def test_no_step_changes_nothing_and_each_is_possible_where_it_stands(want: Table, have: Table) -> None:
    now = have
    for step in diff(want, have):
        match step:
            case AddService(service):
                assert service.key not in now
            case EditService(service):
                assert now[service.key].service != service
            case DeleteService(name):
                assert name in now
            case AddDestination(name, destination):
                assert destination.endpoint not in now[name].destinations
            case EditDestination(name, destination):
                assert now[name].destinations[destination.endpoint] != destination
            case DeleteDestination(name, endpoint):
                assert endpoint in now[name].destinations
            case AddLocalAddress(name, address):
                assert address not in now[name].local_addresses
            case DeleteLocalAddress(name, address):
                assert address in now[name].local_addresses
        now = apply([step], now)


@settings(deadline=None)
@given(want=tables(), have=tables())
def test_services_of_others_are_left_alone(want: Table, have: Table) -> None:
    owned = set(list(have)[::2])
    after = apply(diff(want, have, owned=owned), have)

    assert after == {**{name: have[name] for name in have if name not in owned}, **want}


def test_a_new_service_comes_before_its_destinations() -> None:
    local = LOCALS[Family.INET][0]
    entry = ServiceEntry(Service(key()), {to(1).endpoint: to(1)}, (local,))

    assert diff({key(): entry}, {}) == [
        AddService(entry.service),
        AddLocalAddress(key(), local),
        AddDestination(key(), to(1)),
    ]


def test_adds_come_before_edits_and_edits_before_deletes() -> None:
    have = table(to(1, 0), to(2, 5), to(3))
    want = table(to(2, 0), to(1, 5), to(4))

    assert diff(want, have) == [
        AddDestination(key(), to(4)),
        EditDestination(key(), to(1, 5)),
        EditDestination(key(), to(2, 0)),
        DeleteDestination(key(), to(3).endpoint),
    ]


def test_a_sorry_server_comes_before_the_pool_goes_and_the_other_way_round() -> None:
    """Other than here, keepalived deletes first, and leaves the pool empty for a moment."""
    pool, sorry = table(to(1), to(2)), table(to(99))

    assert kinds(diff(sorry, pool)) == [AddDestination, DeleteDestination, DeleteDestination]
    assert kinds(diff(pool, sorry)) == [AddDestination, AddDestination, DeleteDestination]


def test_changed_settings_edit_the_service() -> None:
    for changed in (
        {"scheduler": "rr"},
        {"flags": SchedulerFlag.SCHED1},
        {"persistence_timeout": 60},
        {"netmask": 0xFFFFFF00},
        {"persistence_engine": "sip"},
    ):
        want = table(to(1), **changed)

        assert diff(want, table(to(1))) == [EditService(want[key()].service)]


def test_a_changed_method_or_threshold_edits_the_destination() -> None:
    for changed in (to(1, forwarding=Forwarding.DR), Destination(to(1).endpoint, u_threshold=7)):
        assert diff(table(changed), table(to(1))) == [EditDestination(key(), changed)]


def test_a_service_that_leaves_takes_its_destinations_along_after_all_else() -> None:
    have = {**table(to(1), to(2), host=1), **table(to(3), host=2), **table(host=3)}
    want = {**table(to(4), host=4), **table(to(3), host=2)}

    assert kinds(diff(want, have)) == [AddService, AddDestination, DeleteService, DeleteService]
    assert diff({}, have) == [DeleteService(key(1)), DeleteService(key(2)), DeleteService(key(3))]


def test_local_addresses_come_first_and_go_last() -> None:
    one, two = LOCALS[Family.INET][:2]
    before = ServiceEntry(Service(key()), {to(1).endpoint: to(1)}, (one,))
    after = ServiceEntry(Service(key()), {to(2).endpoint: to(2)}, (two,))

    assert diff({key(): after}, {key(): before}) == [
        AddLocalAddress(key(), two),
        AddDestination(key(), to(2)),
        DeleteDestination(key(), to(1).endpoint),
        DeleteLocalAddress(key(), one),
    ]
