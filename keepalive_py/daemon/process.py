"""What the daemon does to its own process: background, umask, priority, limits, name.

Each setting that the kernel refuses is a warning, never an end: a balancer that runs at
normal priority is better than none.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

from keepalive_py.config.model import GlobalDefs
from keepalive_py.daemon.options import Options

DEFAULT_UMASK = 0o177
LOCK_CURRENT_AND_FUTURE = 1 | 2  # MCL_CURRENT | MCL_FUTURE
COMM_LENGTH = 15
NAME_FILE = "/proc/self/comm"

Warn = Callable[[str], None]


def fill_standard_descriptors() -> None:
    """Whoever starts us may have closed them: what we open next must not become what scripts and
    log lines take for standard error."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free


def into_background() -> int:
    """Fork as keepalived does. Returns 0 in the child that is to be the daemon, and its pid
    in the parent, which has nothing left to do but to exit."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    os.chdir("/")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    if nowhere > 2:
        os.close(nowhere)
    return 0


def set_umask(options: Options, settings: GlobalDefs) -> None:
    """The command line wins over the file."""
    wanted = options.umask if options.umask is not None else settings.umask
    os.umask(DEFAULT_UMASK if wanted is None else wanted)


def allow_core_files(options: Options, warn: Warn) -> None:
    if options.core_dump or options.core_pattern:
        with refused(warn, "allow core files"):
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if options.core_pattern:
        with refused(warn, f"set kernel.core_pattern to {options.core_pattern}"):
            Path("/proc/sys/kernel/core_pattern").write_text(options.core_pattern)


def raise_descriptor_limit(warn: Warn) -> None:
    """Every probe in flight holds a descriptor: use all that we are allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with refused(warn, "raise the limit of open files"):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def apply_scheduling(settings: GlobalDefs, warn: Warn) -> None:
    """checker_priority, checker_rt_priority, checker_cpu_affinity, checker_no_swap.

    checker_rlimit_rttime is not applied: it would have the kernel kill the balancer for
    being busy, and the kernel's own realtime throttling already guards the machine.
    """
    if settings.checker_priority is not None:
        with refused(warn, f"set the process priority to {settings.checker_priority}"):
            os.setpriority(os.PRIO_PROCESS, 0, settings.checker_priority)
    if settings.checker_rt_priority is not None:
        with refused(warn, f"set the realtime priority to {settings.checker_rt_priority}"):
            go_realtime(settings.checker_rt_priority)
    if settings.checker_cpu_affinity:
        with refused(warn, "set the CPU affinity"):
            os.sched_setaffinity(0, settings.checker_cpu_affinity)
    if settings.checker_no_swap:
        with refused(warn, "lock the memory"):
            lock_memory()


def go_realtime(priority: int) -> None:
    """SCHED_RR for us and not for the scripts that we start."""
    os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(priority))


def lock_memory() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(LOCK_CURRENT_AND_FUTURE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def set_name(settings: GlobalDefs, warn: Warn) -> None:
    """The name that ps(1) and pgrep(1) show."""
    name = settings.checker_process_name or settings.process_name
    if name is None and settings.process_names:
        name = "keepalived_lvs"
    if name:
        with refused(warn, f"set the process name to {name}"):
            Path(NAME_FILE).write_text(name[:COMM_LENGTH])


@contextlib.contextmanager
def refused(warn: Warn, what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        warn(f"Unable to {what}: {error}")
