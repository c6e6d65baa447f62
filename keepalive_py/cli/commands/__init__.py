"""The subcommands of `keepalive-ctl`, one file each.

A file defines `COMMAND`, or several as `COMMANDS`; its name in `cli.ctl.FILES` is all there is to
registering it. A command adds its arguments to a parser, runs with what was parsed, and returns
the exit status.
Names of two words (`config check`) stand under their first one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """`name` is one word or two."""

    name: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def examples(parser: argparse.ArgumentParser, *lines: str) -> None:
    """Shown at the end of the command's help, as they are."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n  ".join(("examples:", *lines))
