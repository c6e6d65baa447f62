"""Many keepalive-py from one interpreter.

Importing the daemon costs seconds in a user-mode kernel, forking it milliseconds. The
preloader imports it once and forks it on request: a process of its own, in the namespace
and with the log it was told, running the very entry point of the console script.

As a program (`python -m lab.preload`) this is the preloader: it reads requests from the
socket on its standard input. It stays single threaded, so that forking is safe.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

CLONE_NEWNET = 0x40000000
LARGEST = 65536  # bytes of a request


class Forked:
    """A daemon that the preloader started; it tells its exit status through a pipe."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self._status = status
        self._result: int | None = None

    def poll(self) -> int | None:
        if self._result is None and select.select([self._status], [], [], 0)[0]:
            told = os.read(self._status, 64)
            os.close(self._status)
            # It was killed before it could say a number.
            self._result = int(told) if told else -signal.SIGKILL
        return self._result


class Preload:
    """The preloader, as a child of the tests. `start` may be called from any thread."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "lab.preload"], stdin=theirs.fileno(), env=environment
            )

    def start(self, argv: list[str], *, network: int, log: int) -> Forked:
        """Run `argv` (its first word is only a name) in the namespace of that descriptor."""
        mine, theirs = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._socket, [json.dumps(argv).encode()], [network, log, theirs])
                pid = int(self._socket.recv(64) or b"0")
        finally:
            os.close(theirs)
        if not pid:
            raise AssertionError("the preloader has ended; its words are on standard error")
        return Forked(pid, mine)

    def close(self) -> None:
        self._socket.close()
        self._child.wait(30)


def serve(requests: socket.socket) -> None:
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, LARGEST, 3)
        if not request:
            return
        pid = os.fork()
        if pid == 0:
            requests.close()
            become(json.loads(request), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        requests.send(str(pid).encode())


def become(argv: list[str], network: int, log: int, status: int) -> None:
    """Be the daemon, in the forked child. Never returns."""
    from keepalive_py.cli.daemon import main

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if ctypes.CDLL(None).setns(network, CLONE_NEWNET) != 0:
        os._exit(71)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.set_inheritable(status, False)
    sys.argv = argv
    code = 70
    try:
        answer = main()
        code = 0 if answer is None else int(answer)
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(status, str(code).encode())
        os._exit(code)


if __name__ == "__main__":
    import keepalive_py.cli.daemon  # noqa: F401  the costly part, once

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    gc.freeze()
    serve(socket.socket(fileno=0))
