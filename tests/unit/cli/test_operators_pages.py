"""Every command that the operators' pages and the help name is one that there is."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepalive_py.cli.ctl import argument_parser

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("control.md", "runbook.md")
QUOTED = re.compile(r"`(keepalive-ctl [^`]+)`")
WHOLE = re.compile(r"^ {4}(?:\$ )?(keepalive-ctl .*?)(?:\s{2,}#.*)?$", re.MULTILINE)


def commands(text: str) -> Iterator[str]:
    for found in (*QUOTED.findall(text), *WHOLE.findall(text)):
        command = re.split(r"\s*>", found, maxsplit=1)[0]  # what is written into a file
        if "…" not in command and command != "keepalive-ctl: no daemon answers":
            yield command.strip()


def all_commands() -> list[str]:
    pages = [(DOCS / page).read_text() for page in PAGES]
    examples = [line.strip() for line in helps(argument_parser()) if line.startswith("  keepalive-ctl ")]
    pages.append("".join(f"`{line}`\n" for line in examples))
    return sorted({command for text in pages for command in commands(text)})


def helps(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield from (parser.epilog or "").splitlines()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from helps(below)


def test_there_are_some() -> None:
    assert len(all_commands()) > 20


@pytest.mark.parametrize("command", all_commands())
def test_a_command_of_the_pages(command: str) -> None:
    words = shlex.split(command.replace("SERVER", "10.0.0.5").replace(" N`", " 1"))
    argument_parser().parse_args(words[1:])
