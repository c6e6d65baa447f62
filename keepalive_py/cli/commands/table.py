"""`keepalive-ctl table`: the IPVS table as the dataplane reads it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator

from keepalive_py.cli.commands import Command
from keepalive_py.config.model import SchedulerFlag
from keepalive_py.dataplane import choose
from keepalive_py.dataplane.port import Counters, ServiceCounters
from keepalive_py.errors import KeepaliveError
from keepalive_py.plan.table import Destination, ServiceEntry, ServiceKey, Table

AllCounters = dict[ServiceKey, ServiceCounters]
NOTHING = Counters()


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON, with counters")
    parser.add_argument("--namespace", help="network namespace whose table it is")


def run(given: argparse.Namespace) -> int:
    try:
        table, counters = asyncio.run(read(given.namespace))
    except (KeepaliveError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if given.json:
        json.dump([entry_as_json(entry, counters) for entry in in_order(table)], sys.stdout, indent=2)
        print()
    else:
        for line in lines(table, counters):
            print(line)
    return 0


async def read(namespace: str | None) -> tuple[Table, AllCounters]:
    dataplane = await choose("ipvs", namespace=namespace, warn=lambda text: print(text, file=sys.stderr))
    try:
        return await dataplane.read(), await dataplane.counters()
    finally:
        await dataplane.close()


def in_order(table: Table) -> list[ServiceEntry]:
    return [table[key] for key in sorted(table, key=str)]


def lines(table: Table, counters: AllCounters) -> Iterator[str]:
    yield f"{'Service':<48} {'Scheduler':<10} Flags"
    yield f"  -> {'Real server':<43} {'Forward':<8} {'Weight':>6} {'Active':>8} {'Inactive':>8}"
    for entry in in_order(table):
        yield f"{service_title(entry.service.key):<48} {entry.service.scheduler:<10} {flags(entry)}".rstrip()
        known = counters.get(entry.service.key)
        for destination in entry.destinations.values():
            yield destination_line(destination, counters_of(known, destination))
        for address in entry.local_addresses:
            yield f"  local address {address}"


def service_title(key: ServiceKey) -> str:
    return str(key)


def flags(entry: ServiceEntry) -> str:
    service = entry.service
    plain = service.flags & ~SchedulerFlag.PERSISTENT  # its timeout says it
    words = [str(flag.name).lower() for flag in SchedulerFlag if flag & plain]
    if service.persistence_timeout:
        words.append(f"persistent {service.persistence_timeout}")
    if service.persistence_engine:
        words.append(f"pe {service.persistence_engine}")
    return " ".join(words)


def destination_line(destination: Destination, found: Counters) -> str:
    return (
        f"  -> {destination.endpoint!s:<43} {destination.forwarding.value:<8} {destination.weight:>6}"
        f" {found.active_connections:>8} {found.inactive_connections:>8}"
    )


def counters_of(known: ServiceCounters | None, destination: Destination) -> Counters:
    return NOTHING if known is None else known.destinations.get(destination.endpoint, NOTHING)


def entry_as_json(entry: ServiceEntry, counters: AllCounters) -> dict[str, object]:
    service, known = entry.service, counters.get(entry.service.key)
    return {
        "service": str(service.key),
        "scheduler": service.scheduler,
        "flags": flags(entry).split(),
        "persistence_timeout": service.persistence_timeout,
        "counters": counters_as_json(NOTHING if known is None else known.service),
        "local_addresses": [str(address) for address in entry.local_addresses],
        "destinations": [
            {
                "endpoint": str(destination.endpoint),
                "forwarding": destination.forwarding.value,
                "weight": destination.weight,
                "upper_threshold": destination.u_threshold,
                "lower_threshold": destination.l_threshold,
                "counters": counters_as_json(counters_of(known, destination)),
            }
            for destination in entry.destinations.values()
        ],
    }


def counters_as_json(found: Counters) -> dict[str, int]:
    return {name: getattr(found, name) for name in Counters.__slots__}


COMMAND = Command("table", "show the kernel's IPVS table", arguments, run)
