"""How the daemon speaks: structlog in front, any number of sinks behind.

`structlog.get_logger().info(text, kind=…, vs=…, rs=…, reason=…)`: the text form
prints the text alone, in keepalived's words; the JSON form has the fields as well.
Nothing is logged for a probe that changes nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping

import structlog

from keepalive_py.daemon.options import Options
from keepalive_py.daemon.sinks import Console, LogFile, LogLine, Sink, Syslog, is_journal

INFO, DEBUG = 20, 10  # the numbers of the logging module


class Outputs:
    """structlog's last processor: hands each line to every sink, and ends it there."""

    def __init__(self) -> None:
        self.sinks: list[Sink] = []

    def __call__(self, _logger: object, level: str, fields: Mapping[str, object]) -> str:
        rest = dict(fields)
        text = str(rest.pop("event", ""))
        if "kind" in rest:  # structlog itself calls the text `event`
            rest["event"] = rest.pop("kind")
        line = LogLine(time.time(), level, text, rest)
        for sink in self.sinks:
            sink.write(line)
        raise structlog.DropEvent

    def replace(self, sinks: Iterable[Sink]) -> None:
        self.close()
        self.sinks = list(sinks)

    def reopen(self) -> None:
        for sink in self.sinks:
            if isinstance(sink, LogFile):
                sink.reopen()

    def close(self) -> None:
        for sink in self.sinks:
            sink.close()
        self.sinks = []


OUTPUTS = Outputs()


def configure(options: Options, ident: str, stderr: int = 2) -> None:
    """Send log lines where the command line says. Raises OSError for a log file that
    cannot be opened."""
    level = DEBUG if options.log_detail else INFO
    structlog.configure(
        processors=[OUTPUTS],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    OUTPUTS.replace(sinks_for(options, ident, stderr))


def sinks_for(options: Options, ident: str, stderr: int) -> list[Sink]:
    form = options.log_format
    sinks: list[Sink] = []
    journal = is_journal(stderr, os.environ)
    on_console = options.log_console and options.foreground
    if on_console:
        sinks.append(Console(stderr, form, journal))
    if options.log_file is not None:
        sinks.append(LogFile(options.log_file, form))
    if options.log_syslog and not (on_console and journal):  # the journal would have it twice
        sinks.append(Syslog(ident, options.log_facility, form))
    return sinks


def ident(options: Options, namespace: str | None, instance: str | None) -> str:
    """The syslog ident, with namespace and instance appended as keepalived does."""
    return "_".join(word for word in (options.log_ident, namespace, instance) if word)
