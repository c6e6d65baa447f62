"""An upgrade in place: this very process goes on with the program that is on the disk now.

The kernel's table stays, health is remembered if there is a state directory, and the process
keeps its pid, so that systemd sees a reload. Before that the new program is asked whether it can
read the configuration: one that is broken, or half installed, replaces nothing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Final, NoReturn

from keepalive_py.running import run

__all__ = ["EXIT_UPGRADE", "SIGNAL", "become", "obstacle", "taken_over"]

SIGNAL: Final = signal.SIGRTMIN + 10
EXIT_UPGRADE: Final = -1  # not the end of a process: it is to go on as another program
PATIENCE: Final = 120.0  # s, for the new program to read a large configuration
RUNS: Final = frozenset({0, 4, 5, 6})  # exit statuses of -t with which a configuration is run
VARIABLE: Final = "KEEPALIVE_PY_UPGRADE"
LOST: Final = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGRTMIN + 2, SIGNAL)


def _here() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"


DIRECTORY: Final = _here()  # before a daemon in the background leaves for `/`


def taken_over() -> bool:
    """Whether this program took over a running daemon's process. Answers once."""
    return os.environ.pop(VARIABLE, "") == str(os.getpid())


def command() -> list[str]:
    """What started us, with the interpreter's full name."""
    return [sys.executable, *sys.orig_argv[1:]]


async def obstacle() -> str:
    """Why the program on the disk cannot take over; "" when it can."""
    try:
        done = await run(
            [*command(), "--config-test"], PATIENCE, cwd=DIRECTORY, err=asyncio.subprocess.STDOUT
        )
    except TimeoutError:  # before OSError, of which it is one
        return f"the new program did not read the configuration in {PATIENCE:g} s"
    except OSError as error:
        return f"{sys.executable}: {error.strerror}"
    if done.status in RUNS:
        return ""
    last = done.out.decode(errors="replace").strip().rpartition("\n")[2]
    return f"the new program cannot run the configuration (status {done.status}): {last}"


def become() -> NoReturn:
    """Go on as that program. Raises OSError."""
    for number in LOST:  # until it listens: they would end it, and it reads everything anew
        signal.signal(number, signal.SIG_IGN)
    os.environ[VARIABLE] = str(os.getpid())
    os.chdir(DIRECTORY)
    words = command()
    os.execv(words[0], words)
