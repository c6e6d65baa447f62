"""What this machine lacks for a lab. It asks by trying, in a namespace of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from keepalive_py.lab.namespace import Namespace
from keepalive_py.lab.routing import FRR
from keepalive_py.lab.waiting import LabError

PROGRAMS: Final = {
    "ip": "iproute2",
    "nft": "nftables",
    "nice": "coreutils",
}
OF_DAEMON: Final = {
    "bird": {"bird": "bird2", "birdc": "bird2"},
    "frr": {"vtysh": "frr", str(FRR / "bgpd"): "frr", str(FRR / "bfdd"): "frr"},
}
LINKS: Final = ("veth", "bridge", "dummy")
MODULES: Final = ("ip_vs", "ip_vs_rr", "nf_conntrack", *LINKS)
IPVS: Final = Path("/proc/net/ip_vs")
NAT: Final = "add table inet t; add chain inet t c { type nat hook postrouting priority 100; }"


def lacking(kind: str) -> list[str]:
    """Each thing that is missing, and where it is to be had; nothing: a lab can be built."""
    if os.geteuid() != 0:
        return ["root"]
    missing = [f"{program} (Debian package {package})" for program, package in _programs(kind)]
    if missing:
        return missing
    load(*MODULES)
    try:
        home = Namespace("needs")
    except (OSError, LabError) as error:
        return [f"network namespaces ({error})"]
    try:
        return list(_of_kernel(home))
    finally:
        home.close()


def load(*modules: str) -> None:
    """Those that there are; whether they work is for others to try."""
    if shutil.which("modprobe"):
        subprocess.run(["modprobe", "-q", "-a", *modules], check=False, timeout=60)


def _programs(kind: str) -> Iterator[tuple[str, str]]:
    for program, package in {**PROGRAMS, **OF_DAEMON[kind]}.items():
        if not shutil.which(program):
            yield program, package


def _of_kernel(home: Namespace) -> Iterator[str]:
    for kind in LINKS:
        peer = " peer name t1" if kind == "veth" else ""
        if not _works(home, f"ip link add t0 type {kind}{peer}"):
            yield f"the kernel module {kind}"
        _works(home, "ip link del t0")
    if not IPVS.exists():
        yield "the kernel module ip_vs"
    if not _works(home, "nft -c", NAT):
        yield "nf_tables with NAT for inet (kernel modules nf_tables, nft_chain_nat)"


def _works(home: Namespace, command: str, *more: str) -> bool:
    try:
        home.output([*command.split(), *more])
    except LabError:
        return False
    return True
