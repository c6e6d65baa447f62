"""A lab that stays up: a process that holds it, and obeys over a socket.

One word is sent, `run` or `down`; what comes back is text for a person, and at the very end a line with
the exit status. The holder ends its children when it ends; the names of the namespaces outlive it, so
that also what a killed holder left behind can be found and removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TextIO

from keepalive_py.errors import KeepaliveError
from keepalive_py.lab.cluster import Cluster
from keepalive_py.lab.story import tell_story
from keepalive_py.lab.waiting import LabError, eventually

HOME: Final = Path("/run/keepalive-lab")
LOCK: Final = Path("/run/keepalive-lab.lock")
PREFIX: Final = "lab-"  # of the namespaces' names
NAMED: Final = Path("/run/netns")
LONGEST: Final = 900.0  # seconds for an answer

Say = Callable[[str], None]


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """TERM and HUP end the process as an exception does, so that everything is taken down."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def cluster(kind: str, nodes: int) -> Iterator[Cluster]:
    """One that is up, until the end of the block. Raises KeepaliveError, OSError."""
    with alone(), directory(), built_cluster(kind, nodes) as built:
        built.publish(PREFIX)
        built.start()
        built.whole()
        yield built


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """The only lab of this machine; what is left of an earlier one is removed."""
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(
                "there is a lab already: `keepalive-ctl lab down` ends one that stays up"
            ) from None
        remove_leftovers()
        yield


@contextlib.contextmanager
def directory() -> Iterator[None]:
    HOME.mkdir(mode=0o755)
    HOME.chmod(0o755)  # FRR, which drops root, has its directories in it
    try:
        yield
    finally:
        shutil.rmtree(HOME, ignore_errors=True)


@contextlib.contextmanager
def built_cluster(kind: str, nodes: int) -> Iterator[Cluster]:
    built = Cluster(HOME, kind=kind, nodes=nodes)
    try:
        yield built
    finally:
        built.close()
        remove_names()


def play(built: Cluster, say: Say) -> int:
    """The exit status."""
    try:
        tell_story(built, say)
    except (KeepaliveError, OSError) as error:
        say(f"\nIt went wrong: {error}")
        return 1
    say("\nAll is as it was before.")
    return 0


# The holder.


def hold(kind: str, nodes: int, ready: TextIO) -> None:
    """Be the holder. `ready` is told `up`, or what went wrong."""
    try:
        with ending_in_order(), cluster(kind, nodes) as built, listening() as listener:
            print("up", file=ready, flush=True)
            ready.close()
            while answer(listener, built):
                pass
    except Exception as error:  # the boundary: whoever waits is told
        if not ready.closed:
            print(error if isinstance(error, KeepaliveError) else repr(error), file=ready, flush=True)


@contextlib.contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(place()))
        listener.listen(1)
        yield listener


def answer(listener: socket.socket, built: Cluster) -> bool:
    """Obey one caller; False: it was the last one."""
    caller, _ = listener.accept()
    with caller, caller.makefile("rw", encoding="utf-8") as stream:

        def say(text: str) -> None:
            with contextlib.suppress(OSError):  # it went away: the act is played to its end
                print(text, file=stream, flush=True)

        try:
            word = stream.readline().strip()
            if word == "run":
                say(str(play(built, say)))
            return word != "down"
        except OSError:
            return True


# Its callers.


def place() -> Path:
    return HOME / "socket"


def start(kind: str, nodes: int) -> str:
    """Start a holder and wait for it; what went wrong, or nothing."""
    mine, theirs = os.pipe()
    if os.fork() == 0:
        os.close(mine)
        _become_the_holder(kind, nodes, theirs)
    os.close(theirs)
    with os.fdopen(mine, encoding="utf-8") as ready:
        said = ready.read().strip()
    return "" if said == "up" else said or "the lab's process ended without a word"


def _become_the_holder(kind: str, nodes: int, ready: int) -> None:
    """In the child. Never returns."""
    status = 1
    try:
        os.setsid()
        quiet = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(quiet, descriptor)
        with os.fdopen(ready, "w", encoding="utf-8") as stream:
            hold(kind, nodes, stream)
        status = 0
    finally:
        os._exit(status)


def ask(word: str, out: TextIO = sys.stdout) -> int:
    """Tell the holder, and pass on what it says. Raises OSError when there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(LONGEST)
        caller.connect(str(place()))
        with caller.makefile("rw", encoding="utf-8") as stream:
            print(word, file=stream, flush=True)
            before: str | None = None
            for line in stream:
                if before is not None:
                    print(before, end="", file=out, flush=True)
                before = line
    return int(before) if before is not None and before.strip().isdigit() else 0


def end() -> None:
    """Take down the lab that is up, or what is left of one. Raises KeepaliveError, OSError."""
    if is_up():
        ask("down")
        eventually(lambda: not HOME.exists(), within=60, what="the lab is gone")
    with alone():
        pass


def is_up() -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        try:
            caller.connect(str(place()))
        except OSError:
            return False
    return True


# What a killed holder leaves behind.


def leftovers() -> list[str]:
    return sorted(path.name for path in NAMED.glob(f"{PREFIX}*")) if NAMED.is_dir() else []


def remove_leftovers() -> None:
    """Processes in the lab's namespaces, their names, and the files."""
    for name in leftovers():
        told = subprocess.run(
            ["ip", "netns", "pids", name], capture_output=True, text=True, check=False, timeout=60
        )
        for pid in told.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    remove_names()
    shutil.rmtree(HOME, ignore_errors=True)


def remove_names() -> None:
    for name in leftovers():
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False, timeout=60)
