"""A table that somebody made by hand becomes a configuration that asks for exactly that table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.namespace import Namespace
from lab.needs import lacking

LACKING = lacking("ipvsadm")
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

BY_HAND = """\
-A -t 10.0.0.1:80 -s wrr -p 360 -M 255.255.255.0
-a -t 10.0.0.1:80 -r 192.0.2.1:8080 -m -w 3
-a -t 10.0.0.1:80 -r 192.0.2.2:8080 -m -w 0
-A -u 10.0.0.1:53 -s rr -o
-a -u 10.0.0.1:53 -r 192.0.2.3:53 -g -w 1
-A -t [2001:db8::1]:443 -s sh -b sh-port
-a -t [2001:db8::1]:443 -r [2001:db8::2]:443 -g -w 5
-A -t 10.0.0.2:25 -s wlc
-a -t 10.0.0.2:25 -r 192.0.2.4:25 -i -w 2
-a -t 10.0.0.2:25 -r 192.0.2.5:25 -m -w 2
-A -f 7 -s lc -p 50
-a -f 7 -r 192.0.2.6:0 -g -w 1
-A -f 7 -6 -s rr
-a -f 7 -6 -r [2001:db8::3]:0 -g -w 1
"""


EDITED = "-e -t 10.0.0.1:80 -r 192.0.2.1:8080 -m -w 3 -x 9 -y 4"


@pytest.fixture
def node() -> Iterator[Namespace]:
    made = Namespace("import")
    made.output(["ipvsadm", "-R"], stdin=BY_HAND)
    yield made
    made.close()


def ctl(node: Namespace, *words: str) -> str:
    return node.output([str(Path(sys.executable).parent / "keepalive-ctl"), "config", *words])


@pytest.mark.parametrize("way", ["the table", "ipvsadm"])
def test_there_and_back(way: str, node: Namespace, tmp_path: Path) -> None:
    saved, config = tmp_path / "saved", tmp_path / "lb.conf"
    if way == "ipvsadm":
        saved.write_text(node.output(["ipvsadm", "-Sn"]))
        config.write_text(ctl(node, "import", "--from", str(saved)))
    else:  # ipvsadm does not save thresholds, the table has them
        node.output(["ipvsadm", *EDITED.split()])
        config.write_text(ctl(node, "import"))
    assert ctl(node, "plan", "--dataplane=ipvs", str(config)) == "", config.read_text()
    node.output(["ipvsadm", "-C"])
    assert "add service TCP 10.0.0.1:80 scheduler wrr" in ctl(node, "plan", "--dataplane=ipvs", str(config))
