"""The story of a cluster: two nodes announce a VIP to two switches, by real routing daemons.

Order and outcome are asserted; how long each took, at the switch's kernel route, is printed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepalive_py.lab import story
from keepalive_py.lab.cluster import VIP, Cluster
from keepalive_py.lab.needs import lacking
from keepalive_py.lab.traffic import Client


@pytest.fixture(scope="module", params=["bird", "frr"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    needs = lacking(request.param)
    if needs:
        pytest.fail(f"lacking: {', '.join(needs)}")
    with tempfile.TemporaryDirectory(prefix="cluster.", dir="/run") as directory:
        Path(directory).chmod(0o755)  # FRR, which drops root, has its directories in it
        built = Cluster(Path(directory), kind=request.param)
        try:
            built.start()
            yield built
        finally:
            built.close()


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[Client]:
    with Client(cluster.client, VIP, 80, pause=0.02, timeout=3) as made:
        yield made


@pytest.mark.parametrize("act", story.ACTS, ids=story.title)
def test_the_story(
    cluster: Cluster, client: Client, act: story.Act, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = story.play(act, cluster, client)
    with capsys.disabled():
        for line in [*stage.told, str(story.cost(client.attempts, stage.began))]:
            print(f"\n  {cluster.kind:5} {story.title(act)}: {line}", end="")
