from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.ecmp import linux, tables
from keepalive_py.ecmp.flow import Flow, NextHop
from keepalive_py.ecmp.shares import METHODS, chooser, flows, move, shares
from keepalive_py.ecmp.siphash import siphash
from keepalive_py.net import Protocol

HOPS = tuple(NextHop(name) for name in "abcd")
AMONG = flows(ip_address("192.0.2.10"), 443, 4000)


@pytest.mark.parametrize(("length", "value"), [(0, 0x726FDB47DD0E0E31), (15, 0xA129CA6149BE45E5)])
def test_siphash_gives_the_values_of_its_paper(length: int, value: int) -> None:
    assert siphash(bytes(range(length)), bytes(range(16))) == value


def test_both_directions_of_a_flow_hash_alike() -> None:
    here, there = ip_address("10.0.0.1"), ip_address("192.0.2.10")
    one, other = Flow(here, there, Protocol.TCP, 4000, 80), Flow(there, here, Protocol.TCP, 80, 4000)
    assert linux.flow_hash(one, 7) == linux.flow_hash(other, 7)


def test_layer_three_does_not_look_at_ports() -> None:
    here, there = ip_address("10.0.0.1"), ip_address("192.0.2.10")
    one, other = (Flow(here, there, Protocol.TCP, port, 80) for port in (4000, 4001))
    assert linux.flow_hash(one, 7, linux.LAYER3) == linux.flow_hash(other, 7, linux.LAYER3)
    assert linux.flow_hash(one, 7) != linux.flow_hash(other, 7)


@given(st.integers(0, 2**31 - 1), st.lists(st.integers(1, 256), min_size=1, max_size=8))
def test_a_choice_is_the_share_that_the_hash_falls_in(value: int, weights: list[int]) -> None:
    hops = [NextHop(str(place), weight) for place, weight in enumerate(weights)]
    place = int(linux.choose(value, hops).name)
    below = sum(weights[:place]) / sum(weights) * 2**31
    above = sum(weights[: place + 1]) / sum(weights) * 2**31
    assert below - 1 <= value <= above + 1


@pytest.mark.parametrize("method", METHODS)
def test_flows_are_spread_by_weight(method: str) -> None:
    found = shares(chooser(method, HOPS, seed=7), AMONG)
    assert found == pytest.approx(dict.fromkeys("abcd", 0.25), abs=0.04)


def test_a_heavier_next_hop_gets_more_with_linux() -> None:
    found = shares(chooser("linux-l4", [NextHop("a"), NextHop("b", 3)], seed=7), AMONG)
    assert found == pytest.approx({"a": 0.25, "b": 0.75}, abs=0.04)


def test_with_a_resilient_table_only_flows_of_the_one_that_leaves_move() -> None:
    result = move("resilient", HOPS, HOPS[1:], AMONG)
    assert result.needlessly == 0
    assert result.moved == pytest.approx(0.25, abs=0.04)


def test_with_modulo_most_flows_move() -> None:
    assert move("modulo", HOPS, HOPS[1:], AMONG).moved == pytest.approx(0.75, abs=0.04)


NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True)


@given(NAMES, NAMES)
def test_a_resilient_table_changes_no_more_than_it_must(before: list[str], after: list[str]) -> None:
    buckets = 64
    table = tables.resilient(before, buckets)
    new = tables.changed(table, after)
    assert set(new) == set(after)
    counts = [new.count(name) for name in after]
    assert max(counts) - min(counts) <= 1
    moved = sum(was != now for was, now in zip(table, new, strict=True))
    gone = sum(table.count(name) for name in before if name not in after)
    # Those of who left, and what it takes to fill up who came.
    joined = sum(new.count(name) for name in after if name not in before)
    assert moved <= max(gone, joined) + len(after)
