"""Counters of the modules."""

from __future__ import annotations

from keepalive_py.toa.statistics import Counter, parse, warnings

TOA = """\
                                  CPU0       CPU1
syn_recv_sock_toa        :         3          4
getname_toa_ok           :         7          0
nonsense
x : y
"""
TTM = """\
                                  CPU0
synrecv_sock_ttm         :         5
synrecv_sock_no_ttm      :         1
getname_ttm_mismatch     :         2
"""


def test_every_processor_has_its_column() -> None:
    found = parse(TOA)

    assert found["syn_recv_sock_toa"] == Counter("syn_recv_sock_toa", (3, 4))
    assert {name: counter.total for name, counter in found.items()} == {
        "syn_recv_sock_toa": 7,
        "getname_toa_ok": 7,
    }


def test_ttm_counts_under_the_names_of_toa() -> None:
    assert {name: counter.total for name, counter in parse(TTM).items()} == {
        "syn_recv_sock_toa": 5,
        "syn_recv_sock_no_toa": 1,
        "getname_toa_mismatch": 2,
    }


def counted(**totals: int) -> dict[str, Counter]:
    return {name: Counter(name, (total,)) for name, total in totals.items()}


def test_growing_mismatches_are_told() -> None:
    before = counted(getname_toa_mismatch=1)

    assert "another module" in warnings(before, counted(getname_toa_mismatch=2))[0]
    assert warnings(before, before) == []


def test_addresses_that_arrive_and_reach_nobody_are_told() -> None:
    before = counted(syn_recv_sock_toa=1, getname_toa_ok=1)

    assert "nobody gets" in warnings(before, counted(syn_recv_sock_toa=2, getname_toa_ok=1))[0]
    assert warnings(before, counted(syn_recv_sock_toa=2, getname_toa_ok=2)) == []


def test_a_module_that_was_loaded_again_starts_from_nothing() -> None:
    assert warnings(counted(getname_toa_mismatch=9), counted(getname_toa_mismatch=0)) == []
    assert warnings({}, counted(getname_toa_mismatch=9)) == []
