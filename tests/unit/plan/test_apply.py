"""Steps on a table."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given, settings
from strategies_plan import LOCALS, tables

from keepalive_py.net import Endpoint, Family, parse_address
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
)
from keepalive_py.plan.table import Destination, Service, ServiceEntry, ServiceKey, Table

KEY = ServiceKey(Family.INET, fwmark=1)
SERVICE, EDITED = Service(KEY), Service(KEY, scheduler="rr")
TO = Destination(Endpoint(parse_address("10.0.0.1"), 80))
HEAVY = Destination(TO.endpoint, weight=9)
TABLE: Table = {KEY: ServiceEntry(SERVICE, {TO.endpoint: TO})}


@settings(deadline=None)
@given(want=tables(), have=tables())
def test_the_given_table_stays_as_it_is(want: Table, have: Table) -> None:
    before = deepcopy(have)
    apply(diff(want, have), have)

    assert have == before


@settings(deadline=None)
@given(want=tables(), have=tables())
def test_all_at_once_is_the_same_as_one_by_one(want: Table, have: Table) -> None:
    steps = diff(want, have)
    now = have
    for step in steps:
        now = apply([step], now)

    assert now == apply(steps, have)


def test_untouched_entries_are_shared() -> None:
    other = ServiceKey(Family.INET, fwmark=2)
    table = {**TABLE, other: ServiceEntry(Service(other))}

    assert apply([EditDestination(KEY, HEAVY)], table)[other] is table[other]


def test_an_add_of_what_is_there_changes_it() -> None:
    assert apply([AddService(EDITED)], TABLE) == {KEY: ServiceEntry(EDITED, {TO.endpoint: TO})}
    assert apply([AddDestination(KEY, HEAVY)], TABLE)[KEY].destinations == {TO.endpoint: HEAVY}


def test_an_edit_of_what_is_not_there_adds_it() -> None:
    assert apply([EditService(EDITED)], {}) == {KEY: ServiceEntry(EDITED)}
    assert apply([AddService(SERVICE), EditDestination(KEY, TO)], {}) == TABLE


def test_a_delete_of_what_is_not_there_does_nothing() -> None:
    assert apply([DeleteService(KEY)], {}) == {}
    assert apply([DeleteDestination(KEY, Endpoint(TO.endpoint.address, 81))], TABLE) == TABLE
    assert apply([DeleteLocalAddress(KEY, LOCALS[Family.INET][0])], TABLE) == TABLE


def test_a_service_that_comes_back_is_empty() -> None:
    assert apply([DeleteService(KEY), AddService(SERVICE)], TABLE) == {KEY: ServiceEntry(SERVICE)}


def test_a_local_address_is_there_once_and_in_order() -> None:
    one, two = LOCALS[Family.INET][:2]
    steps = [AddLocalAddress(KEY, two), AddLocalAddress(KEY, one), AddLocalAddress(KEY, two)]

    assert apply(steps, TABLE)[KEY].local_addresses == (one, two)


def test_a_destination_without_its_service_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        apply([AddDestination(KEY, TO)], {})


def test_every_step_reads_as_a_sentence() -> None:
    local = LOCALS[Family.INET][0]
    steps = [
        AddService(SERVICE),
        EditService(EDITED),
        AddLocalAddress(KEY, local),
        AddDestination(KEY, TO),
        EditDestination(KEY, HEAVY),
        DeleteDestination(KEY, TO.endpoint),
        DeleteLocalAddress(KEY, local),
        DeleteService(KEY),
    ]

    assert [str(step) for step in steps] == [
        "add service FWM 1 scheduler wlc",
        "edit service FWM 1 scheduler rr",
        "add local address 10.1.0.1 to FWM 1",
        "add 10.0.0.1:80 NAT weight 1 to FWM 1",
        "edit 10.0.0.1:80 NAT weight 9 of FWM 1",
        "delete 10.0.0.1:80 from FWM 1",
        "delete local address 10.1.0.1 from FWM 1",
        "delete service FWM 1",
    ]
