"""keepalive-py and real keepalived behind one interface."""

from __future__ import annotations

import os
from pathlib import Path

from keepalive_py.lab.daemons import Child, Daemon, KeepalivePy
from keepalive_py.lab.namespace import Namespace
from lab.preload import Preload

__all__ = ["Daemon", "Keepalived", "KeepalivePy", "PreloadedKeepalivePy"]


class Keepalived(Daemon):
    """The real one, from its Debian package."""

    program = "keepalived"


class PreloadedKeepalivePy(KeepalivePy):
    """Ours, forked from an interpreter that has it imported: many can start at once."""

    def __init__(
        self, namespace: Namespace, directory: Path, preload: Preload, *, options: tuple[str, ...] = ()
    ) -> None:
        super().__init__(namespace, directory, options=options)
        self._preload = preload

    def _spawn(self, log: int) -> Child:
        network = self.namespace.descriptor()
        try:
            return self._preload.start(self.command(), network=network, log=log)
        finally:
            os.close(network)
