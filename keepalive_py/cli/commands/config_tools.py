"""`keepalive-ctl config lint` and `config import`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import replace
from ipaddress import IPv4Address

from keepalive_py.checkers import REGISTRY
from keepalive_py.cli.commands import Command
from keepalive_py.cli.commands.config import FORMATS, file_arguments, format_arguments, options_of
from keepalive_py.cli.given import text_of as text_from
from keepalive_py.cli.report import show
from keepalive_py.config.adopt import Found, Real, from_ipvsadm, text_of
from keepalive_py.config.diagnostics import Diagnostic
from keepalive_py.config.forwarding import Tunnel, TunnelChecksum, TunnelType
from keepalive_py.config.lint import lint as doubts
from keepalive_py.config.model import SchedulerFlag
from keepalive_py.config.render import as_json
from keepalive_py.daemon.loading import read
from keepalive_py.dataplane import choose
from keepalive_py.errors import KeepaliveError
from keepalive_py.net import Family
from keepalive_py.plan.table import Destination, Service, ServiceEntry, Table


def lint_arguments(parser: argparse.ArgumentParser) -> None:
    file_arguments(parser)
    format_arguments(parser)


def lint(given: argparse.Namespace) -> int:
    """0: nothing doubtful; 1: something is; 2: the configuration cannot be run."""
    loaded = read(options_of(given, given.file))
    if loaded.config is None:
        show(loaded.diagnostics, sys.stderr)
        return 2
    found = doubts(loaded.config)
    if given.format in FORMATS:
        print(FORMATS[given.format](found), end="")
    elif given.format == "json":
        print(json.dumps([as_json(each) for each in found], indent=2))
    else:
        show(found, sys.stdout)
    return 1 if found else 0


def import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="saved", metavar="FILE", help="output of `ipvsadm -Sn` (- for stdin)")
    parser.add_argument(
        "--check",
        metavar="KIND",
        choices=sorted(REGISTRY),
        help="give every real server this check, such as TCP_CHECK",
    )
    parser.add_argument("--namespace", help="network namespace whose table it is")


def run_import(given: argparse.Namespace) -> int:
    """0: the configuration is printed; 1: the table cannot be read, or not all of it was understood."""
    try:
        services, trouble = _services(given)
    except (KeepaliveError, OSError) as error:
        print(f"{given.saved}: {error.strerror}" if isinstance(error, OSError) else error, file=sys.stderr)
        return 1
    show(trouble, sys.stderr)
    print(text_of(services, given.check), end="")
    return 1 if trouble else 0


def _services(given: argparse.Namespace) -> tuple[list[Found], list[Diagnostic]]:
    if given.saved is None:
        return from_table(asyncio.run(_read(given.namespace))), []
    return from_ipvsadm(text_from(given.saved), given.saved)


async def _read(namespace: str | None) -> Table:
    dataplane = await choose("ipvs", namespace=namespace, warn=lambda text: print(text, file=sys.stderr))
    try:
        return await dataplane.read()
    finally:
        await dataplane.close()


FLAGS = {
    SchedulerFlag.ONE_PACKET: "ops",
    SchedulerFlag.SCHED1: "flag-1",
    SchedulerFlag.SCHED2: "flag-2",
    SchedulerFlag.SCHED3: "flag-3",
}
TUNNEL_CHECKSUMS = {
    TunnelChecksum.NOCSUM: "nocsum",
    TunnelChecksum.CSUM: "csum",
    TunnelChecksum.REMCSUM: "remcsum",
}


def from_table(table: Table) -> list[Found]:
    """A table's services, in the order of their names."""
    return [_found(table[key]) for key in sorted(table, key=str)]


def _found(entry: ServiceEntry) -> Found:
    service, key = entry.service, entry.service.key
    found = Found(
        head=f"fwmark {key.fwmark}"
        if key.endpoint is None
        else f"{key.endpoint.address} {key.endpoint.port}",
        protocol=key.protocol.name if key.protocol else None,
        scheduler=service.scheduler,
        flags=tuple(word for flag, word in FLAGS.items() if flag in service.flags),
        persistence=service.persistence_timeout,
        netmask=_netmask(service),
        engine=service.persistence_engine,
        reals=tuple(map(_real, entry.destinations.values())),
    )
    if key.endpoint is not None:
        return found
    return replace(found, family="inet6" if key.family is Family.INET6 else "inet")


def _netmask(service: Service) -> str | None:
    whole = 128 if service.key.family is Family.INET6 else 0xFFFFFFFF
    if service.netmask == whole or not service.persistence_timeout:
        return None
    return str(service.netmask if whole == 128 else IPv4Address(service.netmask))


def _real(to: Destination) -> Real:
    words = [to.forwarding.value]
    if to.tunnel != Tunnel():
        words += ["type", to.tunnel.type.name.lower()]
        if to.tunnel.type is TunnelType.GUE:
            words += ["port", str(to.tunnel.port)]
        words.append(TUNNEL_CHECKSUMS[to.tunnel.checksum])
    address, port = str(to.endpoint.address), to.endpoint.port
    return Real(address, port, " ".join(words), to.weight, to.u_threshold, to.l_threshold)


LINT = Command("config lint", "settings that are allowed and doubtful", lint_arguments, lint)
IMPORT = Command("config import", "a configuration from a live table", import_arguments, run_import)
COMMANDS = (LINT, IMPORT)
