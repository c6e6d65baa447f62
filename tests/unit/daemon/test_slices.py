"""How a reload is cut into parts."""

from __future__ import annotations

from daemon_rig import config_of, virtual_server
from hypothesis import given
from hypothesis import strategies as st

from keepalive_py.config.model import Config
from keepalive_py.daemon.slices import reload_slices
from keepalive_py.health.lifecycle import start
from keepalive_py.health.reload import identity

numbers = st.lists(st.integers(0, 9), max_size=30)  # some repeat: twins


def config(addresses: list[int]) -> Config:
    return config_of("".join(virtual_server("192.0.2.1", address=f"10.0.0.{each}") for each in addresses))


@given(numbers, numbers, st.integers(1, 5))
def test_every_virtual_server_has_its_turn_once_and_twins_together(
    before: list[int], after: list[int], size: int
) -> None:
    services, _events = start(config(before), 0.0)
    wanted = config(after).virtual_servers
    parts = list(reload_slices(services, wanted, size))
    assert sorted(id(each) for old, _ in parts for each in old) == sorted(map(id, services))
    assert sorted(place for _, new in parts for place in new) == list(range(len(wanted)))
    homes: dict[object, set[int]] = {}
    for number, (old, new) in enumerate(parts):
        for vs in [*(each.vs for each in old), *(wanted[place] for place in new)]:
            homes.setdefault(identity(vs), set()).add(number)
    assert all(len(where) == 1 for where in homes.values())


def test_what_is_gone_comes_first() -> None:
    services, _events = start(config([1, 2, 3]), 0.0)
    first = next(iter(reload_slices(services, config([2]).virtual_servers)))
    assert first == ([services[0], services[2]], [])
