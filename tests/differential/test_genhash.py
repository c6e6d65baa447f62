"""`keepalive-ctl genhash` prints what keepalived's genhash prints."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from collections.abc import Iterator

import pytest
from lab.namespace import Namespace
from lab.needs import lacking
from lab.servers import Answer, Server, self_signed

LACKING = lacking("genhash", "openssl")
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

OURS = [sys.executable, "-c", "import sys; from keepalive_py.cli import genhash as g; g.main(sys.argv[1:])"]
BODY = b"some words\nand \x01\x02\xff, more than one line of sixteen\n"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return self_signed(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def node(tls: ssl.SSLContext) -> Iterator[Namespace]:
    """With a server that speaks HTTP at port 80, and TLS at 443."""
    namespace = Namespace("genhash")
    for port, kind in ((80, "http"), (443, "tls")):
        server = Server(namespace, "127.0.0.1", port, kind=kind, tls=tls if kind == "tls" else None)
        server.answers = {"": Answer(body=BODY), "/gone": Answer(404, BODY)}
        server.be("serve")
    yield namespace
    namespace.close()


@pytest.mark.parametrize(
    "options",
    [
        "-p 80 -u /",
        "-v -p 80 -u /gone -V www.example",
        "-S -p 443 -u /",
        "-v -S -p 443 -u / -P 1.1",
        "-p 1 -u /",
    ],
)
def test_the_output_is_that_of_genhash(node: Namespace, options: str) -> None:
    words = ["-s", "127.0.0.1", *options.split()]

    assert told(node, [*OURS, *words]) == told(node, ["genhash", *words])


def told(node: Namespace, command: list[str]) -> tuple[int, str]:
    """The exit status and the output, but for how long it took."""
    child = node.call(subprocess.Popen, command, stdout=subprocess.PIPE)
    said = child.communicate(timeout=60)[0].decode()
    return child.returncode, re.sub(r"= \d+ usecs", "", said)
