"""`keepalive-py -t`: is this configuration well? keepalived's exit status, our diagnostics."""

from __future__ import annotations

import sys
from typing import TextIO

from keepalive_py.cli.report import show
from keepalive_py.config.diagnostics import Severity
from keepalive_py.daemon.loading import Ready, load
from keepalive_py.daemon.options import Options

EXIT_COMMAND_LINE = 1
EXIT_NO_CONFIG = 6


def config_test(options: Options) -> int:
    """Report on stderr, or at the end of the file that -t names."""
    where = options.config_test_log
    if where is None:
        return report(load(options), options, sys.stderr)
    try:
        with open(where, "a", encoding="utf-8", errors="backslashreplace") as out:
            return report(load(options), options, out)
    except OSError as error:
        print(
            f"Unable to open config-test log file {where} {error.errno} - {error.strerror}", file=sys.stderr
        )
        return EXIT_COMMAND_LINE


def report(ready: Ready, options: Options, out: TextIO) -> int:
    """With --strict a configuration that cannot be read is not well (keepalived says 0)."""
    show(ready.diagnostics, out)
    for remark in ready.remarks:
        print(remark, file=out)
    status = ready.exit_status_of_test
    if options.strict and not status and any(each.severity is Severity.ERROR for each in ready.diagnostics):
        return EXIT_NO_CONFIG
    return status
