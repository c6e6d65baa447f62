"""`keepalive-ctl token NAME`: a new token for the API on TCP."""

from __future__ import annotations

import argparse
import hashlib
import re
import secrets
import sys

from keepalive_py.cli.commands import Command, examples
from keepalive_py.control.tokens import DIGEST, ROLES


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=name, help="whose it is: shown with what its bearer does")
    parser.add_argument("--role", choices=tuple(ROLES), default="read-only", help="default: read-only")
    examples(parser, "keepalive-ctl token grafana >>/etc/keepalive_py/tokens")


def name(text: str) -> str:
    if not re.fullmatch(r"[\w.@-]{1,64}", text):
        raise argparse.ArgumentTypeError(f"`{text}` is no name: letters, digits and . _ @ - only")
    return text


def run(given: argparse.Namespace) -> int:
    """The line goes to standard output, the token itself to standard error, once and nowhere else."""
    token = secrets.token_urlsafe(32)
    print(f"{given.name} {given.role} {DIGEST}{hashlib.sha256(token.encode()).hexdigest()}")
    print(f"the token of {given.name}: {token}", file=sys.stderr)
    return 0


COMMAND = Command("token", "make a token: its line for the file, and the token itself", arguments, run)
