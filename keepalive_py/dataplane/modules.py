"""Kernel modules, by modprobe(8). A kernel with everything built in needs none."""

from __future__ import annotations

import asyncio
from pathlib import Path

from keepalive_py.running import run

# Where this kernel expects modprobe; daemons often run without /sbin in PATH.
MODPROBE = Path("/proc/sys/kernel/modprobe")
LIMIT = 10.0  # s


async def load(module: str) -> bool:
    """Load a kernel module; whether that worked."""
    return await _modprobe(module)


async def exists(module: str) -> bool:
    """Whether modprobe knows the module (needs no privilege)."""
    return await _modprobe("--dry-run", module)


async def _modprobe(*arguments: str) -> bool:
    silent = asyncio.subprocess.DEVNULL
    try:
        done = await run([_program(), *arguments], LIMIT, out=silent, err=silent)
    except OSError:  # or TimeoutError, which is one
        return False
    return done.status == 0


def _program() -> str:
    try:
        return MODPROBE.read_text().strip() or "modprobe"
    except OSError:
        return "modprobe"
