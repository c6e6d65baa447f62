"""`keepalive-ctl completion`: for the shell."""

from __future__ import annotations

import argparse

from keepalive_py.checkers import REGISTRY
from keepalive_py.cli.commands import Command
from keepalive_py.cli.completion import script
from keepalive_py.config.build import language


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "shell", choices=("bash", "zsh"), help='bash: eval "$(keepalive-ctl completion bash)"'
    )


def run(given: argparse.Namespace) -> int:
    from keepalive_py.cli.ctl import argument_parser  # it knows this command, too

    print(script(given.shell, argument_parser(), sorted(language(REGISTRY).owners)), end="")
    return 0


COMMAND = Command("completion", "words that complete a command line, for bash or zsh", arguments, run)
