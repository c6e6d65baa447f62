"""`keepalive-ctl genhash`."""

from __future__ import annotations

from keepalive_py.cli import genhash
from keepalive_py.cli.commands import Command

COMMAND = Command(
    "genhash", "print the digest that an HTTP_GET check compares", genhash.add_arguments, genhash.run
)
