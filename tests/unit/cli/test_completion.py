"""Completion, asked as the shell asks."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from keepalive_py.cli.ctl import commands, main

ASK = 'source /dev/stdin\nCOMP_WORDS=({words})\nCOMP_CWORD={at}\n{function}\necho "${{COMPREPLY[@]}}"\n'


@pytest.fixture
def made(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", "bash"]) == 0
    return capsys.readouterr().out


def completed(made: str, *words: str, function: str = "_keepalive_ctl") -> set[str]:
    quoted = " ".join(f"'{word}'" for word in words)
    ask = ASK.format(words=quoted, at=len(words) - 1, function=function)
    found = subprocess.run(
        ["bash", "-c", ask], input=made, capture_output=True, text=True, timeout=30, check=True
    )
    assert found.stderr == ""
    return set(found.stdout.split())


def test_commands(made: str) -> None:
    top = {command.name.split()[0] for command in commands()}
    assert top <= completed(made, "keepalive-ctl", "")
    assert completed(made, "keepalive-ctl", "config", "ro") == {"rollback"}


def test_options_and_choices(made: str) -> None:
    assert completed(made, "keepalive-ctl", "config", "apply", "--c") == {"--confirm", "--control"}
    assert completed(made, "keepalive-ctl", "completion", "") >= {"bash", "zsh"}


def test_values_of_options(made: str) -> None:
    assert completed(made, "keepalive-ctl", "servers", "--state", "") == {"up", "down"}
    assert completed(made, "keepalive-ctl", "servers", "--state", "down", "--s") == {"--service", "--state"}
    assert completed(made, "keepalive-ctl", "token", "me", "--role", "o") == {"operator"}


def test_keywords_of_the_language(made: str) -> None:
    assert completed(made, "keepalive-ctl", "config", "keyword", "persistence_t") == {"persistence_timeout"}


def test_the_daemon(made: str) -> None:
    found = completed(made, "keepalive-py", "--max", function="_keepalive_py")
    assert found == {"--max-removals="}


def test_zsh_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("#compdef keepalive-ctl keepalive-py\n")
    if shutil.which("zsh"):
        assert subprocess.run(["zsh", "-n"], input=text, text=True, timeout=30).returncode == 0
