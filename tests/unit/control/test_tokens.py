"""The file of tokens."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from keepalive_py.cli.ctl import main
from keepalive_py.control.caller import Caller, Role
from keepalive_py.control.tokens import BadTokens, read_tokens

LONG = "a-token-that-is-long-enough"


def written(tmp_path: Path, text: str, mode: int = 0o600) -> str:
    path = tmp_path / "tokens"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_tokens_and_digests(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"the other one").hexdigest()
    text = f"# who may ask\n\ngrafana read-only sha256:{digest}\nalice   operator {LONG}\n"
    tokens = read_tokens(written(tmp_path, text))
    assert tokens.caller(LONG) == Caller("alice", Role.OPERATOR)
    assert tokens.caller("the other one") == Caller("grafana", Role.READER)
    for wrong in ("", LONG[:-1], LONG + "x", digest, f"sha256:{digest}", "\udcff"):
        assert tokens.caller(wrong) is None, wrong


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_file_that_others_may_use(tmp_path: Path, mode: int) -> None:
    with pytest.raises(BadTokens, match="others may use it"):
        read_tokens(written(tmp_path, f"a operator {LONG}\n", mode))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("alice operator", ":1: 2 words"),
        (f"alice admin {LONG}", "`admin` is no role; there are read-only, operator"),
        ("alice operator short", "fewer than 20 characters"),
        ("alice operator sha256:abcd", "no SHA-256"),
        ("alice operator sha256:xyz", "no SHA-256"),
    ],
)
def test_lines_that_are_wrong(tmp_path: Path, line: str, text: str) -> None:
    with pytest.raises(BadTokens) as caught:
        read_tokens(written(tmp_path, line))
    assert text in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadTokens, match="No such file"):
        read_tokens(str(tmp_path / "none"))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(b"\xff\xfe operator x\n")
    path.chmod(0o600)
    with pytest.raises(BadTokens, match="UTF-8"):
        read_tokens(str(path))


def test_a_new_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "grafana", "--role", "operator"]) == 0
    said = capsys.readouterr()
    tokens = read_tokens(written(tmp_path, said.out))
    assert tokens.caller(said.err.split()[-1]) == Caller("grafana", Role.OPERATOR)
