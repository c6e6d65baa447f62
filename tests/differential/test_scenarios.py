"""Real keepalived and keepalive-py perform the same scenarios, and the same must be seen.

After every step the kernel's table, the notify calls, the FIFO, the log lines about state
changes, the requests the real servers got and the exit status are compared. What we do
otherwise on purpose is listed in differences.toml, line by line, with the reason.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from lab import compare, stage
from lab.daemons import Daemon, Keepalived, PreloadedKeepalivePy
from lab.namespace import Namespace
from lab.needs import lacking
from lab.preload import Preload
from lab.scenario import Scenario, load
from lab.servers import self_signed
from lab.stage import Record

HERE = Path(__file__).parent
SCENARIOS = {one.id: one for one in load(HERE / "scenarios")}
MEANT = compare.meant(HERE / "differences.toml")
LACKING = lacking("keepalived", "ipvsadm", "ip", "openssl")

Both = tuple[Future[list[Record]], Future[list[Record]]]
Performances = tuple[dict[str, Both], Callable[[Scenario], Both]]


def keepalived(namespace: Namespace, directory: Path, options: tuple[str, ...]) -> Daemon:
    return Keepalived(namespace, directory, options=options)


@pytest.fixture(scope="session")
def performances(request: pytest.FixtureRequest) -> Iterator[Performances]:
    """Every selected scenario, performed by both, side by side in the background."""
    with tempfile.TemporaryDirectory() as directory:
        tls = self_signed(Path(directory))
    preload = Preload()

    def ours(namespace: Namespace, path: Path, options: tuple[str, ...]) -> Daemon:
        return PreloadedKeepalivePy(namespace, path, preload, options=options)

    with ThreadPoolExecutor(stage.AT_ONCE) as stages:

        def perform(one: Scenario) -> Both:
            return (
                stages.submit(stage.perform, one, keepalived, tls),
                stages.submit(stage.perform, one, ours, tls),
            )

        yield {one.id: perform(one) for one in _selected(request)}, perform
        stages.shutdown(cancel_futures=True)
    preload.close()


def _selected(request: pytest.FixtureRequest) -> list[Scenario]:
    named = [
        item.callspec.params.get("scenario") for item in request.session.items if hasattr(item, "callspec")
    ]
    return [SCENARIOS[name] for name in named if name in SCENARIOS]


@pytest.mark.skipif(bool(LACKING), reason=LACKING)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_keepalive_py_does_what_keepalived_does(scenario: str, performances: Performances) -> None:
    performed, perform = performances

    trouble = _trouble(scenario, performed[scenario])
    if trouble:
        # Many share one slow processor, and a step's records are cut by time: a difference
        # counts when it is there a second time as well.
        trouble = _trouble(scenario, perform(SCENARIOS[scenario]))
    assert not trouble, trouble


def _trouble(scenario: str, performed: Both) -> str:
    theirs, ours = (performance.result() for performance in performed)
    found = compare.differences(scenario, theirs, ours)
    return compare.verdict(found, [one for one in MEANT if one.scenario == scenario])


def test_every_listed_difference_is_of_a_scenario() -> None:
    assert {one.scenario for one in MEANT} <= set(SCENARIOS)
