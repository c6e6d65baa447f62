"""`keepalive-ctl config fmt`: files in canonical layout."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from keepalive_py.cli.commands import Command
from keepalive_py.cli.commands.config import options_of, reading_arguments
from keepalive_py.cli.given import text_of
from keepalive_py.cli.report import show
from keepalive_py.config.fmt import format_text
from keepalive_py.config.writer import write
from keepalive_py.daemon.loading import read
from keepalive_py.daemon.options import DEFAULT_CONFIG
from keepalive_py.replacing import replace_file


def arguments(parser: argparse.ArgumentParser) -> None:
    named = f"default {DEFAULT_CONFIG}; - is stdin"
    parser.add_argument("files", metavar="FILE", nargs="*", default=[DEFAULT_CONFIG], help=named)
    way = parser.add_mutually_exclusive_group()
    way.add_argument("-w", "--write", action="store_true", help="change the files")
    way.add_argument("--check", action="store_true", help="only name the files that would change")
    way.add_argument(
        "--flat", action="store_true", help="one text with what was understood: no comments, no includes"
    )
    reading_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """0: well; 1: with --check, a file is not in canonical layout; 2: a file cannot be read."""
    if given.flat:
        return max(flat(given, file) for file in given.files)
    act = checked if given.check else rewritten if given.write else printed
    return max(formatted(file, act) for file in given.files)


def formatted(file: str, act: Callable[[str, str, str], int]) -> int:
    try:
        text = text_of(file)
        return act(file, text, format_text(text))
    except BrokenPipeError:  # nobody reads on; that says nothing about the file
        raise
    except OSError as error:
        print(f"{file}: {error.strerror}", file=sys.stderr)
        return 2


def printed(_file: str, _text: str, after: str) -> int:
    sys.stdout.flush()
    sys.stdout.buffer.write(after.encode("utf-8", "surrogateescape"))
    return 0


def checked(file: str, text: str, after: str) -> int:
    if text == after:
        return 0
    print(file)
    return 1


def rewritten(file: str, text: str, after: str) -> int:
    """All of it or nothing, through a link to where it leads, with the mode and the owner kept."""
    if file == "-":
        return printed(file, text, after)
    if text == after:
        return 0
    path = os.path.realpath(file)
    was = os.stat(path)
    owner = (was.st_uid, was.st_gid) if os.geteuid() == 0 else None
    content = after.encode("utf-8", "surrogateescape")
    replace_file(path, content, mode=was.st_mode & 0o7777, owner=owner, durable=True)
    print(file)
    return 0


def flat(given: argparse.Namespace, file: str) -> int:
    """The status of `keepalived -t` for a configuration that cannot be read."""
    loaded = read(options_of(given, file))
    show(loaded.diagnostics, sys.stderr)
    if loaded.config is None:
        return loaded.exit_status or 1
    print(write(loaded.config), end="")
    return 0


COMMAND = Command("config fmt", "files in canonical layout, comments kept", arguments, run)
