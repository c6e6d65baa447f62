"""Doing something in another network namespace.

A thread of its own enters the namespace, runs the function and ends. So nothing has to be
restored: neither this thread nor the event loop ever leaves its namespace, and a socket
made there keeps the namespace it was born in. See setns(2), network_namespaces(7).
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from keepalive_py.errors import FeatureMissing

T = TypeVar("T")

CLONE_NEWNET = 0x40000000  # linux/sched.h
NAMED = "/run/netns/"  # where ip-netns(8) keeps them
DEFAULT = "/proc/1/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def path_of(name: str) -> str:
    """The file of a namespace: its name as in ip-netns(8), a path, or "" for init's own."""
    if not name:
        return DEFAULT
    return name if "/" in name else NAMED + name


def run_in(name: str | None, function: Callable[[], T]) -> T:
    """`function` run in the namespace `name` (None: this thread's). FeatureMissing when the
    namespace cannot be entered; else whatever the function raises."""
    return function() if name is None else _in_thread(lambda: _enter(name), function)


def run_in_new(function: Callable[[], T]) -> T:
    """`function` run in a fresh namespace, which is gone with the last socket made in it.
    OSError when there is no privilege to make one."""
    return _in_thread(lambda: _checked(_libc.unshare(CLONE_NEWNET)), function)


def _in_thread(enter: Callable[[], None], function: Callable[[], T]) -> T:
    result: Future[T] = Future()

    def work() -> None:
        try:
            enter()
            result.set_result(function())
        except BaseException as error:  # noqa: BLE001  # handed over to the caller's thread
            result.set_exception(error)

    thread = threading.Thread(target=work, name="namespace", daemon=True)
    thread.start()
    thread.join()
    return result.result()


def _enter(name: str) -> None:
    try:
        descriptor = os.open(path_of(name), os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        needs = f"a namespace made by `ip netns add {name}`, and to be root"
        raise FeatureMissing(f"network namespace {name or 'of init'} ({error.strerror})", needs) from error
    try:
        _checked(_libc.setns(descriptor, CLONE_NEWNET))
    except OSError as error:
        needs = "CAP_SYS_ADMIN, as root has"
        raise FeatureMissing(f"network namespace {name or 'of init'} ({error.strerror})", needs) from error
    finally:
        os.close(descriptor)


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
