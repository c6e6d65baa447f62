"""What this host can do, found out by trying: yes, missing (and what it needs), or could
not tell (and why).

Schedulers are tried out in a network namespace that is made for the purpose and gone
afterwards, so the table in use is never touched. That loads their modules, as using them
would. Answers other than "could not tell" hold for as long as the kernel runs.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keepalive_py.dataplane.ipvs import IpvsDataplane
from keepalive_py.dataplane.memory import SCHEDULERS
from keepalive_py.dataplane.namespace import run_in_new
from keepalive_py.dataplane.netlink import GenericNetlink
from keepalive_py.errors import FeatureMissing, KernelRefused
from keepalive_py.net import Family
from keepalive_py.plan.table import Service, ServiceKey
from keepalive_py.wire import ipvs as wire
from keepalive_py.wire import netlink
from keepalive_py.wire.ipvs import Command

NAMES = tuple(sorted(SCHEDULERS - {"none"}))
ENGINES = ("sip",)
CONNTRACK = Path("/proc/sys/net/ipv4/vs/conntrack")
NETLINK_NETFILTER = 12
GET_GENERATION = 10 << 8 | 16  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN
DATAGRAM = 1 << 16
LIMIT = 2.0  # s
_TRIAL = ServiceKey(Family.INET, fwmark=1)


@dataclass(frozen=True, slots=True)
class Present:
    def __str__(self) -> str:
        return "yes"


@dataclass(frozen=True, slots=True)
class Missing:
    needs: str

    def __str__(self) -> str:
        return f"missing: needs {self.needs}"


@dataclass(frozen=True, slots=True)
class Unsure:
    cause: str

    def __str__(self) -> str:
        return f"could not tell: {self.cause}"


Finding = Present | Missing | Unsure


@dataclass(frozen=True, slots=True)
class Features:
    ipvs: Finding
    schedulers: Mapping[str, Finding]
    persistence_engines: Mapping[str, Finding]
    conntrack: Finding  # of IPVS connections (net.ipv4.vs.conntrack)
    nf_tables: Finding


async def probe() -> Features:
    """Try everything. Never raises; takes some milliseconds, more when modules must be loaded."""
    ipvs = await _ipvs()
    schedulers, engines = await asyncio.to_thread(_services, ipvs)
    return Features(ipvs, schedulers, engines, _conntrack(), _nf_tables())


async def _ipvs() -> Finding:
    plane = IpvsDataplane()
    try:
        await plane.open()
    except FeatureMissing as error:
        return Missing(error.needs)
    except KernelRefused as error:
        return Unsure(str(error))
    await plane.close()
    return Present()


# ---------------------------------------------------------------- schedulers, persistence engines


def _services(ipvs: Finding) -> tuple[Mapping[str, Finding], Mapping[str, Finding]]:
    if not isinstance(ipvs, Present):
        return dict.fromkeys(NAMES, ipvs), dict.fromkeys(ENGINES, ipvs)
    try:
        return run_in_new(_try_services)
    except OSError as error:
        unsure = Unsure(f"no network namespace to try it in ({error.strerror})")
        return dict.fromkeys(NAMES, unsure), dict.fromkeys(ENGINES, unsure)


def _try_services() -> tuple[Mapping[str, Finding], Mapping[str, Finding]]:
    kernel = GenericNetlink()
    try:
        kernel.bind_family(wire.FAMILY_NAME)
        schedulers = {name: _try(kernel, Service(_TRIAL, name), f"ip_vs_{name}") for name in NAMES}
        engines = {
            name: _try(kernel, Service(_TRIAL, "none", persistence_engine=name), f"ip_vs_pe_{name}")
            for name in ENGINES
        }
    finally:
        kernel.close()
    return schedulers, engines


def _try(kernel: GenericNetlink, service: Service, module: str) -> Finding:
    number, _ = kernel.run(Command.NEW_SERVICE, wire.encode_service(service))
    if number == errno.ENOENT:
        return Missing(f"the kernel module {module}")
    if number:
        return Unsure(os.strerror(number))
    kernel.run(Command.DEL_SERVICE, wire.encode_key(service.key))
    return Present()


# ---------------------------------------------------------------- conntrack, nf_tables


def _conntrack() -> Finding:
    if CONNTRACK.exists():
        return Present()
    return Missing("IPVS with connection tracking (CONFIG_IP_VS_NFCT)")


def _nf_tables() -> Finding:
    """By asking for the generation of the rule set, the cheapest of its questions."""
    try:
        number = _ask_generation()
    except OSError as error:
        number = error.errno or errno.EIO
    if number == 0:
        return Present()
    if number in (errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT):
        return Missing("a kernel with nf_tables (CONFIG_NF_TABLES)")
    return Unsure(os.strerror(number))


def _ask_generation() -> int:
    """The kernel's errno."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as asker:
        asker.settimeout(LIMIT)
        asker.send(netlink.HEADER.pack(20, GET_GENERATION, netlink.NLM_F_REQUEST, 1, 0) + bytes(4))
        answer = next(netlink.messages(memoryview(asker.recv(DATAGRAM))))
    return netlink.outcome(answer).errno if answer.type == netlink.NLMSG_ERROR else 0
