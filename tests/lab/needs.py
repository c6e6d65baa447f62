"""What a test needs of the machine, and how to say that it is lacking."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

HOW = (
    "tests/kernel/boot runs a command in a kernel with IPVS, tests/install-debian-packages installs the rest"
)


def lacking(*programs: str) -> str:
    """Why tests with a real kernel cannot run here; empty when they can."""
    missing = [name for name in programs if not shutil.which(name)]
    if os.geteuid() != 0:
        missing.append("root")
    if not ipvs():
        missing.append("a kernel with IPVS")
    return f"lacking: {', '.join(missing)} ({HOW})" if missing else ""


def ipvs() -> bool:
    load("ip_vs")
    return Path("/proc/net/ip_vs").exists()


def load(*modules: str) -> None:
    """Load modules, if this kernel was booted for the tests and has them as such."""
    if os.environ.get("KEEPALIVE_BOOTED") == "1" and shutil.which("modprobe"):
        subprocess.run(["modprobe", "-q", "-a", *modules], check=False)


def without_nat_by_nftables() -> str:
    """Why FULLNAT cannot be tried on this kernel; empty when it can. Debian's user-mode kernel
    has no `inet` family; tests/kernel/build-kernel makes one that has."""
    table = "add table inet t; add chain inet t c { type nat hook postrouting priority 100; }"
    tried = subprocess.run(["nft", "-c", table], capture_output=True, timeout=30, check=False)
    return "" if tried.returncode == 0 else "no nf_tables nat here: tests/kernel/build-kernel"


def without_marks_by_nftables() -> str:
    """Why groups cannot be served by mark on this kernel; empty when they can."""
    table = "add table ip t; add map ip t m { type ipv4_addr . inet_service : mark; flags interval; }"
    tried = subprocess.run(["nft", "-c", table], capture_output=True, timeout=30, check=False)
    return "" if tried.returncode == 0 else "no nf_tables here: tests/kernel/build-kernel"
