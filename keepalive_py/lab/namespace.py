"""A network namespace with a thread and an event loop inside it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from keepalive_py.lab.waiting import LabError

T = TypeVar("T")

CLONE_NEWNET = 0x40000000  # linux/sched.h
LIMIT = 60.0  # s; nothing in the lab takes longer

_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A fresh network namespace, loopback up; it is gone after `close` or with the process.

    `call` runs a function and `run` a coroutine in the namespace's own thread.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name=f"netns-{name}", daemon=True)
        self._thread.start()
        self.call(self._unshare)
        self.path = Path(f"/proc/self/task/{self._thread.native_id}/ns/net")
        self.ip("link set lo up")

    def _live(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def _unshare(self) -> None:
        if _libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare: the lab needs root")

    def run(self, work: Coroutine[Any, Any, T], *, limit: float = LIMIT) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(limit)

    def call(self, work: Callable[..., T], *args: Any, **options: Any) -> T:
        async def step() -> T:
            return work(*args, **options)

        return self.run(step())

    def ip(self, *commands: str) -> None:
        """Run `ip` commands, all in one process; the first that fails raises."""
        self.output(["ip", "-batch", "-"], stdin="\n".join(commands) + "\n")

    def output(self, argv: list[str], *, stdin: str = "") -> str:
        """What a command run in the namespace prints; LabError if it fails."""
        pipe = subprocess.PIPE
        child = self.call(subprocess.Popen, argv, text=True, stdin=pipe, stdout=pipe, stderr=pipe)
        text, trouble = child.communicate(stdin, timeout=LIMIT)
        if child.returncode:
            raise LabError(
                f"{self.name}: {' '.join(argv)} <<< {stdin.strip()}\n{trouble.strip() or text.strip()}"
            )
        return text

    def proc_net(self, name: str) -> str:
        """A file of this namespace's /proc/net; readable from any thread."""
        return Path(f"/proc/self/task/{self._thread.native_id}/net/{name}").read_text()

    def sysctl(self, name: str, value: int) -> None:
        # Dots separate, except that an interface name never has one here.
        self.call(Path("/proc/sys", *name.split(".")).write_text, str(value))

    def descriptor(self) -> int:
        """An open descriptor of the namespace (the caller closes it)."""
        return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def publish(self, name: str) -> None:
        """Give it a name for `ip netns exec`, which outlives this process: `ip netns delete` ends it."""
        subprocess.run(
            ["ip", "netns", "attach", name, str(self._thread.native_id)],
            check=True, capture_output=True, timeout=LIMIT,
        )  # fmt: skip

    def close(self) -> None:
        if self._thread.is_alive():
            self.run(self._cancel_all())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(LIMIT)
            self.loop.close()

    async def _cancel_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def link(a: Namespace, a_name: str, b: Namespace, b_name: str) -> None:
    """A veth pair between two namespaces, both ends up. Names are unique per namespace."""
    a.ip(
        f"link add {a_name} type veth peer name {b_name} netns {b._thread.native_id}",
        f"link set {a_name} up",
    )
    b.ip(f"link set {b_name} up")
