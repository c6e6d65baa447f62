"""How much the engine may do at once."""

from __future__ import annotations

import resource
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`probes`: sockets at a time; `descriptors_kept_free`: what the rest of the process needs
    of RLIMIT_NOFILE; `children`: processes at a time. What exceeds them waits in due order."""

    probes: int = 50_000
    descriptors_kept_free: int = 256
    children: int = 64

    def sockets(self) -> int:
        """Sockets at a time under the process's present limit: at least one."""
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return self.probes
        free = min(self.descriptors_kept_free, soft // 2)
        return max(1, min(self.probes, soft - free - self.children))
