"""Files of the state directory with anything in them: a daemon starts, and does without."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from daemon_rig import config_of, virtual_server

from keepalive_py.announcer.drains import Drain, Drains
from keepalive_py.announcer.ownership import Ownership, boot_id
from keepalive_py.control.journal import Journal
from keepalive_py.daemon.generations import Generations
from keepalive_py.daemon.ownership import keys_of, owned_before, remember_owned
from keepalive_py.daemon.state_directory import StateDirectory
from keepalive_py.daemon.steering import Steering
from keepalive_py.health.override import Action, Override
from keepalive_py.sources.capture import Capture

HOSTILE = (None, True, -1, 10**30, 10**400, 1e300, math.inf, math.nan, "", "x\ud800", [], [[]], {}, {"a": {}})

OWNED = "owned_services.json"
OVERRIDES = "overrides.json"
CONFIGURATIONS = ("config/1.json", "config/1.files.json", "config/pin.json")


def damaged(value: Any) -> Iterator[Any]:
    """`value` with one part of it replaced, in every way."""
    yield from HOSTILE
    if isinstance(value, dict):
        for name, part in value.items():
            yield {each: one for each, one in value.items() if each != name}
            yield from ({**value, name: other} for other in damaged(part))
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from ([*value[:at], other, *value[at + 1 :]] for other in damaged(part))


def written(directory: StateDirectory) -> None:
    """All that a daemon leaves, with something in it."""
    remember_owned(directory, keys_of(config_of(virtual_server("192.0.2.1") + MARK)))
    generations = Generations(directory)
    generations.add(Capture("lb.conf", None, {"lb.conf": b"a"}, {}, {"*.conf": ("lb.conf",)}), 1.0, 1, 2)
    directory.write_json("config/pin.json", {"generation": 1, "digest": "d"})
    override = Override(action=Action.WEIGHT, server="192.0.2.1", weight=3, until=4e9)
    directory.write_json(OVERRIDES, {"overrides": [override.as_json()]})
    directory.write_json("drains.json", {"all": asdict(Drain("me", "why", 1.0, 4e9))})
    owned = {"boot_id": boot_id(), "addresses": {"192.0.2.1": ["lo"]}}
    directory.write_json("announcer.json", owned)


MARK = """
virtual_server fwmark 3 {
 lb_algo rr
 lb_kind NAT
 real_server 192.0.2.1 80 {
 }
}
"""


def look_at_generations(directory: StateDirectory) -> None:
    generations = Generations(directory)
    generations.pin()
    for each in (*generations.all(), generations.find(1)):
        if each is not None:
            generations.texts(each.number)


def load_steering(directory: StateDirectory) -> None:
    steering = Steering(directory, Journal(), lambda which: None)
    # The timer needs a loop; what was understood needs none.
    steering.arm = lambda: None  # type: ignore[method-assign]
    steering.load()


READERS: list[tuple[str, Callable[[StateDirectory], object]]] = [
    (OWNED, owned_before),
    *((name, look_at_generations) for name in CONFIGURATIONS),
    (OVERRIDES, load_steering),
    ("drains.json", lambda directory: Drains(directory.path).read()),
    ("announcer.json", lambda directory: Ownership(directory.path).load()),
]


@pytest.mark.parametrize(("name", "read"), READERS)
def test_no_content_keeps_a_daemon_from_its_start(
    name: str, read: Callable[[StateDirectory], object], tmp_path: Path
) -> None:
    directory = StateDirectory(str(tmp_path), lambda why: None)
    written(directory)
    read(directory)
    path = tmp_path / name
    content = path.read_bytes()
    cases = [json.dumps(each).encode() for each in damaged(json.loads(content))]
    cases += [b"", b"\0" * 4096, b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000, content[:-9]]
    for case in cases:
        path.write_bytes(case)
        try:
            read(directory)
        except Exception as error:
            raise AssertionError(f"{case[:300]!r}") from error
