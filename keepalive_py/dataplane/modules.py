"""Kernel modules, by modprobe(8). A kernel with everything built in needs none."""

from __future__ import annotations

import asyncio
from pathlib import Path

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
        child = await asyncio.create_subprocess_exec(
            _program(), *arguments, stdin=silent, stdout=silent, stderr=silent
        )
    except OSError:
        return False
    try:
        return await asyncio.wait_for(child.wait(), LIMIT) == 0
    except TimeoutError:
        return False
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


def _program() -> str:
    try:
        return MODPROBE.read_text().strip() or "modprobe"
    except OSError:
        return "modprobe"
