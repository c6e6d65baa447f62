"""`keepalive-ctl`: the operator's tool. Its subcommands are in `commands/`."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import errno
import importlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from keepalive_py import __version__
from keepalive_py.cli.client import VARIABLE, control_argument
from keepalive_py.cli.commands import Command
from keepalive_py.config.spelling import nearest
from keepalive_py.daemon.paths import control_name

# The files of `commands/`, in the order in which --help has what is in them.
FILES = (
    "status",
    "live",
    "check",
    "dashboard",
    "events",
    "token",
    "steer",
    "config",
    "config_fmt",
    "config_versions",
    "config_render",
    "config_explain",
    "config_tools",
    "table",
    "sessions",
    "local_addresses",
    "genhash",
    "announcer",
    "feed",
    "render",
    "ecmp",
    "completion",
    "toa",
    "lab",
)
ANYTHING = "keepalive-ctl"  # how output is encoded: whatever it is
GROUPS = {
    "check": "`check now`: run a server's checks without waiting",
    "config": "check, compare, explain, apply configurations; go back to an older one",
    "announcer": "virtual addresses and their announcement by BGP",
    "toa": "kernel modules that give a real server the client's address",
    "lab": "a cluster to try things with, in network namespaces of this machine",
}


def main(words: Sequence[str] | None = None) -> int:
    open_what_is_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=ANYTHING)
    try:
        try:
            return run(sys.argv[1:] if words is None else words)
        finally:
            sys.stdout.flush()  # at the end of the interpreter it would be too late to say what is wrong
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # the boundary: an operator never sees a traceback
        if isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.ENOSPC):
            drop_output()
            if error.errno == errno.ENOSPC:
                print(f"keepalive-ctl: {error.strerror}", file=sys.stderr)
            return 1
        print(f"keepalive-ctl: internal error: {type(error).__name__}: {error}", file=sys.stderr)
        if os.environ.get("KEEPALIVE_PY_DEBUG"):
            raise
        return 70


def anything(error: UnicodeError) -> tuple[str | bytes, int]:
    """Bytes of names and files that are not UTF-8 as they are; what the locale cannot say, as numbers."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


codecs.register_error(ANYTHING, anything)


def run(words: Sequence[str]) -> int:
    parser = argument_parser(words[0] if words else "")
    if not words:
        parser.print_help(sys.stderr)
        return 2
    arguments = parser.parse_args(words)
    return int(arguments.run(arguments))


def open_what_is_closed() -> None:
    """By whoever started us, as with `>&-`. Standard output first, so that each gets its number."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  as long as we last


def drop_output() -> None:
    """What is still in the buffer goes nowhere, instead of failing once more."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def commands(word: str = "") -> Iterator[Command]:
    """Every command. Where a file has the name of the command that is meant, those of that file
    alone: importing the others may take longer than all that the command does."""
    file = word.replace("-", "_")
    for name in (file,) if file in FILES and word not in GROUPS else FILES:
        found = importlib.import_module(f"keepalive_py.cli.commands.{name}")
        yield from getattr(found, "COMMANDS", None) or (found.COMMAND,)


class Parser(argparse.ArgumentParser):
    """A misspelt word is answered with the one that was meant."""

    def _check_value(self, action: argparse.Action, value: object) -> None:
        known = [str(each) for each in action.choices or ()]
        if action.choices is None or value in action.choices:
            return
        close = nearest(str(value), known)
        hint = f"did you mean `{close}`?" if close else f"it may be {', '.join(known)}"
        raise argparse.ArgumentError(action, f"`{value}` is not known: {hint}")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """What is left over is told here, where its command's options are known."""
        found, left = super().parse_known_args(args, namespace)
        options = [each.partition("=")[0] for each in left if each.startswith("-")]
        close = nearest(options[0], self._option_string_actions) if options else None
        if close:
            self.error(f"`{options[0]}` is not known: did you mean `{close}`?")
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}")
        return found, left


def argument_parser(word: str = "") -> argparse.ArgumentParser:
    parser = Parser(
        prog="keepalive-ctl",
        description="Look into the daemon of an LVS node, steer it, and work with its configuration.",
        epilog="`keepalive-ctl COMMAND --help` has the options of each, and examples.",
    )
    parser.add_argument("--version", action="version", version=f"keepalive-ctl {__version__}")
    control_argument(parser, default=os.environ.get(VARIABLE) or control_name())
    top = parser.add_subparsers(metavar="COMMAND", required=True)
    groups: dict[str, argparse._SubParsersAction[Parser]] = {}
    for command in commands(word):
        group, _, word = command.name.rpartition(" ")
        if group and group not in groups:
            below = top.add_parser(group, help=GROUPS[group])
            groups[group] = below.add_subparsers(metavar="COMMAND", required=True)
        place = groups[group] if group else top
        below = place.add_parser(word, help=command.help, description=command.help)
        command.arguments(below)
        below.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
