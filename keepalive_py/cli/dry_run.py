"""`keepalive-py --dry-run`: the steps that a start would take, and nothing done."""

from __future__ import annotations

import asyncio
import sys
import time

from keepalive_py.cli.report import show
from keepalive_py.config.model import Config
from keepalive_py.daemon.loading import Ready, load
from keepalive_py.daemon.options import Options
from keepalive_py.dataplane import agent_of, choose
from keepalive_py.errors import KeepaliveError
from keepalive_py.health.lifecycle import start
from keepalive_py.plan.desired import desired
from keepalive_py.plan.diff import diff
from keepalive_py.plan.marks import NO_MARKS, MarkSettings, allocate
from keepalive_py.plan.steps import Step

EXIT_FATAL = 1


def dry_run(options: Options) -> int:
    ready = load(options)
    show(ready.diagnostics, sys.stderr)
    if ready.config is None:
        return ready.exit_status_at_start
    return asyncio.run(print_plan(ready, options))


async def print_plan(ready: Ready, options: Options) -> int:
    assert ready.config is not None
    try:
        steps = await plan(ready.config, options)
    except (KeepaliveError, OSError) as error:
        print(f"the table cannot be read: {error}", file=sys.stderr)
        return EXIT_FATAL
    for step in steps:
        print(step)
    print(f"{len(steps)} steps", file=sys.stderr)
    return 0


async def plan(config: Config, options: Options) -> list[Step]:
    """From the table as it is to the table at the start of `config`, before any check has run.
    Services that the configuration does not name are left alone."""
    dataplane = await choose(
        options.dataplane,
        namespace=config.global_defs.net_namespace_ipvs,
        warn=lambda text: print(text, file=sys.stderr),
        agent=agent_of(config),
        marks=MarkSettings.of(config.global_defs),
    )
    try:
        have = {} if config.global_defs.lvs_flush else await dataplane.read()
    finally:
        await dataplane.close()
    services, _events = start(config, time.monotonic())
    marks = allocate(config, NO_MARKS, have) if dataplane.serves_by_mark else NO_MARKS
    want = desired(config, services, holds=dataplane.service_options, marks=marks)
    return diff(want, have, owned=frozenset())
