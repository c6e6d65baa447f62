"""Network namespaces by name, as ip-netns(8) keeps them."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

NETNS_DIR = "/run/netns"
CLONE_NEWNET = 0x40000000  # linux/sched.h


def enter(name: str) -> None:
    """Move this thread into the namespace `name` for good. Raises OSError."""
    with descriptor_of(f"{NETNS_DIR}/{name}") as descriptor:
        join(descriptor)


@contextlib.contextmanager
def descriptor_of(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def join(descriptor: int) -> None:
    """What `os.setns` does from Python 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
